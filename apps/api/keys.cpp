#include <troupe/state/inherit.hpp>
#include <troupe/state/json.hpp>

#include "api/conditional.hpp"
#include "api/ops.hpp"
#include "api/route.hpp"
#include "api/writer.hpp"

#include <algorithm>
#include <map>
#include <memory>
#include <utility>

/// {S}/state: the key-value state.
namespace troupe::api {

namespace {

constexpr std::string_view ops_json = "application/vnd.troupe.ops+json";
constexpr std::string_view merge_json = "application/merge-patch+json";

struct state_body {
  std::uint64_t revision = 0;
  any_object state{};
  std::optional<std::map<std::string, std::string>> sources{};
  static constexpr auto fields =
      std::tuple{field{"revision", &state_body::revision}, field{"state", &state_body::state},
                 field{"sources", &state_body::sources}};
};

// Reading ----------------------------------------------------------------------------------------

/// `?keys=a,b&keys=c`: the keys that are asked for; nothing: all.
std::optional<std::vector<std::string>> wanted_keys(const call& c) {
  std::optional<std::vector<std::string>> out;
  for (const auto& parameter : c.target.query) {
    if (parameter.name != "keys")
      continue;
    if (!out)
      out.emplace();
    for (std::size_t at = 0; at <= parameter.value.size();) {
      const auto end = std::min(parameter.value.find(',', at), parameter.value.size());
      out->push_back(parameter.value.substr(at, end - at));
      at = end + 1;
    }
  }
  if (out) {
    std::ranges::sort(*out);
    out->erase(std::unique(out->begin(), out->end()), out->end());
  }
  return out;
}

answer state_answer(const call& c, const entity_state& state) {
  const auto now = c.doors.now();
  map_writer keys;
  if (const auto wanted = wanted_keys(c)) {
    for (const auto& key : *wanted) {
      if (const auto* held = find(state, section::state, key, now))
        keys.any(key, held->data);
    }
  } else {
    for_each_entry(state, section::state, now,
                   [&](std::string_view key, const entry& held) { keys.any(key, held.data); });
  }
  const auto body = keys.finish();
  return {200,
          map_writer{}.number("revision", state.revision).any("state", value_view{body}).finish(),
          state.revision,
          {}};
}

/// They go without a revision, and so without another ETag.
bool has_keys_that_end(const entity_state& state) {
  bool out = false;
  for_each_entry(state, section::state, {},
                 [&](std::string_view, const entry& held) { out |= held.expires.ms != 0; });
  return out;
}

/// The states of {S} and of the scopes behind it, read one after the other.
struct inherited_read : std::enable_shared_from_this<inherited_read> {
  explicit inherited_read(call_ptr asked) : c{std::move(asked)} {}

  call_ptr c;
  bool latest = false;
  std::vector<entity_ref> chain{};
  std::vector<runtime::snapshot> states{};  // null: there is none that may be read

  void begin(runtime::snapshot self) {
    chain = scope_chain(c->entity.ref(), *self);
    states.push_back(std::move(self));
    next();
  }

  void next() {
    if (states.size() == chain.size())
      return finish();
    const auto& ref = chain[states.size()];
    const auto scope = c->doors.resolve(c->who, ref.kind, ref.id);
    if (!scope)
      return c->refuse(scope.error());
    scope->read(latest, [self = shared_from_this()](expected<runtime::snapshot> state) {
      if (!state && state.error().code != errc::not_found)
        return self->c->refuse(state.error());
      self->take(state ? *std::move(state) : nullptr);
    });
  }

  void take(runtime::snapshot state) {
    const bool workflow = chain[states.size()].kind == entity_kind::workflow;
    states.push_back(std::move(state));
    if (workflow && states.back())  // its team stands in for one that the session does not name
      chain = scope_chain(c->entity.ref(), *states.front(), states.back().get());
    next();
  }

