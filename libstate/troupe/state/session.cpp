#include <troupe/state/internal/canonical.hpp>
#include <troupe/state/json.hpp>
#include <troupe/state/merge_patch.hpp>
#include <troupe/state/session.hpp>

#include <limits>
#include <unordered_map>
#include <utility>

namespace troupe {

namespace {

error limit_error(errc code, std::string message, std::uint64_t limit, std::string path) {
  return {.code = code, .message = std::move(message), .path = std::move(path), .limit = limit};
}

/// What is kept must be readable by every reader. Values from JSON and msgpack were checked before;
/// a C++ host can build others.
expected<void> check_data(const value& data, std::string path) {
  if (internal::well_formed(data.bytes(), limits{}.depth))
    return {};
  if (internal::well_formed(data.bytes(), std::numeric_limits<std::size_t>::max()))
    return tl::unexpected(limit_error(
        errc::too_deep, "arrays and maps nest deeper than " + std::to_string(limits{}.depth),
        limits{}.depth, std::move(path)));
  return fail(errc::invalid_value, "strings are UTF-8, keys are strings, numbers are finite",
              std::move(path));
}

expected<void> check_quota(const session_state& state, std::uint64_t added) {
  if (added == 0 || state.bytes + added <= max_session_bytes)
    return {};
  return tl::unexpected(limit_error(errc::quota_exceeded,
                                    "a session holds at most 8 MiB of items, keys and values",
                                    max_session_bytes, ""));
}

expected<void> check_item(const value& item, const std::string& path) {
  if (item.type() != value_type::map)
    return fail(errc::wrong_type, "an item is an object", path);
  if (item.bytes().size() > max_value_bytes)
    return tl::unexpected(limit_error(errc::too_large, "an item is at most 256 KiB of msgpack",
                                      max_value_bytes, path));
  for (const char* field : {"seq", "at"}) {
    if (item.view().find(field))
      return fail(errc::reserved_field, std::string{"'"} + field + "' belongs to Troupe",
                  path + '/' + field);
  }
  return check_data(item, path);
}

expected<void> check_key(std::string_view key) {
  if (key.size() > max_key_bytes)
    return tl::unexpected(
        limit_error(errc::bad_id, "a state key is at most 256 bytes long", max_key_bytes, ""));
  if (!is_utf8(key))
    return fail(errc::bad_id, "a state key is UTF-8");
  return {};
}

expected<void> check_value(std::string_view key, const value& data) {
  std::string path;
  append_json_pointer(path, key);
  if (data.bytes().size() <= max_value_bytes)
    return check_data(data, std::move(path));
  return tl::unexpected(limit_error(errc::too_large, "a state value is at most 256 KiB of msgpack",
                                    max_value_bytes, std::move(path)));
}

std::uint64_t entry_bytes(std::string_view key, const value& data) {
  return key.size() + data.bytes().size();
}

/// The key-value state while one command is decided: what the command wrote so far over what was
/// there.
class pending_keys {
public:
  explicit pending_keys(const session_state& state) : state_{state} {}

  [[nodiscard]] const value* find(const std::string& key) const {
    if (const auto written = written_.find(key); written != written_.end())
      return written->second ? &*written->second : nullptr;
    const auto* entry = state_.entries.find(key);
    return entry ? &entry->data : nullptr;
  }

  expected<void> set(const std::string& key, value data, std::vector<session_event>& events) {
    if (auto ok = check_key(key); !ok)
      return ok;
    if (auto ok = check_value(key, data); !ok)
      return ok;
    if (const auto* now = find(key); now && *now == data)
      return {};
    events.push_back(key_set{key, data});
    written_[key] = std::move(data);
    return {};
  }

  void erase(const std::string& key, std::vector<session_event>& events) {
    if (!find(key))
      return;
    events.push_back(key_deleted{key});
    written_[key] = std::nullopt;
  }

  /// Bytes that the command adds to the session; 0 when it frees as much.
  [[nodiscard]] std::uint64_t added_bytes() const {
    std::uint64_t before = 0, after = 0;
    for (const auto& [key, data] : written_) {
      if (const auto* entry = state_.entries.find(key))
        before += entry_bytes(key, entry->data);
      if (data)
        after += entry_bytes(key, *data);
    }
    return after > before ? after - before : 0;
  }

private:
  const session_state& state_;
  std::unordered_map<std::string, std::optional<value>> written_;
};

/// Decides one command; the frame around it (revision, expectation, answer) is `decide`'s.
struct decider {
  const session_state& state;
  decision& out;

  std::vector<session_event>& events() { return out.what.events; }

  expected<void> operator()(const create_session& c) {
    if (state.live()) {
      if (c.only_if_absent)
        return tl::unexpected(error{.code = errc::already_exists,
                                    .message = "the session is there already",
                                    .current_revision = state.revision});
      return {};
    }
    if (!c.user.empty()) {
      if (auto id = checked_id(c.user); !id)
        return fail(errc::bad_id, "user: " + id.error().message, "/user");
    }
    if (c.metadata.type() != value_type::map)
      return fail(errc::wrong_type, "metadata is an object", "/metadata");
    if (auto ok = check_value("metadata", c.metadata); !ok)
      return ok;
    out.answer.created = true;
    events().push_back(session_created{c.user, c.metadata});
    return {};
  }

