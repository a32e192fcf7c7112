#pragma once

/// The language of the tests about sessions: a session that is told what to do, random commands,
/// and the rules of a session once more in the plainest way.

#include <troupe/state/codec.hpp>
#include <troupe/state/session.hpp>

#include "generate.hpp"
#include "naive.hpp"
#include "printing.hpp"
#include <doctest/doctest.h>

#include <map>
#include <optional>
#include <ostream>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace troupe {

inline std::ostream& operator<<(std::ostream& out, const outcome& x) {
  return out << "revision " << x.revision << (x.changed ? " changed" : " unchanged")
             << (x.created ? " created" : "") << ' ' << x.first_seq << ".." << x.last_seq;
}

}  // namespace troupe

namespace troupe::testing {

/// "1 @ 1000: created ann {}; items 1 [{}]; set a = 1; delete a; deleted"
inline std::string describe(const change& what) {
  std::string out = std::to_string(what.revision) + " @ " + std::to_string(what.at.ms) + ':';
  struct printer {
    std::string& out;
    void operator()(const session_created& e) {
      out += " created " + e.user + ' ' + to_json(e.metadata);
    }
    void operator()(const session_deleted&) { out += " deleted"; }
    void operator()(const items_appended& e) {
      out += " items " + std::to_string(e.first_seq) + ' ' + to_json(array_of(e.items));
    }
    void operator()(const key_set& e) { out += " set " + e.key + " = " + to_json(e.data); }
    void operator()(const key_deleted& e) { out += " delete " + e.key; }
  };
  for (std::size_t i = 0; i < what.events.size(); ++i) {
    if (i > 0)
      out += ';';
    std::visit(printer{out}, what.events[i]);
  }
  return out;
}

inline value json(std::string_view text) {
  auto out = value_from_json(text);
  REQUIRE_MESSAGE(out.has_value(), text);
  return *out;
}

/// A session, a clock that stands still unless it is moved, and all that was decided.
struct session_fixture {
  session_state state;
  timestamp now{1000};
  std::vector<change> history;

  outcome does(const session_command& command,
               std::optional<std::uint64_t> expected_revision = {}) {
    auto decided = decide(state, command, now, expected_revision);
    REQUIRE_MESSAGE(decided.has_value(), (decided ? error{} : decided.error()));
    CHECK(decided->answer.changed == !decided->what.events.empty());
    if (decided->answer.changed) {
      state = evolve(std::move(state), decided->what);
      history.push_back(decided->what);
    }
    CHECK(state.revision == decided->answer.revision);
    return decided->answer;
  }

  /// The error of a command; the state must be what it was.
  error refuses(const session_command& command,
                std::optional<std::uint64_t> expected_revision = {}) {
    const auto before = encode(state);
    const auto decided = decide(state, command, now, expected_revision);
    CHECK(encode(state) == before);
    REQUIRE_FALSE(decided.has_value());
    return decided.error();
  }

  outcome create() { return does(create_session{}); }
  outcome set(const std::string& key, const value& data) {
    return does(patch_state{{set_key{key, data}}});
  }
  outcome remove(const std::string& key) { return does(patch_state{{delete_key{key}}}); }
  outcome append(const std::vector<value>& items) { return does(append_items{items}); }
  outcome merge(std::string_view patch) { return does(merge_state{json(patch)}); }

