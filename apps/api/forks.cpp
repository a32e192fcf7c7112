#include <troupe/state/versions.hpp>

#include "api/route.hpp"

#include <utility>

template <>
struct troupe::names_of<troupe::merge_strategy> {
  static constexpr std::pair<merge_strategy, std::string_view> value[] = {
      {merge_strategy::refuse, "refuse"},
      {merge_strategy::ours, "ours"},
      {merge_strategy::theirs, "theirs"}};
};

/// Forks of an entity, and merging one back.
namespace troupe::api {

namespace {

struct fork_request {
  std::optional<value> at{};  ///< a revision, or the id of a checkpoint
  std::optional<std::string> id{};
  static constexpr auto fields =
      std::tuple{field{"at", &fork_request::at}, field{"id", &fork_request::id}};
};
struct fork_body {
  std::string id{}, parent{};
  std::uint64_t at = 0, revision = 0;
  static constexpr auto fields =
      std::tuple{field{"id", &fork_body::id}, field{"parent", &fork_body::parent},
                 field{"at", &fork_body::at}, field{"revision", &fork_body::revision}};
};
struct forks_body {
  std::vector<fork_body> items{};
  nullable_text next_cursor{};
  static constexpr auto fields = std::tuple{field{"items", &forks_body::items},
                                            field{"next_cursor", &forks_body::next_cursor}};
};
struct merge_request {
  std::string from{};
  merge_strategy strategy = merge_strategy::refuse;
  static constexpr auto fields = std::tuple{field{"from", &merge_request::from},
                                            defaulted{"strategy", &merge_request::strategy}};
};

/// The revision to fork at: what the body names, else what `If-Match` holds the parent to, else the
/// newest (0).
expected<std::uint64_t> revision_to_fork(const fork_request& body, const entity_state& parent,
                                         std::optional<std::uint64_t> if_match) {
  if (if_match && *if_match != parent.revision)
    return tl::unexpected(error{.code = errc::revision_conflict,
                                .message = "expected revision " + std::to_string(*if_match)
                                           + ", found " + std::to_string(parent.revision),
                                .current_revision = parent.revision});
  if (!body.at || body.at->is_null())
    return if_match.value_or(0);
  if (const auto revision = body.at->view().as_uint64()) {
    if (*revision < parent.first_revision || *revision > parent.revision)
      return fail(errc::revision_gone, "there is no such revision", "/at");
    return *revision;
  }
  const auto id = body.at->view().as_string();
  if (!id)
    return fail(errc::wrong_type, "a revision or the id of a checkpoint is expected", "/at");
  const auto pinned = find_checkpoint(parent, *id);
  if (!pinned)
    return fail(errc::not_found, "no such checkpoint", "/at");
  return pinned->revision;
}

void make_fork(const call_ptr& c, const entity_access& child, std::uint64_t at) {
  execute(c, child, {fork_from{.parent = c->entity.ref(), .at = at}}, std::nullopt,
          [c, child](expected<command_result> result) {
            if (!result && result.error().code == errc::not_found && result.error().path.empty())
              result.error().path = "/id";  // another user's, which answers as if it were absent
            if (!result)
              return c->refuse(result.error());
            const auto from = lineage_of(*result->state).value_or(lineage{});
            send_result(
                c,
                to_answer(fork_body{child.ref().id, c->entity.ref().id, from.at, result->revision},
                          result->revision, 201),
                *result);
          });
}

void fork_as_asked(const call_ptr& c, const entity_access& child, const fork_request& body) {
  const auto if_match = c->if_match();
  if (!if_match)
    return c->refuse(if_match.error());
  c->entity.read(false, [=, if_match = *if_match](expected<runtime::snapshot> parent) {
    if (!parent)
      return c->refuse(parent.error());
    const auto at = revision_to_fork(body, **parent, if_match);
    if (!at)
      return c->refuse(at.error());
    if (*at != 0 && *at != (**parent).revision)
      if (auto ok = c->admitted.look_back(); !ok)
        return c->refuse(ok.error());
    make_fork(c, child, *at);
  });
}

void post_fork(const call_ptr& c) {
  const auto body = c->optional_body_as<fork_request>();
  if (!body)
    return c->refuse(body.error());
  const auto child = c->doors.resolve(c->who, c->entity.ref().kind, body->id.value_or(c->new_id()));
  if (!child)
    return c->refuse({child.error().code, child.error().message, "/id"});
  if (!c->request.find_header("Idempotency-Key"))
    return fork_as_asked(c, *child, *body);
  child->header([c, child = *child, body = *body](const expected<entity_header>& made) {
    if (made)  // a repeat, whatever the parent is now; or `already_exists`
      return make_fork(c, child, 0);
    fork_as_asked(c, child, body);
  });
}

void get_forks(const call_ptr& c) {
  const auto limit = c->number("limit");
  if (!limit)
    return c->refuse(limit.error());
  if (limit->value_or(1) == 0 || limit->value_or(1) > max_listed)
    return c->refuse({errc::invalid_value, "a page has 1 to 1,000 entries", "limit"});
  const auto* cursor = c->query("cursor");
  list_request asked{.kind = c->entity.ref().kind,
                     .after = cursor ? *cursor : std::string{},
                     .limit = limit->value_or(100),
                     .wanted = [parent = c->entity.ref()](const entity_header& header) {
                       return header.forked_from && header.forked_from->parent == parent;
                     }};
  c->entity.header([c, asked = std::move(asked)](expected<entity_header> parent) {
    if (!parent)
      return c->refuse(parent.error());
    c->doors.list(c->who, asked, [c, revision = parent->revision](expected<listing> page) {
      if (!page)
        return c->refuse(page.error());
      forks_body out{.items = {}, .next_cursor = {std::move(page->next)}};
      for (auto& [id, header] : page->rows)
        out.items.push_back({id, c->entity.ref().id, header.forked_from->at, header.revision});
      c->send(to_answer(out, revision));
    });
  });
}

void post_merge(const call_ptr& c) {
  auto body = c->body_as<merge_request>();
  if (!body)
    return c->refuse(body.error());
  const auto fork = c->doors.resolve(c->who, c->entity.ref().kind, body->from);
  if (!fork)
    return c->refuse({fork.error().code, fork.error().message, "/from"});
  const auto expected_revision = c->if_match();
  if (!expected_revision)
    return c->refuse(expected_revision.error());
  execute(c, c->entity, {merge_fork{.fork = fork->ref(), .strategy = body->strategy}},
          *expected_revision, [c](expected<command_result> merged) {
            if (!merged && merged.error().path == "/fork")
              merged.error().path = "/from";
            if (!merged)
              return c->refuse(merged.error());
            send_result(c, revision_answer(*merged), *merged);
          });
}

constexpr route rows[] = {
    {"POST", "{S}/fork", every_scope, role::writer, post_fork,
     "Branch at a revision or checkpoint, in constant time; the original stays as it is", "",
     schema_of<fork_request>, schema_of<fork_body>, 201},
    {"GET", "{S}/forks", every_scope, role::reader, get_forks, "The forks that live",
     "limit cursor", nullptr, schema_of<forks_body>},
    {"POST", "{S}/merge", session_only, role::writer, post_merge,
     "Bring a fork's changes back; conflicts are listed and nothing is merged, unless `ours` or "
     "`theirs` wins",
     "", schema_of<merge_request>, schema_of<revision_body>},
};

}  // namespace

std::span<const route> fork_routes() {
  return rows;
}

}  // namespace troupe::api