  expected<void> operator()(const delete_session&) {
    events().push_back(session_deleted{});
    return {};
  }

  expected<void> operator()(const append_items& c) {
    if (c.items.empty())
      return fail(errc::malformed, "an append has at least one item", "/items");
    if (c.items.size() > max_items_per_append)
      return tl::unexpected(limit_error(errc::too_many_elements,
                                        "an append has at most 1,000 items", max_items_per_append,
                                        "/items"));
    std::uint64_t added = 0;
    for (std::size_t i = 0; i < c.items.size(); ++i) {
      if (auto ok = check_item(c.items[i], "/items/" + std::to_string(i)); !ok)
        return ok;
      added += c.items[i].bytes().size();
    }
    if (auto ok = check_quota(state, added); !ok)
      return ok;
    out.answer.first_seq = state.last_seq + 1;
    out.answer.last_seq = state.last_seq + c.items.size();
    events().push_back(items_appended{out.answer.first_seq, c.items});
    return {};
  }

  expected<void> operator()(const patch_state& c) {
    pending_keys keys{state};
    for (const auto& op : c.ops) {
      if (const auto* set = std::get_if<set_key>(&op)) {
        if (auto ok = keys.set(set->key, set->data, events()); !ok)
          return ok;
      } else {
        keys.erase(std::get<delete_key>(op).key, events());
      }
    }
    return check_quota(state, keys.added_bytes());
  }

  expected<void> operator()(const merge_state& c) {
    if (c.patch.type() != value_type::map)
      return fail(errc::wrong_type, "a merge patch of the state is an object");
    pending_keys keys{state};
    for (auto member = c.patch.view().children(); member.next();) {
      const std::string key{member.key()};
      if (member.item().is_null()) {
        keys.erase(key, events());
        continue;
      }
      const auto* old = keys.find(key);
      auto merged = merge_patch(old ? old->view() : value_view{}, member.item());
      if (auto ok = keys.set(key, std::move(merged), events()); !ok)
        return ok;
    }
    return check_quota(state, keys.added_bytes());
  }
};

/// Applies events to a state; each is total.
struct evolver {
  session_state& state;
  const change& what;

  void operator()(const session_created& e) {
    state.status = lifecycle::live;
    state.created = what.at;
    state.user = e.user;
    state.metadata = e.metadata;
  }

  void operator()(const session_deleted&) {
    const auto revision = state.revision;
    state = session_state{};
    state.status = lifecycle::deleted;
    state.revision = revision;
  }

  void operator()(const items_appended& e) {
    auto seq = e.first_seq;
    for (const auto& item : e.items) {
      state.items.push_back({seq, what.at, item});
      state.bytes += item.bytes().size();
      state.last_seq = seq++;
    }
  }

  void operator()(const key_set& e) {
    forget_bytes(e.key);
    state.bytes += entry_bytes(e.key, e.data);
    state.entries.set(e.key, {e.data, what.revision});
  }

  void operator()(const key_deleted& e) {
    forget_bytes(e.key);
    state.entries.erase(e.key);
  }

  void forget_bytes(const std::string& key) {
    if (const auto* old = state.entries.find(key))
      state.bytes -= entry_bytes(key, old->data);
  }
};

}  // namespace

bool operator==(const session_state& a, const session_state& b) {
  if (a.status != b.status || a.revision != b.revision || a.created != b.created
      || a.last_activity != b.last_activity || a.user != b.user || !(a.metadata == b.metadata)
      || a.last_seq != b.last_seq || a.bytes != b.bytes || a.items.size() != b.items.size()
      || a.entries.size() != b.entries.size())
    return false;
  for (std::size_t i = 0; i < a.items.size(); ++i) {
    if (!(a.items[i] == b.items[i]))
      return false;
  }
  for (const auto& [key, entry] : a.entries) {
    const auto* other = b.entries.find(key);
    if (!other || !(*other == entry))
      return false;
  }
  return true;
}

expected<decision> decide(const session_state& state, const session_command& command, timestamp now,
                          std::optional<std::uint64_t> expected_revision) {
  if (!state.live() && !std::holds_alternative<create_session>(command))
    return fail(errc::not_found, "no such session");
  if (expected_revision && (!state.live() || *expected_revision != state.revision))
    return tl::unexpected(error{
        .code = errc::revision_conflict,
        .message = "expected revision " + std::to_string(*expected_revision) + ", found "
                   + (state.live() ? std::to_string(state.revision) : std::string{"no session"}),
        .current_revision = state.revision});
  decision out;
  if (auto ok = std::visit(decider{state, out}, command); !ok)
    return tl::unexpected(std::move(ok.error()));
  out.answer.changed = !out.what.events.empty();
  out.answer.revision = out.what.revision = state.revision + (out.answer.changed ? 1 : 0);
  out.what.at = now;
  return out;
}

session_state evolve(session_state state, const change& what) {
  state.revision = what.revision;
  for (const auto& event : what.events)
    std::visit(evolver{state, what}, event);
  state.last_activity = what.at;
  return state;
}

}  // namespace troupe
