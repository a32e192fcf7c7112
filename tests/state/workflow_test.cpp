#include <troupe/state/workflow.hpp>

#include "../support/entities.hpp"

#include <set>

using namespace troupe;
using namespace troupe::testing;

namespace {

using enum node_status;

/// a -> b -> d, a -> c -> d, and e on its own.
entity_fixture diamond() {
  entity_fixture w{entity_kind::workflow};
  w.begins();
  w.does(define_nodes{{{"a", {}}, {"b", {"a"}}, {"c", {"a"}}, {"d", {"b", "c"}}, {"e", {}}}});
  return w;
}

void moves(entity_fixture& w, const std::string& id, node_status to,
           std::optional<value> result = {}) {
  w.does(update_node{id, to, std::move(result)});
}

void runs(entity_fixture& w, const std::string& id, std::optional<value> result = {}) {
  moves(w, id, running);
  moves(w, id, done, std::move(result));
}

std::string ready(const entity_fixture& w) {
  std::string out;
  for (const auto& id : ready_nodes(w.state()))
    out += (out.empty() ? "" : " ") + id;
  return out;
}

node status_of(const entity_fixture& w, const std::string& id) {
  return find_node(w.state(), id).value();
}

}  // namespace

TEST_CASE("nodes stand in the order of their definition and wait") {
  const auto w = diamond();
  const auto nodes = nodes_of(w.state());
  REQUIRE(nodes.size() == 5);
  CHECK(nodes[1] == node{.id = "b", .after = {"a"}});
  CHECK(nodes[4].id == "e");
  CHECK(status_of_workflow(w.state()) == pending);
  CHECK_FALSE(find_node(w.state(), "f"));
  entity_fixture empty{entity_kind::workflow};
  empty.begins();
  CHECK(nodes_of(empty.state()).empty());
  CHECK(status_of_workflow(empty.state()) == pending);
}

TEST_CASE("a node cannot start before all that it depends on") {
  auto w = diamond();
  CHECK(ready(w) == "a e");
  CHECK(
      w.refuses(update_node{"b", running})
      == error{.code = errc::dependency_pending, .message = "'b' waits for 'a', which is pending"});
  moves(w, "a", running);
  CHECK(w.refuses(update_node{"b", running}).message == "'b' waits for 'a', which is running");
  moves(w, "a", done);
  CHECK(ready(w) == "b c e");
  runs(w, "b");
  CHECK(w.refuses(update_node{"d", running}).message == "'d' waits for 'c', which is pending");
  moves(w, "c", skipped);
  CHECK(ready(w) == "d e");
  moves(w, "d", running);
  CHECK(status_of(w, "d").status == running);
  CHECK(ready(w) == "e");
}

TEST_CASE("a failed node holds back what depends on it until it is done") {
  auto w = diamond();
  moves(w, "a", running);
  moves(w, "a", failed, value{"boom"});
  CHECK(status_of(w, "a") == node{"a", {}, failed, 1, value{"boom"}});
  CHECK(w.refuses(update_node{"b", running}).code == errc::dependency_pending);
  moves(w, "a", running);
  CHECK(status_of(w, "a") == node{"a", {}, running, 2, {}});
  moves(w, "a", done, value{1});
  CHECK(status_of(w, "a") == node{"a", {}, done, 2, value{1}});
  moves(w, "b", running);
}

TEST_CASE("a node moves only along the transitions there are") {
  const auto node_in = [](node_status status) {
    entity_fixture w{entity_kind::workflow};
    w.begins();
    w.does(define_nodes{{{"n", {}}}});
    if (status == skipped)
      moves(w, "n", skipped);
    if (status == running || status == done || status == failed)
      moves(w, "n", running);
    if (status == done || status == failed)
      moves(w, "n", status);
    return w;
  };
  const std::set<std::pair<node_status, node_status>> allowed{
      {pending, running}, {failed, running},  {running, done},
      {running, failed},  {pending, skipped}, {failed, skipped},
      {running, pending}, {failed, pending},  {skipped, pending}};
  for (const auto from : {pending, running, done, failed, skipped}) {
    for (const auto to : {pending, running, done, failed, skipped}) {
      auto w = node_in(from);
      REQUIRE(status_of(w, "n").status == from);
      if (allowed.contains({from, to})) {
        moves(w, "n", to);
        CHECK(status_of(w, "n").status == to);
      } else {
        CHECK(w.refuses(update_node{"n", to})
              == error{.code = errc::invalid_transition,
                       .message = "'n' is " + std::string{to_string(from)} + " and cannot become "
                                  + std::string{to_string(to)}});
      }
    }
  }
}

TEST_CASE("results of all that a node depends on are visible to it") {
  auto w = diamond();
  runs(w, "e", value{"unrelated"});
  runs(w, "a", json(R"({"x":1})"));
  runs(w, "b", value{2});
  moves(w, "c", skipped);
  CHECK(inputs_of(w.state(), "d") == json(R"({"a":{"x":1},"b":2})"));
  CHECK(inputs_of(w.state(), "b") == json(R"({"a":{"x":1}})"));
  CHECK(inputs_of(w.state(), "a") == json("{}"));
  CHECK(inputs_of(w.state(), "none") == json("{}"));
  runs(w, "d", value{});
  CHECK(status_of(w, "d").result == value{});
}

