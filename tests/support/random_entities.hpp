#pragma once

/// Random entities of all scopes, made by random commands; a seed names each.

#include <troupe/state/decide.hpp>
#include <troupe/state/versions.hpp>

#include "naive.hpp"

#include <bit>
#include <cmath>
#include <limits>
#include <memory>
#include <random>
#include <string>
#include <vector>

namespace troupe::testing {

class dice {
public:
  explicit dice(std::uint64_t seed) : random_{seed} {}

  std::uint64_t below(std::uint64_t n) { return random_() % n; }
  bool one_in(std::uint64_t n) { return below(n) == 0; }

  std::string text() {
    static const std::vector<std::string> odd{"",
                                              std::string{"\0\x01\x1f", 3},
                                              "\"\\/\x7f",
                                              "```",
                                              "\xc3\xa4\xe2\x82\xac",
                                              "\xf0\x9f\x98\x80",
                                              "$\n|",
                                              "\xef\xbf\xbf"};
    std::string out;
    for (auto n = below(4); n > 0; --n)
      out += one_in(3) ? odd[below(odd.size())] : std::string(below(9), 'a');
    return out;
  }

  std::string key() {
    static const std::vector<std::string> some{"a",       "b",        "c",         "",
                                               "$binary", "$$binary", "$$$binary", "a/b~c"};
    return one_in(8) ? text() : some[below(some.size())];
  }

  /// An id: no control characters, not empty.
  std::string id() { return std::string(1, static_cast<char>('a' + below(6))); }

  value data(int depth = 3) {
    using wide = std::numeric_limits<std::int64_t>;
    const auto kind = below(depth > 0 ? 11 : 8);
    if (kind == 0)
      return {};
    if (kind == 1)
      return value{one_in(2)};
    if (kind == 2)
      return value{static_cast<std::int64_t>(random_()) >> below(64)};
    if (kind == 3)
      return one_in(2) ? value{random_()} : value{one_in(2) ? wide::min() : wide::max()};
    if (kind == 4) {
      const auto x = std::bit_cast<double>(random_());
      return value{std::isfinite(x) ? x : -0.0};
    }
    if (kind == 5)
      return one_in(2) ? value{-0.0} : value{static_cast<double>(below(100))};
    if (kind == 6)
      return value{text()};
    if (kind == 7) {
      std::string bytes;
      for (auto n = below(6); n > 0; --n)
        bytes += static_cast<char>(below(256));
      return value::binary(bytes);
    }
    if (kind == 8) {
      std::vector<value> items;
      for (auto n = below(4); n > 0; --n)
        items.push_back(data(depth - 1));
      return array_of(items);
    }
    return map(depth);
  }

  value map(int depth = 3) {
    members out;
    for (auto n = one_in(2) ? 1 : below(4); n > 0; --n) {
      auto name = key();
      bool there = name == "seq" || name == "at";
      for (const auto& [held, item] : out)
        there = there || held == name;
      if (!there)
        out.emplace_back(std::move(name), data(depth - 1));
    }
    return map_of(out);
  }

  value item() {
    if (one_in(3))
      return value::map({{"role", one_in(2) ? "user" : "assistant"}, {"content", text()}});
    return map();
  }

  std::vector<std::string> ids() {
    std::vector<std::string> out;
    for (auto n = below(3); n > 0; --n)
      out.push_back(id() + std::to_string(n));
    return out;
  }

  entity_info info() {
    entity_info out;
    out.user = one_in(2) ? id() : "";
    out.workflow = one_in(3) ? id() : "";
    out.team = one_in(3) ? id() : "";
    out.ttl_ms = below(3) * 1000;
    out.limits = {.loop_limit = 1 + below(3), .checkpoint_every = below(3)};
    if (one_in(3))
      out.schema = schema_id{"sch", static_cast<std::uint32_t>(below(9))};
    out.metadata = map();
    out.tags = ids();
    if (one_in(2))
      out.shares = {{id(), access::read}, {id(), access::write}};
    return out;
  }

