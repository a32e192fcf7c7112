#include <troupe/state/change_set.hpp>
#include <troupe/state/decide.hpp>
#include <troupe/state/internal/canonical.hpp>
#include <troupe/state/internal/decider.hpp>
#include <troupe/state/internal/stored.hpp>
#include <troupe/state/json.hpp>
#include <troupe/state/schema.hpp>
#include <troupe/state/session.hpp>

#include <algorithm>
#include <limits>
#include <set>

namespace troupe {

namespace internal {

namespace {

struct payload_size {
  std::size_t operator()(const items_appended& e) const {
    std::size_t sum = 0;
    for (const auto& item : e.items)
      sum += item.bytes().size() + 16;
    return sum;
  }
  std::size_t operator()(const items_restored& e) const {
    std::size_t sum = 0;
    for (const auto& item : e.items)
      sum += item.fields.bytes().size() + 32;
    return sum;
  }
  std::size_t operator()(const entry_set& e) const { return e.key.size() + e.data.bytes().size(); }
  std::size_t operator()(const entry_erased& e) const { return e.key.size(); }
  std::size_t operator()(const content_reverted& e) const { return e.redo.bytes().size(); }
  std::size_t operator()(const auto&) const { return 0; }
};

}  // namespace

std::size_t size_of(const event& what) {
  constexpr std::size_t own = 64;
  return own + std::visit(payload_size{}, what);
}

unexpected refuse_beyond(errc code, std::string message, std::uint64_t limit, std::string path) {
  return unexpected{
      error{.code = code, .message = std::move(message), .path = std::move(path), .limit = limit}};
}

expected<void> check_value(const value& data, std::string path) {
  if (data.bytes().size() > max_value_bytes)
    return refuse_beyond(errc::too_large, "one value is at most 256 KiB of msgpack",
                         max_value_bytes, std::move(path));
  if (well_formed(data.bytes(), troupe::limits{}.depth))
    return {};
  if (well_formed(data.bytes(), std::numeric_limits<std::size_t>::max()))
    return refuse_beyond(
        errc::too_deep,
        "arrays and maps nest deeper than " + std::to_string(troupe::limits{}.depth),
        troupe::limits{}.depth, std::move(path));
  return fail(errc::invalid_value, "strings are UTF-8, keys are strings, numbers are finite",
              std::move(path));
}

expected<void> check_map(std::string_view what, const value& data, std::string path) {
  if (data.type() != value_type::map)
    return fail(errc::wrong_type, std::string{what} + " is an object", std::move(path));
  return check_value(data, std::move(path));
}

expected<void> check_key(std::string_view key, std::string path) {
  if (key.size() > max_key_bytes)
    return refuse_beyond(errc::bad_id, "a key is at most 256 bytes long", max_key_bytes,
                         std::move(path));
  if (!is_utf8(key))
    return fail(errc::bad_id, "a key is UTF-8", std::move(path));
  return {};
}

expected<void> check_name(std::string_view id, std::string path) {
  if (auto ok = checked_id(id); !ok)
    return fail(errc::bad_id, ok.error().message, std::move(path));
  return {};
}

expected<void> check_text(std::string_view text, std::string path) {
  constexpr std::size_t max_text_bytes = 64 << 10;
  if (text.size() > max_text_bytes)
    return refuse_beyond(errc::too_large, "a text is at most 64 KiB", max_text_bytes,
                         std::move(path));
  if (!is_utf8(text))
    return fail(errc::invalid_value, "a text is UTF-8", std::move(path));
  return {};
}

std::string pointer(std::initializer_list<std::string_view> steps) {
  std::string out;
  for (const auto step : steps)
    append_json_pointer(out, step);
  return out;
}

value text_array(const std::vector<std::string>& texts) {
  value_writer out;
  out.begin_array(texts.size());
  for (const auto& text : texts)
    out.string(text);
  return out.finish();
}

expected<void> decider::need(section in) const {
  if (has_section(out.next.kind, in))
    return {};
  return fail(errc::wrong_scope, "a " + std::string{to_string(out.next.kind)} + " has no "
                                     + std::string{rules_of(in).name});
}

void decider::replace(section in, const std::vector<std::pair<std::string, value>>& entries) {
  std::set<std::string_view> kept;
  for (const auto& [key, data] : entries)
    kept.insert(key);
  std::vector<std::string> gone;
  for_each_entry(out.next, in, now(), [&](std::string_view key, const entry&) {
    if (!kept.contains(key))
      gone.emplace_back(key);
  });
  for (const auto& key : gone)
    erase_key(in, key);
  for (const auto& [key, data] : entries)
    set(in, key, data);
}

}  // namespace internal

std::uint64_t usage_counters::total() const noexcept {
  const auto sum = prompt_tokens + completion_tokens;
  return sum < prompt_tokens ? std::numeric_limits<std::uint64_t>::max() : sum;
}

namespace {

bool owns(const entity_state& state, const entity_ref& ref, const principal& who) {
  return who.trusted
         || (!who.user.empty()
             && (ref.kind == entity_kind::user ? ref.id : user_of(state)) == who.user);
}

bool begins(const operation& op) {
  return std::holds_alternative<create>(op) || std::holds_alternative<fork_from>(op);
}

expected<void> check_access(const entity_state& state, const command& what) {
  if (!state.live()) {
    if (begins(what.operations.front()))
      return {};
    return fail(errc::not_found, "no such " + std::string{to_string(what.entity.kind)});
  }
  // What may not be read does not exist, in the same words.
  if (!may(state, what.entity, what.by, access::read))
    return fail(errc::not_found, "no such " + std::string{to_string(what.entity.kind)});
  if (!may(state, what.entity, what.by, access::write))
    return fail(errc::forbidden, "shared with this principal for reading only");
  const auto owners_only = [](const operation& op) {
    const auto* info = std::get_if<update_info>(&op);
    return std::holds_alternative<erase>(op)
           || (info
               && (info->shares || info->ttl_ms || info->limits || info->workflow || info->team));
  };
  const bool anybodys = user_of(state).empty() && what.entity.kind != entity_kind::global;
  if (!owns(state, what.entity, what.by) && !anybodys
      && std::any_of(what.operations.begin(), what.operations.end(), owners_only))
    return fail(errc::forbidden, "only the owner deletes, shares and sets ttl, policy and parents");
  return {};
}

/// It is kept with the change, which must be readable.
expected<void> check_once(const std::optional<idempotency>& once) {
  if (!once)
    return {};
  if (auto ok = internal::check_text(once->principal, "/once/principal"); !ok)
    return ok;
  if (auto ok = internal::check_text(once->key, "/once/key"); !ok)
    return ok;
  if (once->body_hash.size() > max_body_hash_bytes)
    return internal::refuse_beyond(errc::too_large, "the hash of a body is at most 64 bytes",
                                   max_body_hash_bytes, "/once/body_hash");
  return {};
}

expected<void> check_revision(const entity_state& state, const command& what) {
  if (!what.expected_revision || (state.live() && *what.expected_revision == state.revision))
    return {};
  return tl::unexpected(
      error{.code = errc::revision_conflict,
            .message = "expected revision " + std::to_string(*what.expected_revision) + ", found "
                       + (state.live() ? std::to_string(state.revision) : std::string{"none"}),
            .current_revision = state.revision});
}

/// Counting never gets there; a state from elsewhere may begin there.
expected<void> check_numbers(const change& what, const entity_state& after) {
  if (what.events.empty()
      || (what.revision != 0 && what.revision <= max_number && after.last_seq <= max_number))
    return {};
  return internal::refuse_beyond(errc::quota_exceeded,
                                 "revisions and numbers of items end at 2^63 - 1", max_number);
}

expected<void> check_quota(const entity_state& before, const entity_state& after) {
  if (after.bytes() > max_entity_bytes && after.bytes() > before.bytes())
    return internal::refuse_beyond(errc::quota_exceeded,
                                   "a " + std::string{to_string(after.kind)}
                                       + " holds at most 8 MiB of items, keys and values",
                                   max_entity_bytes);
  const auto count = [](const entity_state& x) { return x.entries.size() + x.own.size(); };
  if (count(after) > max_entries && count(after) > count(before))
    return internal::refuse_beyond(errc::quota_exceeded, "an entity has at most 100,000 entries",
                                   max_entries);
  return {};
}

/// The operations in their order. With several, an error says which one it is about.
expected<void> carry_out(internal::decider& decider) {
  const auto& operations = decider.request.operations;
  for (std::size_t i = 0; i < operations.size(); ++i) {
    if (!decider.out.next.live() && !begins(operations[i]))
      return fail(errc::not_found,
                  "no such " + std::string{to_string(decider.request.entity.kind)});
    auto ok = std::visit([&](const auto& op) { return decider(op); }, operations[i]);
    if (!ok && operations.size() > 1)
      ok.error().path = "/operations/" + std::to_string(i) + ok.error().path;
    if (!ok)
      return ok;
  }
  return {};
}

}  // namespace

bool may(const entity_state& state, const entity_ref& ref, const principal& who, access wanted) {
  if (owns(state, ref, who))
    return true;
  if (ref.kind == entity_kind::user)
    return false;
  if (user_of(state).empty()
      || (ref.kind == entity_kind::team
          && find(state, section::members, who.user, internal::always) != nullptr))
    return true;
  const auto* shared = find(state, section::shares, who.user, internal::always);
  return shared != nullptr && !who.user.empty()
         && (wanted == access::read || shared->data.view().as_string() == "write");
}

outcome outcome_of(const change& what) {
  outcome out{.revision = what.revision, .changed = !what.events.empty()};
  for (const auto& e : what.events) {
    if (std::holds_alternative<entity_created>(e) || std::holds_alternative<entity_forked>(e))
      out.created = true;
    else if (const auto* appended = std::get_if<items_appended>(&e)) {
      out.first_seq = out.first_seq == 0 ? appended->first_seq : out.first_seq;
      out.last_seq = appended->first_seq + appended->items.size() - 1;
    } else if (const auto* removed = std::get_if<items_removed>(&e))
      out.removed += removed->removed;
    else if (const auto* set = std::get_if<entry_set>(&e)) {
      if (set->in == section::calls)
        out.loop = verdict_from(set->data);
      else if (set->in == section::usage && set->key == "tokens")
        out.usage = usage_from(set->data);
    }
  }
  return out;
}

expected<decision> decide(const entity_state& state, const command& what,
                          const decide_context& context) {
  if (what.operations.empty())
    return fail(errc::malformed, "a command has at least one operation", "/operations");
  if (what.operations.size() > max_operations)
    return internal::refuse_beyond(errc::too_many_elements,
                                   "a command has at most 1,000 operations", max_operations,
                                   "/operations");
  if (auto ok = check_once(what.once); !ok)
    return tl::unexpected(ok.error());
  if (auto ok = check_access(state, what); !ok)
    return tl::unexpected(ok.error());
  if (auto ok = check_revision(state, what); !ok)
    return tl::unexpected(ok.error());
  decision out{.what = {.revision = state.revision + 1, .at = context.now, .asked_by = what.once},
               .next = state};
  internal::decider decider{what, context, out};
  if (auto ok = carry_out(decider); !ok)
    return tl::unexpected(std::move(ok.error()));
  if (auto ok = check_numbers(out.what, out.next); !ok)
    return tl::unexpected(std::move(ok.error()));
  if (!check_quota(state, out.next))  // what has expired need not be held
    static_cast<void>(decider(drop_expired{}));
  if (auto ok = check_quota(state, out.next); !ok)
    return tl::unexpected(std::move(ok.error()));
  if (decider.bytes > max_change_bytes)
    return internal::refuse_beyond(errc::too_large, "one command changes at most 32 MiB",
                                   max_change_bytes);
  if (context.schemas) {
    if (auto ok = context.schemas->check(out.what, out.next, context.now); !ok)
      return tl::unexpected(std::move(ok.error()));
  }
  if (out.what.events.empty())
    out.what.revision = state.revision;
  finish(out.next, out.what);
  out.answer = outcome_of(out.what);
  return out;
}

expected<std::vector<decision>> decide_all(std::span<const entity_state* const> states,
                                           std::span<const command> commands,
                                           std::span<const decide_context> contexts) {
  const auto order = set_order(commands);
  if (!order)
    return tl::unexpected(order.error());
  if (states.size() != commands.size() || contexts.size() != commands.size()
      || std::find(states.begin(), states.end(), nullptr) != states.end())
    return fail(errc::invalid_value, "each entity has a state and a context");
  std::vector<decision> out(commands.size());
  for (const auto i : *order) {
    auto one = decide(*states[i], commands[i], contexts[i]);
    if (!one) {
      auto refusal = std::move(one.error());
      refusal.path = "/changes/" + std::to_string(i) + refusal.path;
      return tl::unexpected(std::move(refusal));
    }
    out[i] = *std::move(one);
  }
  return out;
}

}  // namespace troupe