  void finish() const {
    std::vector<scope_view> scopes;
    for (std::size_t i = 0; i < chain.size(); ++i)
      scopes.push_back({chain[i], states[i].get()});
    const auto wanted = wanted_keys(*c);
    map_writer keys, sources;
    for (const auto& one : inherit_all(scopes, c->doors.now())) {
      if (wanted && !std::ranges::binary_search(*wanted, one.key))
        continue;
      keys.any(one.key, one.held->data);
      sources.text(one.key, to_string(one.source.kind));
    }
    const auto state = keys.finish(), from = sources.finish();
    const auto revision = states.front()->revision;
    c->send(answer{200,
                   map_writer{}
                       .number("revision", revision)
                       .any("state", value_view{state})
                       .any("sources", value_view{from})
                       .finish(),
                   revision,
                   {}});
  }
};

void get_state(const call_ptr& c) {
  const auto inherits = c->flag("inherit");
  if (!inherits)
    return c->refuse(inherits.error());
  if (!*inherits)
    return read(c, [c](const entity_state& state) {
      auto out = state_answer(*c, state);
      return has_keys_that_end(state) ? out : unless_known(*c, std::move(out));
    });
  const auto latest = c->latest();
  if (!latest)
    return c->refuse(latest.error());
  auto reading = std::make_shared<inherited_read>(c);
  reading->latest = *latest;
  c->entity.read(*latest, [reading](expected<runtime::snapshot> state) {
    if (!state)
      return reading->c->refuse(state.error());
    reading->begin(*std::move(state));
  });
}

void get_key(const call_ptr& c) {
  read(c, [c](const entity_state& state) -> expected<answer> {
    const auto* held = find(state, section::state, c->parameters[0], c->doors.now());
    if (!held)
      return fail(errc::not_found, "no such key");
    answer out{200, std::string{held->data.bytes()}, held->revision, {}};
    if (held->expires.ms != 0)
      out.headers.push_back({"Troupe-Expires", to_rfc3339(held->expires)});
    return unless_known(*c, std::move(out));
  });
}

// Operations -------------------------------------------------------------------------------------

struct ops_body {
  std::vector<op_body> ops{};
  static constexpr auto fields = std::tuple{field{"ops", &ops_body::ops}};
};

/// A merge patch, or operations under their own type.
expected<operation> to_patch(const call& c) {
  if (!http::iequals(c.media_type(), ops_json)) {
    auto patch = c.body(merge_json);
    if (!patch && patch.error().code == errc::unsupported_media_type)
      patch.error().message += ", for operations " + std::string{ops_json};
    if (!patch)
      return tl::unexpected(std::move(patch.error()));
    if (patch->type() != value_type::map)
      return fail(errc::wrong_type, "a merge patch of the state is an object");
    return merge_state{*std::move(patch)};
  }
  const auto body = c.body(ops_json);
  if (!body)
    return tl::unexpected(body.error());
  auto given = from_value<ops_body>(*body, unknown_members::refused);
  if (!given)
    return tl::unexpected(std::move(given.error()));
  auto ops = to_ops(std::move(given->ops), "/ops");
  if (!ops)
    return tl::unexpected(std::move(ops.error()));
  return patch_state{*std::move(ops)};
}

/// Where in the body the value stands that was not as expected, when one operation alone is of that
/// key; else all of them are named.
error in_body(error why, const operation& patch) {
  const auto* given = std::get_if<patch_state>(&patch);
  if (why.code != errc::cas_mismatch || given == nullptr)
    return why;
  std::vector<std::size_t> at;
  for (std::size_t i = 0; i < given->ops.size(); ++i) {
    const auto* one = std::get_if<compare_and_set>(&given->ops[i]);
    std::string path;
    if (one != nullptr)
      append_json_pointer(path, one->key);
    if (one != nullptr && path == why.path)
      at.push_back(i);
  }
  why.path = at.size() == 1 ? "/ops/" + std::to_string(at.front()) + "/expected" : "/ops";
  return why;
}

void patch_state_keys(const call_ptr& c) {
  auto patch = to_patch(*c);
  if (!patch)
    return c->refuse(patch.error());
  const auto expected_revision = c->if_match();
  if (!expected_revision)
    return c->refuse(expected_revision.error());
  execute(c, c->entity, {*patch}, *expected_revision,
          [c, patch = *patch](expected<command_result> result) {
            if (!result)
              return c->refuse(in_body(std::move(result.error()), patch));
            send_result(c, revision_answer(*result), *result);
          });
}

// One key ----------------------------------------------------------------------------------------

/// A key's ETag is its own revision: what the state model calls `cas_mismatch` is here a
/// precondition that failed.
error as_precondition(error why, bool absent) {
  if (why.code == errc::cas_mismatch) {
    why.code = absent ? errc::already_exists : errc::revision_conflict;
    if (absent)
      why.message = "the key is there already";
  }
  return why;
}

/// Executes on one key under `If-Match` and `If-None-Match: *`, which are about the key.
template <class Op>
void execute_on_key(const call_ptr& c, Op op, std::function<answer(const command_result&)> shape) {
  const auto revision = c->if_match();
  if (!revision)
    return c->refuse(revision.error());
  const auto absent = c->if_absent();
  if (!absent)
    return c->refuse(absent.error());
  if (*absent && *revision)
    return c->refuse({errc::malformed, "If-Match and If-None-Match contradict each other"});
  op.key = c->parameters[0];
  op.expected_revision = *absent ? std::optional<std::uint64_t>{0} : *revision;
  execute(c, c->entity, {patch_state{{std::move(op)}}}, std::nullopt,
          [c, absent = *absent, shape = std::move(shape)](expected<command_result> result) {
            if (!result)
              return c->refuse(as_precondition(std::move(result.error()), absent));
            send_result(c, shape(*result), *result);
          });
}

void put_key(const call_ptr& c) {
  auto data = c->body();
  if (!data)
    return c->refuse(data.error());
  const auto ttl = c->number("ttl_s");
  if (!ttl)
    return c->refuse(ttl.error());
  if (ttl->value_or(0) > max_ttl_s)
    return c->refuse(ttl_beyond("ttl_s"));
  set_key op{.key = {}, .data = *std::move(data)};
  if (*ttl)
    op.ttl_ms = **ttl * 1000;
  execute_on_key(c, std::move(op), [c](const command_result& result) {
    auto out = revision_answer(result);
    const auto* held = find(*result.state, section::state, c->parameters[0], c->doors.now());
    if (!result.changed && held != nullptr)
      out.etag = held->revision;
    return out;
  });
}

void delete_one_key(const call_ptr& c) {
  execute_on_key(c, delete_key{}, [](const command_result&) { return answer{204, {}, {}, {}}; });
}

constexpr route rows[] = {
    {"GET", "{S}/state", every_scope, role::reader, get_state,
     "Key-value state; `inherit` merges the scopes behind it and names each key's source",
     "keys inherit consistency", nullptr, schema_of<state_body>},
    {"PATCH", "{S}/state", every_scope, role::writer, patch_state_keys,
     "A merge patch (RFC 7396), or operations under application/vnd.troupe.ops+json: all or none",
     "", schema_of<any_object>, schema_of<revision_body>},
    {"GET", "{S}/state/{key}", every_scope, role::reader, get_key,
     "One key's value; the ETag is the key's own", "consistency", nullptr, schema_of<value>},
    {"PUT", "{S}/state/{key}", every_scope, role::writer, put_key, "Set one key", "ttl_s",
     schema_of<value>, schema_of<revision_body>},
    {"DELETE", "{S}/state/{key}", every_scope, role::writer, delete_one_key, "Delete one key", "",
     nullptr, nullptr, 204},
};

}  // namespace

std::span<const route> state_routes() {
  return rows;
}

}  // namespace troupe::api