  /// The key-value state as JSON, in the order of its keys.
  [[nodiscard]] std::string keys() const {
    members out;
    for (const auto& [key, entry] : state.entries)
      out.emplace_back(key, entry.data);
    return to_json(map_of(out));
  }
};

// Random commands
// ------------------------------------------------------------------------------------------------

/// Numbers that stand for a command; what they point to is in a `pool`. They shrink well.
struct step {
  int kind = 0, key = 0, data = 0, more = 0, expect = 0, wait = 0;
};

inline std::ostream& operator<<(std::ostream& out, const step& x) {
  return out << '{' << x.kind << ' ' << x.key << ' ' << x.data << ' ' << x.more << ' ' << x.expect
             << ' ' << x.wait << '}';
}

struct pool {
  std::vector<value> any;
  std::vector<value> maps;
};

inline rc::Gen<step> any_step() {
  using namespace rc;
  return gen::build<step>(
      gen::set(&step::kind, gen::inRange(0, 32)), gen::set(&step::key, gen::inRange(0, 40)),
      gen::set(&step::data, gen::inRange(0, 64)), gen::set(&step::more, gen::inRange(0, 1000)),
      gen::set(&step::expect, gen::inRange(0, 16)), gen::set(&step::wait, gen::inRange(-1, 4)));
}

inline rc::Gen<std::vector<step>> any_steps(std::size_t count) {
  return rc::gen::resize(100, rc::gen::container<std::vector<step>>(count, any_step()));
}

inline pool any_pool() {
  return {*rc::gen::container<std::vector<value>>(24, any_value(2)),
          *rc::gen::container<std::vector<value>>(24, any_map(2))};
}

inline std::string key_of(int n) {
  static const std::vector<std::string> odd{
      "",         "__proto__",           std::string{"\0", 1},  "a/b~c",
      "\xc3\xa4", std::string(256, 'k'), std::string(257, 'k'), "\xff"};
  return n < 32 ? "k" + std::to_string(n) : odd[static_cast<std::size_t>(n - 32)];
}

inline session_command command_of(const step& s, const pool& from) {
  static const value too_large = std::string(max_value_bytes, 'x');
  static const value largest = std::string(max_value_bytes - 5, 'x');
  const auto any = [&](int n) {
    const auto i = static_cast<std::size_t>(n % 26);
    return i < 24 ? from.any[i] : i == 24 && n > 60 ? too_large : largest;
  };
  const auto map = [&](int n) { return from.maps[static_cast<std::size_t>(n) % from.maps.size()]; };
  if (s.kind < 9) {  // 0 to 4 items; rarely one that is none
    append_items out;
    for (int i = 0; i < s.more % 5; ++i)
      out.items.push_back(map(s.data + i * 7));
    if (s.more % 37 == 1)
      out.items.push_back(value::map({{"role", "user"}, {s.more % 2 == 0 ? "seq" : "at", 1}}));
    if (s.more % 41 == 1)
      out.items.push_back(any(s.data));
    return out;
  }
  if (s.kind < 19) {
    patch_state out;
    for (int i = 0; i < s.more % 6; ++i) {
      const auto key = key_of((s.key + i * i) % 40);
      if ((s.more >> i) % 3 == 0)
        out.ops.emplace_back(delete_key{key});
      else
        out.ops.emplace_back(
            set_key{key, i % 2 == 0 ? any(s.data + i) : with_reversed_keys(map(s.data + i))});
    }
    return out;
  }
  if (s.kind < 27) {
    if (s.more % 31 == 1)
      return merge_state{any(s.data)};
    members entries;
    for (int i = 0; i < s.more % 5; ++i)
      entries.emplace_back(key_of((s.key + i * 3) % 40),
                           (s.more >> i) % 4 == 0 ? value{} : map(s.data + i * 5));
    return merge_state{map_of(unique_members(entries))};
  }
  if (s.kind < 31 || s.more % 3 == 0) {
    static const std::vector<std::string> users{"", "ann", "bob", "\x01", std::string(257, 'u')};
    return create_session{users[static_cast<std::size_t>(s.key) % users.size()],
                          s.more % 11 == 1 ? any(s.data) : map(s.data), s.more % 2 == 0};
  }
  return delete_session{};
}

// The rules once more
// --------------------------------------------------------------------------------------------

/// A session of std::map and std::vector that knows nothing of events.
class naive_session {
public:
  struct item {
    std::uint64_t seq;
    std::int64_t at;
    value fields;
  };
  struct entry {
    value data;
    std::uint64_t revision;
  };

  bool live = false, was_deleted = false;
  std::uint64_t revision = 0, last_seq = 0;
  std::int64_t created = 0, last_activity = 0;
  std::string user;
  value metadata = value::map({});
  std::vector<item> items;
  std::map<std::string, entry> entries;

  [[nodiscard]] std::uint64_t bytes() const {
    std::uint64_t out = 0;
    for (const auto& x : items)
      out += x.fields.bytes().size();
    for (const auto& [key, x] : entries)
      out += key.size() + x.data.bytes().size();
    return out;
  }

  /// The outcome, or why not (and nothing changes).
  std::variant<outcome, errc> apply(const session_command& command, timestamp now,
                                    std::optional<std::uint64_t> expected) {
    if (!live && !std::holds_alternative<create_session>(command))
      return errc::not_found;
    if (expected && (!live || *expected != revision))
      return errc::revision_conflict;
    naive_session next = *this;
    outcome answer;
    const auto fault = std::visit([&](const auto& c) { return next.run(c, now, answer); }, command);
    if (fault)
      return *fault;
    if (answer.changed) {
      next.revision = revision + 1;
      next.last_activity = now.ms;
      *this = next;
    }
    answer.revision = revision;
    return answer;
  }

private:
  std::optional<errc> run(const create_session& c, timestamp now, outcome& answer) {
    if (live)
      return c.only_if_absent ? std::optional{errc::already_exists} : std::nullopt;
    if (!c.user.empty() && !checked_id(c.user))
      return errc::bad_id;
    if (c.metadata.type() != value_type::map)
      return errc::wrong_type;
    if (c.metadata.bytes().size() > 262144)
      return errc::too_large;
    live = answer.created = answer.changed = true;
    was_deleted = false;
    created = now.ms;
    user = c.user;
    metadata = c.metadata;
    return {};
  }

