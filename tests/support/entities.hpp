#pragma once

/// The language of the tests about entities: one entity of any scope that is told what to do, with
/// a clock that stands still unless it is moved, and with every revision kept.

#include <troupe/state/codec.hpp>
#include <troupe/state/decide.hpp>
#include <troupe/state/versions.hpp>

#include "generate.hpp"
#include "naive.hpp"
#include "printing.hpp"
#include <doctest/doctest.h>

#include <optional>
#include <ostream>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace troupe {

inline std::ostream& operator<<(std::ostream& out, const loop_verdict& x) {
  return out << x.tool << ' ' << x.count << " of " << x.limit << (x.looping ? " looping" : "");
}

inline std::ostream& operator<<(std::ostream& out, const outcome& x) {
  out << "revision " << x.revision << (x.changed ? " changed" : " unchanged")
      << (x.created ? " created" : "") << ' ' << x.first_seq << ".." << x.last_seq << " removed "
      << x.removed;
  return x.loop ? out << ' ' << *x.loop : out;
}

inline std::ostream& operator<<(std::ostream& out, const difference& x) {
  const auto side = [](const std::optional<value>& v) { return v ? to_json(*v) : "nothing"; };
  return out << x.path << ": " << side(x.before) << " -> " << side(x.after);
}

}  // namespace troupe

namespace troupe::testing {

inline value json(std::string_view text) {
  auto out = value_from_json(text);
  REQUIRE_MESSAGE(out.has_value(), text);
  return *out;
}

/// "state_set a = 1", "items_appended 1 [{}]", "undone to 3 [4]"
inline std::string describe(const event& what) {
  struct details {
    std::string operator()(const entity_created& e) const {
      return ' ' + std::string{to_string(e.kind)};
    }
    std::string operator()(const entity_deleted&) const { return ""; }
    std::string operator()(const items_appended& e) const {
      return ' ' + std::to_string(e.first_seq) + ' ' + to_json(array_of(e.items));
    }
    std::string operator()(const items_removed& e) const {
      return " keep " + std::to_string(e.keep) + " of " + std::to_string(e.keep + e.removed);
    }
    std::string operator()(const items_restored& e) const {
      std::string out;
      for (const auto& item : e.items)
        out += ' ' + std::to_string(item.seq) + " @ " + std::to_string(item.at.ms) + ' '
               + to_json(item.fields);
      return out;
    }
    std::string operator()(const entry_set& e) const {
      return ' ' + e.key + " = " + to_json(e.data)
             + (e.expires.ms != 0 ? " until " + std::to_string(e.expires.ms) : "");
    }
    std::string operator()(const entry_erased& e) const { return ' ' + e.key; }
    std::string operator()(const section_cleared&) const { return ""; }
    std::string operator()(const entity_forked& e) const {
      return ' ' + to_string(e.from->parent) + " at " + std::to_string(e.from->at);
    }
    std::string operator()(const content_reverted& e) const {
      return " to " + std::to_string(e.to) + ' ' + to_json(e.redo);
    }
    std::string operator()(const fork_merged& e) const {
      return ' ' + to_string(e.fork) + " at " + std::to_string(e.revision);
    }
  };
  return name_of(what) + std::visit(details{}, what);
}

/// "2 @ 1000: state_set a = 1 | state_erased b"
inline std::string describe(const change& what) {
  auto out = std::to_string(what.revision) + " @ " + std::to_string(what.at.ms) + ':';
  for (std::size_t i = 0; i < what.events.size(); ++i)
    out += (i > 0 ? " | " : " ") + describe(what.events[i]);
  return out;
}

inline value deep(std::size_t arrays) {
  value_writer out;
  for (std::size_t i = 0; i < arrays; ++i)
    out.begin_array(1);
  return out.integer(1).finish();
}

/// A map of exactly `size` bytes. REQUIRES: 65,544 <= size.
inline value map_of_bytes(std::size_t size) {
  return value::map({{"t", std::string(size - 8, 'x')}});
}

inline entity_ref ref_of(entity_kind kind, std::string id) {
  return {.name_space = "default", .kind = kind, .id = std::move(id)};
}

/// "bad_id at /user"
inline std::string where(const error& x) {
  return std::string{to_string(x.code)} + " at " + x.path;
}

/// A principal that is not the host itself.
inline principal user(std::string name) {
  return {.user = std::move(name), .trusted = false};
}

class entity_fixture {
public:
  explicit entity_fixture(entity_kind kind = entity_kind::session, std::string id = "x")
      : ref{ref_of(kind, std::move(id))} {}

