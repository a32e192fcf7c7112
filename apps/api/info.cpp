#include "api/info.hpp"

#include <troupe/actors/result_cache.hpp>
#include <troupe/state/commands.hpp>

#include "api/conditional.hpp"
#include "api/route.hpp"

#include <utility>

namespace troupe::api {

namespace {

struct create_body {
  std::optional<std::string> user{}, team{}, workflow{};
  value metadata = value::map({});
  std::vector<std::string> tags{};
  std::uint64_t ttl_s = 0;
  std::optional<schema_body> schema{};
  std::optional<policy_body> policy{};
  static constexpr auto fields = std::tuple{
      field{"user", &create_body::user},         field{"team", &create_body::team},
      field{"workflow", &create_body::workflow}, defaulted{"metadata", &create_body::metadata},
      defaulted{"tags", &create_body::tags},     defaulted{"ttl_s", &create_body::ttl_s},
      field{"schema", &create_body::schema},     field{"policy", &create_body::policy}};
};

struct share_body {
  std::string user{};
  troupe::access access{};
  static constexpr auto fields =
      std::tuple{field{"user", &share_body::user}, field{"access", &share_body::access}};
};

struct change_body {
  std::optional<value> metadata{};
  std::optional<std::vector<std::string>> tags{};
  std::optional<std::vector<share_body>> shares{};
  std::optional<std::string> workflow{}, team{};
  std::optional<std::uint64_t> ttl_s{};
  std::optional<policy_body> policy{};
  static constexpr auto fields = std::tuple{
      field{"metadata", &change_body::metadata}, field{"tags", &change_body::tags},
      field{"shares", &change_body::shares},     field{"workflow", &change_body::workflow},
      field{"team", &change_body::team},         field{"ttl_s", &change_body::ttl_s},
      field{"policy", &change_body::policy}};
};

policy to_policy(const policy_body& x) {
  return {.loop_limit = x.loop_limit,
          .token_budget = x.token_budget,
          .checkpoint_every = x.checkpoint_every,
          .keep_checkpoints = x.keep_checkpoints,
          .keep_revisions = x.keep_revisions,
          .keep_revisions_ms = x.keep_revisions_ms};
}

/// Seconds as milliseconds; beyond what a time holds is for ever, as is 0.
std::uint64_t to_ms(std::uint64_t seconds) {
  return seconds > max_number / 1000 ? 0 : seconds * 1000;
}

/// What has an owner and is not said to be another's is of `by`; the scope of a user is that
/// user's, and the global one nobody's.
create to_command(create_body x, entity_kind kind, const principal& by) {
  const bool owned = kind != entity_kind::user && kind != entity_kind::global;
  create out;
  out.info.user = std::move(x.user).value_or(owned ? by.user : std::string{});
  out.info.team = std::move(x.team).value_or("");
  out.info.workflow = std::move(x.workflow).value_or("");
  out.info.metadata = std::move(x.metadata);
  out.info.tags = std::move(x.tags);
  out.info.ttl_ms = to_ms(x.ttl_s);
  if (x.schema)
    out.info.schema = schema_id{x.schema->id, x.schema->version};
  if (x.policy)
    out.info.limits = to_policy(*x.policy);
  return out;
}

answer info_answer(const call_ptr& c, const entity_header& header, int status) {
  return to_answer(to_info(c->entity.ref().id, header, c->entity.is_live()), header.revision,
                   status);
}

/// Who owns an entity is said once, when it is created.
error another_owner(const command_result& found) {
  const auto owner = user_of(*found.state);
  return {.code = errc::already_exists,
          .message = "it is there already and belongs to "
                     + (owner.empty() ? "nobody" : '\'' + std::string{owner} + '\''),
          .path = "/user",
          .current_revision = found.revision};
}

void put_entity(const call_ptr& c) {
  auto body = c->optional_body_as<create_body>();
  if (!body)
    return c->refuse(body.error());
  const auto absent = c->if_absent();
  if (!absent)
    return c->refuse(absent.error());
  const auto user = body->user;
  auto command = to_command(*std::move(body), c->entity.ref().kind, c->who.by);
  command.only_if_absent = *absent;
  const auto expected_revision = c->if_match();
  if (!expected_revision)
    return c->refuse(expected_revision.error());
  execute(c, c->entity, {std::move(command)}, *expected_revision,
          [c, user](const expected<command_result>& result) {
            if (!result)
              return c->refuse(result.error());
            if (user && *user != user_of(*result->state))
              return c->refuse(another_owner(*result));
            send_result(c, info_answer(c, header_of(*result->state), result->created ? 201 : 200),
                        *result);
          });
}

void post_session(const call_ptr& c) {
  auto made = c->doors.resolve(c->who, entity_kind::session, c->new_id());
  if (!made)
    return c->refuse(made.error());
  c->entity = *std::move(made);
  put_entity(c);
}

void get_info(const call_ptr& c) {
  c->entity.header([c](expected<entity_header> header) {
    if (!header)
      return c->refuse(header.error());
    c->send(unless_known(*c, info_answer(c, *header, 200)));
  });
}

void patch_info(const call_ptr& c) {
  auto body = c->body_as<change_body>();
  if (!body)
    return c->refuse(body.error());
  update_info out;
  out.metadata_patch = std::move(body->metadata);
  out.tags = std::move(body->tags);
  if (body->shares) {
    out.shares.emplace();
    for (auto& [user, access] : *body->shares)
      out.shares->push_back({std::move(user), access});
  }
  out.workflow = std::move(body->workflow);
  out.team = std::move(body->team);
  if (body->ttl_s)
    out.ttl_ms = to_ms(*body->ttl_s);
  if (body->policy)
    out.limits = to_policy(*body->policy);
  execute(c, {std::move(out)}, [c](const command_result& result) {
    return info_answer(c, header_of(*result.state), 200);
  });
}

struct receipt_body {
  std::string scope{}, id{};
  std::uint64_t revision = 0, changes = 0, answers = 0, cache_entries = 0;
  static constexpr auto fields = std::tuple{field{"scope", &receipt_body::scope},
                                            field{"id", &receipt_body::id},
                                            field{"revision", &receipt_body::revision},
                                            field{"changes", &receipt_body::changes},
                                            field{"answers", &receipt_body::answers},
                                            field{"cache_entries", &receipt_body::cache_entries}};
};

/// What the cache holds of an entity is told by the tag "session/ID".
void forget_cached(const call_ptr& c, const erasure& erased) {
  const auto& ref = c->entity.ref();
  const std::string scope{to_string(ref.kind)};
  c->doors.cache().invalidate(
      {ref.name_space, cache_invalidation::labelled{cache_label::tag, scope + '/' + ref.id}},
      [c, scope, erased](expected<invalidated> forgotten) {
        if (!forgotten)
          return c->refuse(forgotten.error());
        c->send(to_answer(receipt_body{scope, c->entity.ref().id, erased.revision, erased.changes,
                                       erased.answers, forgotten->count}));
      });
}

void erase_remains(const call_ptr& c) {
  c->entity.erase_remains([c](expected<erasure> erased) {
    if (!erased)
      return c->refuse(erased.error());
    forget_cached(c, *erased);
  });
}

/// The deletion must be on disk before what is left of it goes. One that was made before is an
/// admin's to finish: nobody else can tell whose it was.
void delete_and_erase(const call_ptr& c) {
  auto request = c->envelope();
  if (!request)
    return c->refuse(request.error());
  const auto expected_revision = c->if_match();
  if (!expected_revision)
    return c->refuse(expected_revision.error());
  request->level = durability::durable;
  request->operations = {erase{}};
  request->expected_revision = *expected_revision;
  c->entity.execute(*std::move(request), [c](expected<command_result> done) {
    const bool was_deleted = !done && done.error().code == errc::not_found && c->who.by.trusted;
    if (!done && !was_deleted)
      return c->refuse(done.error());
    erase_remains(c);
  });
}

void delete_entity(const call_ptr& c) {
  const auto everything = c->flag("erase");
  if (!everything)
    return c->refuse(everything.error());
  if (*everything)
    return delete_and_erase(c);
  execute(c, {erase{}}, [](const command_result& result) {
    auto out = deleted_answer(result);
    out.etag.reset();
    return out;
  });
}

constexpr route rows[] = {
    {"PUT", "{S}", every_scope, role::writer, put_entity, "Get or create", "",
     schema_of<create_body>, schema_of<info_body>, 201},
    {"GET", "{S}", every_scope, role::reader, get_info, "What it is, without waking it", "",
     nullptr, schema_of<info_body>},
    {"PATCH", "{S}", every_scope, role::writer, patch_info,
     "Change metadata, tags, sharing, parents, time to live and policy", "", schema_of<change_body>,
     schema_of<info_body>},
    {"DELETE", "{S}", every_scope, role::writer, delete_entity,
     "Delete; `erase=true` also takes away journal, checkpoints and cached results of it", "erase",
     nullptr, nullptr, 204, "", false, false, schema_of<receipt_body>},
    {"POST", "/v1/sessions", no_scope, role::writer, post_session,
     "Create a session with an id made by the node", "", schema_of<create_body>,
     schema_of<info_body>, 201},
};

}  // namespace

info_body to_info(const std::string& id, const entity_header& header, bool live) {
  info_body out{.id = id,
                .status = live ? "active" : "hibernated",
                .revision = header.revision,
                .created = header.created,
                .last_activity = header.last_activity,
                .user = header.user,
                .metadata = header.metadata,
                .items = header.items,
                .entries = header.entries,
                .bytes = header.bytes};
  const auto given = [](const auto& x) { return x.empty() ? std::nullopt : std::optional{x}; };
  out.workflow = given(header.workflow);
  out.team = given(header.team);
  out.tags = given(header.tags);
  out.readers = given(header.readers);
  if (header.ttl_ms != 0)
    out.ttl_s = header.ttl_ms / 1000;
  if (header.forked_from)
    out.forked_from = lineage_body{header.forked_from->parent.id, header.forked_from->at};
  if (header.schema)
    out.schema = schema_body{header.schema->id, header.schema->version};
  return out;
}

std::span<const route> info_routes() {
  return rows;
}

}  // namespace troupe::api