TEST_CASE("a result comes only with done or failed") {
  auto w = diamond();
  for (const auto to : {running, skipped, pending})
    CHECK(w.refuses(update_node{"a", to, value{1}})
          == error{.code = errc::invalid_value,
                   .message = "a result comes with done or failed",
                   .path = "/result"});
  moves(w, "a", running);
  CHECK(where(w.refuses(update_node{"a", done, deep(65)})) == "too_deep at /result");
  CHECK(where(w.refuses(update_node{"none", running})) == "not_found at /none");
  moves(w, "a", failed, deep(64));
  CHECK(decode_entity(encode(w.state())) == w.state());
}

TEST_CASE("a cancelled workflow starts no node until it is resumed") {
  auto w = diamond();
  moves(w, "a", running);
  w.does(cancel_workflow{});
  CHECK(is_cancelled(w.state()));
  CHECK_FALSE(w.does(cancel_workflow{}).changed);
  CHECK(ready(w) == "");
  CHECK(w.refuses(update_node{"e", running}).code == errc::cancelled);
  moves(w, "a", done, value{1});  // what runs may still report
  CHECK(w.refuses(update_node{"b", running}).code == errc::cancelled);
  w.does(resume_workflow{});
  CHECK_FALSE(is_cancelled(w.state()));
  CHECK_FALSE(w.does(resume_workflow{}).changed);
  CHECK(ready(w) == "b c e");
  moves(w, "b", running);
}

TEST_CASE("a new definition keeps the execution of nodes that stay") {
  auto w = diamond();
  runs(w, "a", value{1});
  w.does(define_nodes{{{"f", {"a"}}, {"a", {}}, {"b", {"f"}}}});
  const auto nodes = nodes_of(w.state());
  REQUIRE(nodes.size() == 3);
  CHECK(nodes[0] == node{.id = "f", .after = {"a"}});
  CHECK(nodes[1] == node{"a", {}, done, 1, value{1}});
  CHECK(nodes[2] == node{.id = "b", .after = {"f"}});
  CHECK(ready(w) == "f");
  CHECK_FALSE(w.does(define_nodes{{{"f", {"a"}}, {"a", {}}, {"b", {"f"}}}}).changed);
}

TEST_CASE("a definition that makes no graph is refused with its path") {
  auto w = diamond();
  CHECK(where(w.refuses(define_nodes{{{"a", {}}, {"", {}}}})) == "bad_id at /nodes/1/id");
  CHECK(where(w.refuses(define_nodes{{{"a", {}}, {"a", {}}}})) == "invalid_value at /nodes/1/id");
  CHECK(where(w.refuses(define_nodes{{{"a", {}}, {"b", {"a", "x"}}}}))
        == "invalid_value at /nodes/1/after/1");
  CHECK(w.refuses(define_nodes{{{"a", {"a"}}}})
        == error{.code = errc::invalid_value,
                 .message = "nodes depend on each other in a circle",
                 .path = "/nodes/0/after"});
  CHECK(where(w.refuses(define_nodes{{{"a", {}}, {"b", {"a", "d"}}, {"c", {"b"}}, {"d", {"c"}}}}))
        == "invalid_value at /nodes/1/after");
  define_nodes many;
  for (int i = 0; i < 1000; ++i)
    many.nodes.push_back({std::to_string(i), {}});
  CHECK(w.does(many).changed);
  many.nodes.push_back({"more", {}});
  CHECK(w.refuses(many).limit == 1000);
  define_nodes dense{{{"a", {}}, {"b", std::vector<std::string>(10'001, "a")}}};
  CHECK(w.refuses(dense).limit == 10'000);
}

TEST_CASE("a workflow is as far as its nodes are") {
  auto w = diamond();
  moves(w, "a", running);
  CHECK(status_of_workflow(w.state()) == running);
  moves(w, "a", done);
  CHECK(status_of_workflow(w.state()) == running);
  moves(w, "b", running);
  moves(w, "b", failed);
  CHECK(status_of_workflow(w.state()) == failed);
  moves(w, "c", running);
  CHECK(status_of_workflow(w.state()) == running);
  moves(w, "c", done);
  moves(w, "b", skipped);
  runs(w, "d");
  CHECK(status_of_workflow(w.state()) == running);
  moves(w, "e", skipped);
  CHECK(status_of_workflow(w.state()) == done);
}

TEST_CASE("nodes share the state of their workflow") {
  auto w = diamond();
  w.does(update_node{"a", running}, patch_state{{set_key{"found", 1}}});
  CHECK(w.changes.back().events.size() == 2);
  CHECK(w.keys() == R"({"found":1})");
}

TEST_CASE("the words for a node are read back as what they say") {
  for (const auto x : {pending, running, done, failed, skipped})
    CHECK(node_status_from(to_string(x)) == x);
  CHECK(node_status_from("completed").error().code == errc::invalid_value);
}
