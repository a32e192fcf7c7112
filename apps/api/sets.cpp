#include <troupe/state/change_set.hpp>

#include "api/entity_name.hpp"
#include "api/ops.hpp"
#include "api/route.hpp"

#include <algorithm>
#include <utility>

/// Several entities in one step: change sets and checkpoints of all scopes.
namespace troupe::api {

expected<entity_kind> kind_of(std::string_view scope, std::string path) {
  using enum entity_kind;
  for (const auto kind : {session, workflow, team, user, global}) {
    if (scope == to_string(kind))
      return kind;
  }
  return fail(errc::invalid_value, "one of session, workflow, team, user and global is expected",
              std::move(path));
}

expected<entity_ref> entity_of(std::string_view scope, const std::optional<std::string>& id,
                               const std::string& path) {
  const auto kind = kind_of(scope, path + "/scope");
  if (!kind)
    return tl::unexpected(kind.error());
  if (!id && *kind != entity_kind::global)
    return fail(errc::wrong_type, "`id` is missing", path + "/id");
  auto checked = checked_id(id.value_or("global"));
  if (!checked)
    return tl::unexpected(std::move(checked.error()));
  return entity_ref{{}, *kind, *std::move(checked)};
}

namespace {

struct change_body {
  std::string scope{};
  std::optional<std::string> id{};
  std::optional<std::uint64_t> expected{};
  std::vector<op_body> ops{};
  static constexpr auto fields =
      std::tuple{field{"scope", &change_body::scope}, field{"id", &change_body::id},
                 field{"expected", &change_body::expected}, defaulted{"ops", &change_body::ops}};
};
struct changes_body {
  std::vector<change_body> changes{};
  static constexpr auto fields = std::tuple{field{"changes", &changes_body::changes}};
};
struct changed_body {
  std::string scope{}, id{};
  std::uint64_t revision = 0;
  static constexpr auto fields =
      std::tuple{field{"scope", &changed_body::scope}, field{"id", &changed_body::id},
                 field{"revision", &changed_body::revision}};
};
struct set_answer {
  std::vector<changed_body> changes{};
  static constexpr auto fields = std::tuple{field{"changes", &set_answer::changes}};
};
struct checkpoint_all_body {
  std::string scope{};
  std::optional<std::string> id{};
  std::string name{};
  std::vector<std::string> tags{};
  value metadata = value::map({});
  static constexpr auto fields = std::tuple{
      field{"scope", &checkpoint_all_body::scope}, field{"id", &checkpoint_all_body::id},
      defaulted{"name", &checkpoint_all_body::name}, defaulted{"tags", &checkpoint_all_body::tags},
      defaulted{"metadata", &checkpoint_all_body::metadata}};
};
struct restore_all_body {
  std::string scope{};
  std::optional<std::string> id{};
  static constexpr auto fields =
      std::tuple{field{"scope", &restore_all_body::scope}, field{"id", &restore_all_body::id}};
};
struct checkpoint_all_answer {
  std::string id{};
  std::uint64_t entities = 0;
  static constexpr auto fields = std::tuple{field{"id", &checkpoint_all_answer::id},
                                            field{"entities", &checkpoint_all_answer::entities}};
};

answer durable(answer what) {
  what.headers.push_back({"Troupe-Durable", "true"});
  return what;
}

expected<change_set> to_set(changes_body body, const call& c) {
  const auto envelope = c.envelope();
  if (!envelope)
    return tl::unexpected(envelope.error());
  if (body.changes.size() > max_changes_in_set)
    return fail(errc::too_many_elements, "a change set has eight changes at most", "/changes");
  change_set out{.commands = {}, .once = envelope->once};
  for (auto& one : body.changes) {
    const auto path = "/changes/" + std::to_string(out.commands.size());
    auto entity = entity_of(one.scope, one.id, path);
    if (!entity)
      return tl::unexpected(std::move(entity.error()));
    auto ops = to_ops(std::move(one.ops), path + "/ops");
    if (!ops)
      return tl::unexpected(std::move(ops.error()));
    command next{.entity = *std::move(entity), .expected_revision = one.expected};
    if (!ops->empty())
      next.operations = {patch_state{*std::move(ops)}};
    out.commands.push_back(std::move(next));
  }
  return out;
}

void post_changes(const call_ptr& c) {
  auto body = c->body_as<changes_body>();
  if (!body)
    return c->refuse(body.error());
  auto what = to_set(*std::move(body), *c);
  if (!what)
    return c->refuse(what.error());
  std::vector<changed_body> shown;
  for (const auto& one : what->commands)
    shown.push_back({std::string{to_string(one.entity.kind)}, one.entity.id, 0});
  c->doors.execute_all(c->who, *std::move(what),
                       [c, shown = std::move(shown)](expected<change_set_result> done) mutable {
                         if (!done)
                           return c->refuse(done.error());
                         for (std::size_t i = 0; i < shown.size(); ++i)
                           shown[i].revision = done->answers[i].revision;
                         c->send(durable(to_answer(set_answer{std::move(shown)})));
                       });
}

expected<entity_access> named(const call& c, std::string_view scope,
                              const std::optional<std::string>& id) {
  const auto entity = entity_of(scope, id, "");
  if (!entity)
    return tl::unexpected(entity.error());
  return c.doors.resolve(c.who, entity->kind, entity->id);
}

void post_checkpoint_all(const call_ptr& c) {
  auto body = c->body_as<checkpoint_all_body>();
  if (!body)
    return c->refuse(body.error());
  const auto of = named(*c, body->scope, body->id);
  if (!of)
    return c->refuse(of.error());
  auto envelope = c->envelope();
  if (!envelope)
    return c->refuse(envelope.error());
  const auto id = c->new_id();
  c->doors.checkpoint_all(c->who, *of,
                          {.id = id,
                           .name = std::move(body->name),
                           .tags = std::move(body->tags),
                           .metadata = std::move(body->metadata)},
                          std::move(envelope->once), [c, id](expected<change_set_result> done) {
                            if (!done)
                              return c->refuse(done.error());
                            auto out = to_answer(checkpoint_all_answer{id, done->answers.size()});
                            out.status = 201;
                            c->send(durable(std::move(out)));
                          });
}

void post_restore_all(const call_ptr& c) {
  const auto body = c->body_as<restore_all_body>();
  if (!body)
    return c->refuse(body.error());
  const auto of = named(*c, body->scope, body->id);
  if (!of)
    return c->refuse(of.error());
  auto envelope = c->envelope();
  if (!envelope)
    return c->refuse(envelope.error());
  c->doors.restore_all(
      c->who, *of, c->parameters[0], std::move(envelope->once),
      [c, id = c->parameters[0]](expected<change_set_result> done) {
        if (!done)
          return c->refuse(done.error());
        c->send(durable(to_answer(checkpoint_all_answer{id, done->answers.size()})));
      });
}

constexpr route rows[] = {
    {"POST", "/v1/changes", no_scope, role::writer, post_changes,
     "Change up to eight entities in one step: all of it or nothing", "", schema_of<changes_body>,
     schema_of<set_answer>},
    {"POST", "/v1/checkpoints", no_scope, role::writer, post_checkpoint_all,
     "One checkpoint of an entity and of all scopes above it", "", schema_of<checkpoint_all_body>,
     schema_of<checkpoint_all_answer>, 201},
    {"POST", "/v1/checkpoints/{cid}/restore", no_scope, role::writer, post_restore_all,
     "Bring back all of its entities or none: new revisions; nothing is destroyed", "",
     schema_of<restore_all_body>, schema_of<checkpoint_all_answer>},
};

}  // namespace

std::span<const route> set_routes() {
  return rows;
}

}  // namespace troupe::api