  std::optional<errc> run(const delete_session&, timestamp, outcome& answer) {
    const auto kept = revision;
    *this = naive_session{};
    revision = kept;
    was_deleted = answer.changed = true;
    return {};
  }

  std::optional<errc> run(const append_items& c, timestamp now, outcome& answer) {
    if (c.items.empty())
      return errc::malformed;
    if (c.items.size() > 1000)
      return errc::too_many_elements;
    for (const auto& x : c.items) {
      if (x.type() != value_type::map)
        return errc::wrong_type;
      if (x.bytes().size() > 262144)
        return errc::too_large;
      if (x.view().find("seq") || x.view().find("at"))
        return errc::reserved_field;
    }
    answer.first_seq = last_seq + 1;
    for (const auto& x : c.items)
      items.push_back({++last_seq, now.ms, x});
    answer.last_seq = last_seq;
    answer.changed = true;
    return {};
  }

  std::optional<errc> put(const std::string& key, const value& data, outcome& answer) {
    if (key.size() > 256 || !is_utf8(key))
      return errc::bad_id;
    if (data.bytes().size() > 262144)
      return errc::too_large;
    if (const auto old = entries.find(key);
        old != entries.end() && naive_equal(old->second.data, data))
      return {};
    entries[key] = {data, revision + 1};
    answer.changed = true;
    return {};
  }

  std::optional<errc> run(const patch_state& c, timestamp, outcome& answer) {
    for (const auto& op : c.ops) {
      if (const auto* set = std::get_if<set_key>(&op)) {
        if (const auto fault = put(set->key, set->data, answer))
          return fault;
      } else if (entries.erase(std::get<delete_key>(op).key) > 0) {
        answer.changed = true;
      }
    }
    return {};
  }

  std::optional<errc> run(const merge_state& c, timestamp, outcome& answer) {
    if (c.patch.type() != value_type::map)
      return errc::wrong_type;
    for (const auto& [key, data] : members_of(c.patch)) {
      const auto old = entries.find(key);
      if (data.is_null()) {
        if (old != entries.end()) {
          entries.erase(old);
          answer.changed = true;
        }
      } else if (const auto fault =
                     put(key,
                         naive_merge(
                             old == entries.end() ? std::nullopt : std::optional{old->second.data},
                             data),
                         answer)) {
        return fault;
      }
    }
    return {};
  }
};

/// Empty when a state says what the plain one says, else what differs.
inline std::string difference(const session_state& a, const naive_session& b) {
  const auto expected_status = b.live          ? lifecycle::live
                               : b.was_deleted ? lifecycle::deleted
                                               : lifecycle::absent;
  if (a.status != expected_status || a.live() != b.live)
    return "status";
  if (a.revision != b.revision)
    return "revision";
  if (a.created.ms != b.created || a.last_activity.ms != b.last_activity)
    return "times";
  if (a.user != b.user || a.metadata.bytes() != b.metadata.bytes())
    return "user or metadata";
  if (a.last_seq != b.last_seq)
    return "last_seq";
  if (a.bytes != b.bytes())
    return "bytes";
  if (a.items.size() != b.items.size() || a.entries.size() != b.entries.size())
    return "sizes";
  for (std::size_t i = 0; i < b.items.size(); ++i) {
    const auto& x = a.items[i];
    if (x.seq != b.items[i].seq || x.at.ms != b.items[i].at
        || x.fields.bytes() != b.items[i].fields.bytes())
      return "item " + std::to_string(i);
  }
  auto other = b.entries.begin();
  for (const auto& [key, entry] : a.entries) {
    if (key != other->first || entry.revision != other->second.revision
        || entry.data.bytes() != other->second.data.bytes())
      return "key " + key;
    ++other;
  }
  return "";
}

/// What a random session did.
struct random_history {
  session_state state;
  std::vector<change> changes;
};

inline random_history any_history(std::size_t commands) {
  const auto from = any_pool();
  random_history out;
  timestamp now{1'700'000'000'000};
  const auto live = decide(out.state, create_session{"ann", from.maps.front(), false}, now);
  out.state = evolve(std::move(out.state), live->what);
  out.changes.push_back(live->what);
  for (const auto& s : *any_steps(commands)) {
    now.ms += s.wait;
    if (const auto decided = decide(out.state, command_of(s, from), now);
        decided && decided->answer.changed) {
      out.state = evolve(std::move(out.state), decided->what);
      out.changes.push_back(decided->what);
    }
  }
  return out;
}

}  // namespace troupe::testing
