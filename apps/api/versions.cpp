#include <troupe/state/session.hpp>
#include <troupe/state/versions.hpp>

#include "api/route.hpp"
#include "api/tokens_body.hpp"
#include "api/writer.hpp"

#include <utility>

/// Time travel: checkpoints, undo and redo, earlier revisions, differences.
namespace troupe::api {

namespace {

struct checkpoint_request {
  std::string name{};
  std::vector<std::string> tags{};
  value metadata = value::map({});
  static constexpr auto fields = std::tuple{defaulted{"name", &checkpoint_request::name},
                                            defaulted{"tags", &checkpoint_request::tags},
                                            defaulted{"metadata", &checkpoint_request::metadata}};
};
struct checkpoint_body {
  std::string id{}, name{};
  std::uint64_t revision = 0;  ///< the pinned one
  timestamp at{};
  std::vector<std::string> tags{};
  value metadata = value::map({});
  bool automatic = false;
  static constexpr auto fields = std::tuple{field{"id", &checkpoint_body::id},
                                            field{"name", &checkpoint_body::name},
                                            field{"revision", &checkpoint_body::revision},
                                            field{"at", &checkpoint_body::at},
                                            field{"tags", &checkpoint_body::tags},
                                            field{"metadata", &checkpoint_body::metadata},
                                            field{"automatic", &checkpoint_body::automatic}};
};
struct checkpoints_body {
  std::vector<checkpoint_body> items{};
  nullable_text next_cursor{};
  static constexpr auto fields = std::tuple{field{"items", &checkpoints_body::items},
                                            field{"next_cursor", &checkpoints_body::next_cursor}};
};
struct steps_body {
  std::uint64_t steps = 1;
  static constexpr auto fields = std::tuple{defaulted{"steps", &steps_body::steps}};
};
struct past_body {
  std::uint64_t revision = 0;
  value state = value::map({});
  std::uint64_t items = 0;
  tokens_body usage{};
  static constexpr auto fields =
      std::tuple{field{"revision", &past_body::revision}, field{"state", &past_body::state},
                 field{"items", &past_body::items}, field{"usage", &past_body::usage}};
};
struct difference_body {
  std::string path{};
  std::optional<value> before{}, after{};
  static constexpr auto fields =
      std::tuple{field{"path", &difference_body::path}, field{"before", &difference_body::before},
                 field{"after", &difference_body::after}};
};
struct diff_body {
  std::uint64_t from = 0, to = 0;
  std::vector<difference_body> changes{};
  static constexpr auto fields =
      std::tuple{field{"from", &diff_body::from}, field{"to", &diff_body::to},
                 field{"changes", &diff_body::changes}};
};

// Checkpoints ------------------------------------------------------------------------------------

checkpoint_body to_body(checkpoint x) {
  return {.id = std::move(x.id),
          .name = std::move(x.name),
          .revision = x.revision,
          .at = x.at,
          .tags = std::move(x.tags),
          .metadata = std::move(x.metadata),
          .automatic = x.automatic};
}

void post_checkpoint(const call_ptr& c) {
  auto body = c->optional_body_as<checkpoint_request>();
  if (!body)
    return c->refuse(body.error());
  auto id = c->new_id();
  create_checkpoint what{.id = id,
                         .name = std::move(body->name),
                         .tags = std::move(body->tags),
                         .metadata = std::move(body->metadata)};
  execute(c, {std::move(what)}, [id](const command_result& result) {
    auto made = find_checkpoint(*result.state, id);
    if (!made)  // a repeat, and it was deleted meanwhile
      made = checkpoint{.id = id, .revision = result.revision};
    return to_answer(to_body(*std::move(made)), result.revision, 201);
  });
}

void get_checkpoints(const call_ptr& c) {
  read(c, [](const entity_state& state) {
    checkpoints_body out;
    for (auto& one : checkpoints_of(state))
      out.items.push_back(to_body(std::move(one)));
    return to_answer(out, state.revision);
  });
}

void get_checkpoint(const call_ptr& c) {
  read(c, [c](const entity_state& state) -> expected<answer> {
    auto found = find_checkpoint(state, c->parameters[0]);
    if (!found)
      return fail(errc::not_found, "no such checkpoint");
    return to_answer(to_body(*std::move(found)), state.revision);
  });
}

void remove_checkpoint(const call_ptr& c) {
  execute(c, {delete_checkpoint{c->parameters[0]}}, deleted_answer);
}

void restore_checkpoint(const call_ptr& c) {
  execute(c, {restore{c->parameters[0]}}, revision_answer);
}

// Undo -------------------------------------------------------------------------------------------

template <class Op>
void step(const call_ptr& c) {
  const auto body = c->optional_body_as<steps_body>();
  if (!body)
    return c->refuse(body.error());
  execute(c, {Op{body->steps}}, revision_answer);
}

// Earlier revisions ------------------------------------------------------------------------------

expected<std::uint64_t> revision_in_path(const std::string& text) {
  std::uint64_t out = 0;
  for (const char digit : text) {
    if (digit < '0' || digit > '9' || out > (max_number - 9) / 10)
      return fail(errc::not_found, "a revision is a whole number");
    out = out * 10 + static_cast<std::uint64_t>(digit - '0');
  }
  return out;
}

void get_revision(const call_ptr& c) {
  const auto revision = revision_in_path(c->parameters[0]);
  if (!revision)
    return c->refuse(revision.error());
  if (auto ok = c->admitted.look_back(); !ok)
    return c->refuse(ok.error());
  c->entity.read_at(*revision, [c](expected<runtime::snapshot> found) {
    if (!found)
      return c->refuse(found.error());
    const auto& state = **found;
    c->send(
        to_answer(past_body{state.revision, section_as_map(state, section::state, c->doors.now()),
                            state.items.size(), tokens_of(usage_of(state).total)},
                  state.revision));
  });
}

void get_diff(const call_ptr& c) {
  const auto from = c->number("from"), to = c->number("to");
  if (!from || !to)
    return c->refuse(from ? to.error() : from.error());
  if (!*from)
    return c->refuse({errc::invalid_value, "`from` is a revision", "from"});
  if (auto ok = c->admitted.look_back(); !ok)
    return c->refuse(ok.error());
  c->entity.read(false, [c, from = **from, to = *to](expected<runtime::snapshot> current) {
    if (!current)
      return c->refuse(current.error());
    c->entity.read_at(from, [c, to = to.value_or((**current).revision)](
                                expected<runtime::snapshot> before) {
      if (!before)
        return c->refuse(before.error());
      c->entity.read_at(to, [c, before = *before](expected<runtime::snapshot> after) {
        if (!after)
          return c->refuse(after.error());
        diff_body out{before->revision, (**after).revision, {}};
        for (auto& one : diff(*before, **after))
          out.changes.push_back({std::move(one.path), std::move(one.before), std::move(one.after)});
        c->send(to_answer(out, (**after).revision));
      });
    });
  });
}

constexpr route rows[] = {
    {"POST", "{S}/checkpoints", every_scope, role::writer, post_checkpoint,
     "Pin the current revision", "", schema_of<checkpoint_request>, schema_of<checkpoint_body>,
     201},
    {"GET", "{S}/checkpoints", every_scope, role::reader, get_checkpoints,
     "All checkpoints, the newest first", "consistency", nullptr, schema_of<checkpoints_body>},
    {"GET", "{S}/checkpoints/{cid}", every_scope, role::reader, get_checkpoint, "One checkpoint",
     "consistency", nullptr, schema_of<checkpoint_body>},
    {"DELETE", "{S}/checkpoints/{cid}", every_scope, role::writer, remove_checkpoint,
     "Unpin a revision", "", nullptr, nullptr, 204},
    {"POST", "{S}/checkpoints/{cid}/restore", every_scope, role::writer, restore_checkpoint,
     "Content becomes that of the checkpoint: a new revision; nothing is destroyed", "", nullptr,
     schema_of<revision_body>},
    {"POST", "{S}/undo", every_scope, role::writer, step<undo>, "Content goes back by steps", "",
     schema_of<steps_body>, schema_of<revision_body>},
    {"POST", "{S}/redo", every_scope, role::writer, step<redo>, "The reverse of undo", "",
     schema_of<steps_body>, schema_of<revision_body>},
    {"GET", "{S}/revisions/{n}", every_scope, role::reader, get_revision,
     "State, number of items and usage at an earlier revision", "", nullptr, schema_of<past_body>},
    {"GET", "{S}/diff", every_scope, role::reader, get_diff,
     "What differs between two revisions; `to` is the current one when absent", "from to", nullptr,
     schema_of<diff_body>},
};

}  // namespace

std::span<const route> version_routes() {
  return rows;
}

}  // namespace troupe::api
