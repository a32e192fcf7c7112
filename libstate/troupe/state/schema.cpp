#include <troupe/state/internal/canonical.hpp>
#include <troupe/state/internal/decider.hpp>
#include <troupe/state/json.hpp>
#include <troupe/state/schema.hpp>

#include <algorithm>

namespace troupe {

namespace {

unexpected refused(const error& reason, std::string path) {
  return fail(errc::invalid_by_schema, reason.message, std::move(path));
}

std::string key_path(std::string_view key) {
  std::string out;
  append_json_pointer(out, key);
  return out;
}

expected<void> check_key(const schema_version& rules, std::string_view key, value_view data) {
  const auto checker = rules.keys.find(key);
  if (checker == rules.keys.end())
    return {};
  if (auto ok = checker->second(data); !ok)
    return refused(ok.error(), key_path(key) + ok.error().path);
  return {};
}

/// None is empty, since calling it would throw.
expected<void> check_functions(const schema_version& one) {
  const auto version = "version " + std::to_string(one.version);
  for (const auto& [key, checker] : one.keys) {
    if (!checker)
      return fail(errc::invalid_value, version + " has an empty function for a key", key_path(key));
  }
  if (std::any_of(one.rules.begin(), one.rules.end(), [](const auto& rule) { return !rule; }))
    return fail(errc::invalid_value, version + " has an empty rule");
  return {};
}

bool is_map(const value& x) {
  return x.type() == value_type::map && internal::well_formed(x.bytes(), limits{}.depth + 1);
}

/// The events that make the state hold exactly these keys.
std::vector<event> steps_to(value_view wanted, const entity_state& state, timestamp now) {
  std::vector<event> steps;
  for_each_entry(state, section::state, now, [&](std::string_view key, const entry&) {
    if (!wanted.find(key))
      steps.emplace_back(entry_erased{section::state, std::string{key}});
  });
  for (auto key = wanted.children(); key.next();) {
    const auto* old = find(state, section::state, key.key(), now);
    if (!old || !(old->data.view() == key.item()))
      steps.emplace_back(entry_set{section::state, std::string{key.key()}, value{key.item()},
                                   old ? old->expires : timestamp{}});
  }
  return steps;
}

event follows(const std::string& id, std::uint32_t version) {
  return entry_set{section::schema, "id", value::array({id, version}), timestamp{}};
}

entity_state after_steps(entity_state state, const std::vector<event>& steps, timestamp now) {
  for (const auto& step : steps)
    apply(state, step, state.revision, now);
  return state;
}

expected<void> check_rules(const schema_version& rules, const entity_state& state) {
  for (const auto& rule : rules.rules) {
    if (auto ok = rule(state); !ok)
      return refused(ok.error(), ok.error().path);
  }
  return {};
}

/// What a migration made can be kept, and the version takes it.
expected<void> check_migrated(const std::string& id, const schema_version& rules, value_view map,
                              const entity_state& state, timestamp now) {
  for (auto key = map.children(); key.next();) {
    if (auto ok = internal::check_key(key.key(), key_path(key.key())); !ok)
      return refused(ok.error(), ok.error().path);
    if (auto ok = internal::check_value(value{key.item()}, key_path(key.key())); !ok)
      return refused(ok.error(), ok.error().path);
    if (auto ok = check_key(rules, key.key(), key.item()); !ok)
      return ok;
  }
  auto steps = steps_to(map, state, now);
  steps.push_back(follows(id, rules.version));
  return check_rules(rules, after_steps(state, steps, now));
}

}  // namespace

expected<void> schema_registry::add(std::string id, std::vector<schema_version> versions) {
  if (auto ok = checked_id(id); !ok)
    return tl::unexpected(ok.error());
  if (versions.empty())
    return fail(errc::invalid_value, "a schema has at least one version");
  if (versions.front().version == 0)
    return fail(errc::invalid_value, "versions count from 1");
  for (std::size_t i = 0; i < versions.size(); ++i) {
    const auto& one = versions[i];
    if (one.version != versions.front().version + i)
      return fail(errc::invalid_value, "versions ascend by one");
    if (i > 0 && !one.migrate)
      return fail(errc::invalid_value,
                  "version " + std::to_string(one.version) + " has no migration");
    if (auto ok = check_functions(one); !ok)
      return ok;
  }
  if (!schemas_.emplace(std::move(id), std::move(versions)).second)
    return fail(errc::already_exists, "this schema is registered");
  return {};
}

expected<const std::vector<schema_version>*> schema_registry::find(const schema_id& schema) const {
  const auto found = schemas_.find(schema.id);
  if (found == schemas_.end())
    return fail(errc::unknown_schema, "schema '" + schema.id + "' is not registered here");
  const auto& versions = found->second;
  if (schema.version < versions.front().version || schema.version > versions.back().version)
    return fail(errc::unknown_schema, "schema '" + schema.id + "' is registered for versions "
                                          + std::to_string(versions.front().version) + " to "
                                          + std::to_string(versions.back().version) + ", not "
                                          + std::to_string(schema.version));
  return &versions;
}

expected<void> schema_registry::known(const schema_id& schema) const {
  return find(schema).map([](auto) {});
}

expected<value> schema_registry::read(const entity_state& state, timestamp now) const {
  auto map = section_as_map(state, section::state, now);
  const auto schema = schema_of(state);
  if (!schema)
    return map;
  const auto versions = find(*schema);
  if (!versions)
    return tl::unexpected(versions.error());
  bool migrated = false;
  for (const auto& step : **versions) {
    if (step.version <= schema->version)
      continue;
    auto next = step.migrate(map);
    if (!next)
      return tl::unexpected(next.error());
    if (!is_map(*next))
      return fail(errc::invalid_by_schema, "the migration to version "
                                               + std::to_string(step.version)
                                               + " gives no object that can be kept");
    map = *std::move(next);
    migrated = true;
  }
  if (migrated) {
    if (auto ok = check_migrated(schema->id, (*versions)->back(), map, state, now); !ok)
      return tl::unexpected(ok.error());
  }
  return map;
}

expected<std::vector<event>> schema_registry::migrate(const entity_state& state,
                                                      timestamp now) const {
  std::vector<event> steps;
  const auto schema = schema_of(state);
  if (!schema)
    return steps;
  const auto versions = find(*schema);
  if (!versions)
    return tl::unexpected(versions.error());
  const auto newest = (*versions)->back().version;
  if (newest == schema->version)
    return steps;
  const auto wanted = read(state, now);
  if (!wanted)
    return tl::unexpected(wanted.error());
  steps = steps_to(*wanted, state, now);
  steps.push_back(follows(schema->id, newest));
  return steps;
}

expected<migration_preview> schema_registry::preview(const entity_state& state,
                                                     timestamp now) const {
  const auto steps = migrate(state, now);
  if (!steps)
    return tl::unexpected(steps.error());
  const auto from = schema_of(state).value_or(schema_id{});
  const auto after = after_steps(state, *steps, now);
  return migration_preview{from, schema_of(after).value_or(from), diff(state, after)};
}

expected<void> schema_registry::check(const change& what, const entity_state& next,
                                      timestamp now) const {
  const auto schema = schema_of(next);
  const auto is_state = [](const event& e) {
    const auto* set = std::get_if<entry_set>(&e);
    const auto* erased = std::get_if<entry_erased>(&e);
    const auto* cleared = std::get_if<section_cleared>(&e);
    return (set && set->in == section::state) || (erased && erased->in == section::state)
           || (cleared && cleared->in == section::state);
  };
  if (!schema || std::none_of(what.events.begin(), what.events.end(), is_state))
    return {};
  const auto versions = find(*schema);
  if (!versions)
    return tl::unexpected(versions.error());
  const auto rules = std::find_if((*versions)->begin(), (*versions)->end(),
                                  [&](const auto& v) { return v.version == schema->version; });
  for (const auto& e : what.events) {
    const auto* set = std::get_if<entry_set>(&e);
    const auto* kept = set && set->in == section::state
                           ? troupe::find(next, section::state, set->key, now)
                           : nullptr;
    if (kept) {
      if (auto ok = check_key(*rules, set->key, kept->data); !ok)
        return ok;
    }
  }
  return check_rules(*rules, next);
}

}  // namespace troupe