  operation any_operation(entity_kind kind, std::uint64_t revision) {
    switch (below(kind == entity_kind::session    ? 22
                  : kind == entity_kind::workflow ? 15
                  : kind == entity_kind::team     ? 16
                                                  : 12)) {
      case 0:
      case 1:
        return patch_state{{set_key{.key = key(), .data = data(), .ttl_ms = below(3) * 5000},
                            set_key{.key = key(), .data = data()}, delete_key{key()}}};
      case 2: return merge_state{map()};
      case 3: return one_in(9) ? operation{clear_state{}} : operation{drop_expired{}};
      case 4:
        return update_info{
            .metadata_patch = map(), .tags = ids(), .shares = {}, .ttl_ms = below(9)};
      case 5:
        return create_checkpoint{.id = id(), .name = text(), .tags = ids(), .metadata = map()};
      case 6: return undo{1 + below(3)};
      case 7: return undo{1};
      case 8: return redo{1};
      case 9: return restore{below(revision + 1)};
      case 10:
        if (one_in(8))
          return erase{};
        return patch_state{{append_to{key(), {data()}}}};
      case 11: return create{.info = info()};
      default: break;
    }
    const auto more = below(10);
    if (kind == entity_kind::workflow)
      return workflow_operation(more);
    if (kind == entity_kind::team)
      return team_operation(more);
    if (more < 3)
      return append_items{{item(), item()}};
    if (more < 4)
      return pop_items{.count = 1 + below(3)};
    if (more < 5)
      return record_usage{below(100), random_()};
    if (more < 6)
      return put_todos{
          {{id(), text(), static_cast<todo_status>(below(4)), static_cast<todo_priority>(below(3))},
           {id() + "2", text()}}};
    if (more < 9)
      return record_call{id(), map(), one_in(4)};
    update_notebook update{.cell_count = below(9), .variables = map()};
    if (one_in(2))
      update.id = id();
    return update;
  }

private:
  operation workflow_operation(std::uint64_t choice) {
    if (choice < 3)
      return define_nodes{{{"n", {}}, {"m", {"n"}}, {"k", {"n", "m"}}}};
    if (choice < 8) {
      update_node update{.id = one_in(2) ? "n" : "m", .status = static_cast<node_status>(below(5))};
      if (one_in(2))
        update.result = data();
      return update;
    }
    if (choice < 9)
      return cancel_workflow{};
    return resume_workflow{};
  }
  operation team_operation(std::uint64_t choice) {
    if (choice < 4)
      return add_member{id(), text()};
    if (choice < 8) {
      send_message message{.from = id()};
      if (one_in(2))
        message.to = id();
      message.body = data();
      return message;
    }
    if (choice < 9)
      return acknowledge{id(), below(4)};
    return remove_member{id()};
  }

  std::mt19937_64 random_;
};

struct named_entity {
  entity_ref ref;
  entity_state state;
};

/// An entity after so many random commands, some of them refused; now and then its own fork, or
/// what is left after its deletion.
inline named_entity any_entity(dice& d, std::size_t commands) {
  static constexpr entity_kind kinds[] = {entity_kind::session,  entity_kind::session,
                                          entity_kind::workflow, entity_kind::team,
                                          entity_kind::user,     entity_kind::global};
  named_entity out{{"ns \xc3\xa4", kinds[d.below(6)], "id/" + d.id()}, {}};
  timestamp now{static_cast<std::int64_t>(d.below(4'000'000'000'000)) - 1'000'000};
  timeline kept{entity_state{}};
  const auto does = [&](operation op, const entity_state& state) -> const entity_state* {
    now.ms += static_cast<std::int64_t>(d.below(4000));
    auto decided = decide(state, {out.ref, {std::move(op)}}, {.now = now, .versions = &kept});
    if (!decided || !decided->answer.changed)
      return nullptr;
    kept.push(decided->next, now);
    return &kept.current();
  };
  if (!d.one_in(20))
    does(create{.info = d.info()}, kept.current());
  for (std::size_t i = 0; i < commands; ++i)
    does(d.any_operation(out.ref.kind, kept.current().revision), kept.current());
  out.state = kept.current();
  if (out.state.live() && d.one_in(5)) {
    const auto parent = out.ref;
    const auto base = std::make_shared<const entity_state>(out.state);
    out.ref.id = "fork";
    auto forked = decide(entity_state{}, {out.ref, {fork_from{parent, base}}}, {.now = now});
    if (forked)
      out.state = forked->next;
  }
  return out;
}

}  // namespace troupe::testing