  entity_ref ref;
  timestamp now{1000};
  principal by{};
  policy inherited{};
  const schema_registry* schemas = nullptr;
  timeline kept{entity_state{}};
  std::vector<change> changes;

  [[nodiscard]] const entity_state& state() const { return kept.current(); }

  template <class... Operations>
  [[nodiscard]] command asks(Operations... operations) const {
    return {.entity = ref, .operations = {std::move(operations)...}, .by = by};
  }
  [[nodiscard]] decide_context context() const {
    return {.now = now, .inherited = inherited, .versions = &kept, .schemas = schemas};
  }

  outcome runs(const command& what) {
    auto decided = decide(state(), what, context());
    REQUIRE_MESSAGE(decided.has_value(), (decided ? error{} : decided.error()));
    CHECK(decided->answer == outcome_of(decided->what));
    CHECK(decided->answer.changed == !decided->what.events.empty());
    CHECK(decided->next.revision == decided->answer.revision);
    if (!std::holds_alternative<fork_from>(what.operations.front()))
      CHECK(decided->next == evolve(state(), decided->what));
    if (decided->answer.changed) {
      if (!std::holds_alternative<fork_from>(what.operations.front()))
        CHECK(decided->answer.revision == state().revision + 1);
      take(decided->next, decided->what);
    } else {
      CHECK(decided->next == state());
    }
    return decided->answer;
  }
  void take(entity_state next, change what) {
    kept.push(std::move(next), now);
    changes.push_back(std::move(what));
  }
  template <class... Operations>
  outcome does(Operations... operations) {
    return runs(asks(std::move(operations)...));
  }

  /// The error of a command; the state must be what it was.
  error refused(const command& what) const {
    const auto before = encode(state());
    const auto decided = decide(state(), what, context());
    CHECK(encode(state()) == before);
    REQUIRE_FALSE(decided.has_value());
    return decided.error();
  }
  template <class... Operations>
  error refuses(Operations... operations) const {
    return refused(asks(std::move(operations)...));
  }

  outcome begins(entity_info info = {}) { return does(create{std::move(info)}); }
  outcome set(const std::string& key, const value& data) {
    return does(patch_state{{set_key{key, data}}});
  }
  outcome patch(std::vector<state_op> ops) { return does(patch_state{std::move(ops)}); }
  outcome removes(const std::string& key) { return does(patch_state{{delete_key{key}}}); }
  outcome merges(std::string_view patch) { return does(merge_state{json(patch)}); }
  outcome append(std::vector<value> items) { return does(append_items{std::move(items)}); }
  /// `says("user", "hi")`
  outcome says(std::string_view role, std::string_view content) {
    return append({value::map({{"role", role}, {"content", content}})});
  }

  /// The key-value state as JSON, in the order of its keys.
  [[nodiscard]] std::string keys() const {
    return to_json(kept_value(section_as_map(state(), section::state, now)));
  }
  [[nodiscard]] const entry* key(std::string_view name) const {
    return find(state(), section::state, name, now);
  }
  /// "1{...} 2{...}"
  [[nodiscard]] std::string items() const {
    std::string out;
    for (const auto item : state().items)
      out += (out.empty() ? "" : " ") + std::to_string(item.seq) + to_json(item.fields);
    return out;
  }
  [[nodiscard]] std::string last_change() const { return describe(changes.back()); }

private:
  static const value& kept_value(const value& x) { return x; }
};

}  // namespace troupe::testing
