#include <troupe/state/workflow.hpp>

#include "model_commands.hpp"
#include "naive.hpp"

/// Operations that only one kind of entity has.
namespace troupe::testing {

todo command_maker::any_todo() {
  return {.id = id(),
          .content = text(),
          .status = static_cast<todo_status>(luck_.below(4)),
          .priority = static_cast<todo_priority>(luck_.below(3))};
}

operation command_maker::of_session() {
  switch (luck_.below(12)) {
    case 0:
    case 1:
    case 2: {
      append_items out;
      for (auto n = luck_.percent(3) ? 0 : luck_.below(3) + 1; n > 0; --n) {
        members fields = members_of(small_map());
        if (luck_.percent(15))
          fields.emplace_back("role", value{luck_.one_of({"user", "assistant"})});
        if (luck_.percent(2))
          fields.emplace_back(luck_.one_of({"seq", "at"}), value{1});
        out.items.push_back(luck_.percent(2) ? any() : map_of(fields));
      }
      if (luck_.below(300) == 0)
        out.items.assign(1'001, value::map({}));
      return out;
    }
    case 3:
      return pop_items{luck_.below(4),
                       maybe(luck_.percent(70) ? now_->items.last_seq() : luck_.below(9), 30)};
    case 4: return luck_.percent(20) ? operation{clear_items{}} : operation{pop_items{}};
    case 5:
      return luck_.percent(20) ? operation{reset_usage{}}
                               : operation{record_usage{luck_.one_of<std::uint64_t>({0, 7, ~0ull}),
                                                        luck_.below(5)}};
    case 6: {
      put_todos out;
      for (auto n = luck_.below(5); n > 0; --n)
        out.todos.push_back(any_todo());
      return out;
    }
    case 7: {
      patch_todos out;
      for (auto n = luck_.below(3); n > 0; --n)
        out.changed.push_back(any_todo());
      for (auto n = luck_.below(2); n > 0; --n)
        out.removed.push_back(id());
      return out;
    }
    case 8:
      return luck_.percent(10)   ? operation{reset_calls{}}
             : luck_.percent(50) ? operation{drop_oldest_items{luck_.below(5), luck_.below(8)}}
                                 : operation{pop_items{}};
    case 9:
      return update_notebook{.id = maybe(id(), 30),
                             .cell_count = maybe(luck_.below(3), 30),
                             .variables = luck_.percent(3) ? any() : small_map(),
                             .replace_variables = luck_.percent(30)};
    default: {
      const auto a = value{luck_.below(2)}, b = value{true};
      return record_call{luck_.percent(95) ? luck_.one_of<std::string>({"read", "run"}) : id(),
                         luck_.percent(3) ? any()
                                          : (luck_.percent(50) ? value::map({{"a", a}, {"b", b}})
                                                               : value::map({{"b", b}, {"a", a}})),
                         luck_.percent(25)};
    }
  }
}

operation command_maker::of_workflow() {
  const auto kind = luck_.below(10);
  if (kind == 0)
    return luck_.percent(40) ? operation{cancel_workflow{}} : operation{resume_workflow{}};
  if (kind < 3) {
    define_nodes out;
    const auto all = {"n1", "n2", "n3", "n4", "a/b"};
    const auto first = luck_.below(2), step = luck_.below(2) + 1;
    for (auto at = first; at < all.size(); at += step) {
      node_definition one{all.begin()[at], {}};
      for (const auto& before : out.nodes) {
        if (luck_.percent(40))
          one.after.push_back(before.id);
      }
      if (luck_.percent(3))
        one.after.push_back(id());
      out.nodes.push_back(one);
    }
    if (!out.nodes.empty() && luck_.percent(5))
      out.nodes.front().after.push_back(out.nodes.back().id);
    if (luck_.percent(5))
      out.nodes.push_back({id(), {}});
    return out;
  }
  const auto nodes = nodes_of(*now_);
  if (nodes.empty() || luck_.percent(10))
    return update_node{id(), static_cast<node_status>(luck_.below(5)), maybe(any(), 20)};
  const auto& one = nodes[luck_.below(nodes.size())];
  using enum node_status;
  const auto to = luck_.percent(40)       ? static_cast<node_status>(luck_.below(5))
                  : one.status == running ? luck_.one_of({done, done, failed})
                  : one.status == pending ? running
                                          : pending;
  return update_node{one.id, to, to == done || luck_.percent(5) ? maybe(any()) : std::nullopt};
}

operation command_maker::of_team() {
  switch (luck_.below(8)) {
    case 0:
    case 1:
    case 2: return add_member{user(), text()};
    case 4: return luck_.percent(50) ? operation{remove_member{user()}} : drop_expired{};
    case 3: return acknowledge{user(), luck_.below(now_->last_seq + 2)};
    case 5:
      return luck_.percent(20) ? operation{drop_delivered{}} : send_message{user(), {}, any()};
    default: return send_message{user(), maybe(user()), any()};
  }
}

}  // namespace troupe::testing
