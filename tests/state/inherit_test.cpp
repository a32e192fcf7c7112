#include <troupe/state/inherit.hpp>

#include "../support/entities.hpp"

using namespace troupe;
using namespace troupe::testing;

namespace {

/// A session of a workflow of a team of a user, with the global scope behind.
struct scopes {
  entity_fixture session{entity_kind::session, "s"}, workflow{entity_kind::workflow, "w"},
      team{entity_kind::team, "t"}, user{entity_kind::user, "ann"},
      global{entity_kind::global, "global"};

  scopes() {
    session.begins({.user = "ann", .workflow = "w", .team = "t"});
    for (auto* one : {&workflow, &team, &user, &global})
      one->begins();
  }
  [[nodiscard]] std::vector<const entity_fixture*> all() const {
    return {&session, &workflow, &team, &user, &global};
  }
  [[nodiscard]] std::vector<scope_view> chain() const {
    std::vector<scope_view> out;
    for (const auto* one : all())
      out.push_back({one->ref, &one->state()});
    return out;
  }
  /// "w = 2" or "nothing"
  [[nodiscard]] std::string look_up(std::string_view key, timestamp now = {1000}) const {
    const auto found = inherit(chain(), key, now);
    return found ? found->source.id + " = " + to_json(found->held->data) : "nothing";
  }
};

std::string names(const std::vector<entity_ref>& refs) {
  std::string out;
  for (const auto& ref : refs)
    out += (out.empty() ? "" : " ") + to_string(ref);
  return out;
}

}  // namespace

TEST_CASE("a chain walks session and workflow and team and user and global") {
  const scopes s;
  CHECK(names(scope_chain(s.session.ref, s.session.state()))
        == "default/session/s default/workflow/w default/team/t default/user/ann "
           "default/global/global");
}

TEST_CASE("a chain leaves out what an entity does not name and what lies before it") {
  entity_fixture lone{entity_kind::session, "x"};
  lone.begins();
  CHECK(names(scope_chain(lone.ref, lone.state())) == "default/session/x default/global/global");
  entity_fixture workflow{entity_kind::workflow, "w"};
  workflow.begins({.user = "ann", .workflow = "w2", .team = "t"});
  CHECK(names(scope_chain(workflow.ref, workflow.state()))
        == "default/workflow/w default/team/t default/user/ann default/global/global");
  entity_fixture user{entity_kind::user, "ann"};
  user.begins({.user = "ann", .team = "t"});
  CHECK(names(scope_chain(user.ref, user.state())) == "default/user/ann default/global/global");
  entity_fixture global{entity_kind::global, "global"};
  global.begins();
  CHECK(names(scope_chain(global.ref, global.state())) == "default/global/global");
  lone.ref.name_space = "other";
  CHECK(names(scope_chain(lone.ref, lone.state())) == "other/session/x other/global/global");
}

TEST_CASE("a session takes the team of its workflow unless it names its own") {
  entity_fixture workflow{entity_kind::workflow, "w"}, session{entity_kind::session, "s"};
  workflow.begins({.team = "theirs"});
  session.begins({.workflow = "w"});
  CHECK(scope_chain(session.ref, session.state(), &workflow.state())[2].id == "theirs");
  session.does(update_info{.team = "own"});
  CHECK(scope_chain(session.ref, session.state(), &workflow.state())[2].id == "own");
}

TEST_CASE("the nearest scope that has a key answers and is named as its source") {
  scopes s;
  CHECK(s.look_up("k") == "nothing");
  s.global.set("k", 5);
  CHECK(s.look_up("k") == "global = 5");
  s.user.set("k", 4);
  CHECK(s.look_up("k") == "ann = 4");
  s.team.set("k", 3);
  CHECK(s.look_up("k") == "t = 3");
  s.workflow.set("k", 2);
  CHECK(s.look_up("k") == "w = 2");
  s.session.set("k", 1);
  CHECK(s.look_up("k") == "s = 1");
  s.session.removes("k");
  CHECK(s.look_up("k") == "w = 2");
  const auto found = inherit(s.chain(), "k", {1000});
  CHECK(found->source == s.workflow.ref);
  CHECK(found->key == "k");
  CHECK(found->held->revision == 2);
}

TEST_CASE("a null hides what lies behind it and an expired key does not") {
  scopes s;
  s.global.set("k", 5);
  s.team.set("k", value{});
  CHECK(s.look_up("k") == "t = null");
  s.team.patch({set_key{.key = "k", .data = 3, .ttl_ms = 10}});
  CHECK(s.look_up("k", {1009}) == "t = 3");
  CHECK(s.look_up("k", {1010}) == "global = 5");
}

TEST_CASE("a scope that is not there is passed over") {
  scopes s;
  s.global.set("k", 5);
  auto chain = s.chain();
  chain[1].state = chain[3].state = nullptr;
  CHECK(inherit(chain, "k", {})->source.id == "global");
  CHECK(inherit_all(chain, {}).size() == 1);
  chain[4].state = nullptr;
  CHECK_FALSE(inherit(chain, "k", {}));
  CHECK(inherit_policy(chain) == policy{});
  CHECK_FALSE(inherit({}, "k", {}));
  CHECK(inherit_policy({}) == policy{});
}

TEST_CASE("all keys come in their order with the scope that each comes from") {
  scopes s;
  s.global.patch({set_key{"a", 5}, set_key{"d", 5}, set_key{.key = "e", .data = 5, .ttl_ms = 1}});
  s.user.patch({set_key{"a", 4}, set_key{"c", 4}});
  s.session.patch({set_key{"b", 1}, set_key{"d", value{}}});
  std::string all;
  for (const auto& one : inherit_all(s.chain(), {2000}))
    all += one.key + '@' + one.source.id + '=' + to_json(one.held->data) + ' ';
  CHECK(all == "a@ann=4 b@s=1 c@ann=4 d@s=null ");
}

TEST_CASE("only the key-value state is inherited") {
  scopes s;
  s.global.does(
      update_info{.metadata_patch = json(R"({"k":1})"), .tags = std::vector<std::string>{"k"}});
  CHECK(s.look_up("k") == "nothing");
  CHECK(inherit_all(s.chain(), {}).empty());
}

TEST_CASE("policies come from the scopes behind the first and the nearer ones win") {
  scopes s;
  s.session.does(update_info{.limits = policy{.loop_limit = 1}});
  s.team.does(update_info{.limits = policy{.loop_limit = 3, .token_budget = 30}});
  s.global.does(
      update_info{.limits = policy{.loop_limit = 5, .token_budget = 50, .keep_revisions = 500}});
  CHECK(inherit_policy(s.chain())
        == policy{.loop_limit = 3, .token_budget = 30, .keep_revisions = 500});
}

TEST_CASE("an overlay says what the first says and the second where it is silent") {
  const policy a{.loop_limit = 1, .checkpoint_every = 2, .keep_revisions = 3};
  const policy b{4, 5, 6, 7, 8, 9};
  CHECK(overlay(a, b) == policy{1, 5, 2, 7, 3, 9});
  CHECK(overlay(b, a) == b);
  CHECK(overlay({}, a) == a);
}

TEST_CASE("a write goes to the scope it names and reads behind it see it") {
  scopes s;
  s.team.set("k", 3);
  CHECK(s.session.keys() == "{}");
  CHECK(s.look_up("k") == "t = 3");
}
