#include <troupe/state/decide.hpp>

#include "../support/entities.hpp"

using namespace troupe;
using namespace troupe::testing;

namespace {

patch_state sets(const std::string& key, const value& data) {
  return {{set_key{key, data}}};
}

}  // namespace

TEST_CASE("what a principal may not read does not exist for it in equal words") {
  entity_fixture there, absent;
  there.begins({.user = "ann", .shares = {{"bob", access::read}}});
  there.by = absent.by = user("eve");
  for (const operation& op : {operation{erase{}}, operation{patch_state{}}, operation{undo{}},
                              operation{append_items{}}, operation{update_info{}}}) {
    CHECK(there.refuses(op) == absent.refuses(op));
    CHECK(there.refuses(op).code == errc::not_found);
  }
  auto stale = there.asks(erase{});
  stale.expected_revision = 77;
  CHECK(there.refused(stale) == absent.refuses(erase{}));
}

TEST_CASE("what a principal may only read answers forbidden") {
  entity_fixture s;
  s.begins({.user = "ann", .shares = {{"bob", access::read}, {"cy", access::write}}});
  s.by = user("bob");
  CHECK(s.refuses(sets("a", 1)).code == errc::forbidden);
  CHECK(s.refuses(erase{}).code == errc::forbidden);
  s.by = user("cy");
  CHECK(s.does(sets("a", 1)).changed);
  s.by = user("ann");
  CHECK(s.does(sets("a", 2)).changed);
  s.by = principal::host();
  CHECK(s.does(sets("a", 3)).changed);
}

TEST_CASE("only the owner deletes and shares") {
  entity_fixture s;
  s.begins({.user = "ann", .shares = {{"cy", access::write}}});
  s.by = user("cy");
  const error no{.code = errc::forbidden,
                 .message = "only the owner deletes, shares and sets ttl, policy and parents"};
  CHECK(s.refuses(erase{}) == no);
  CHECK(s.refuses(sets("a", 1), erase{}, create{{.user = "cy"}}) == no);
  CHECK(s.refuses(update_info{.shares = std::vector<share>{}}) == no);
  CHECK(s.refuses(update_info{.ttl_ms = 1}) == no);
  CHECK(s.refuses(update_info{.limits = policy{}}) == no);
  CHECK(s.refuses(update_info{.workflow = "theirs"}) == no);
  CHECK(s.refuses(update_info{.team = "theirs"}) == no);
  CHECK(s.does(update_info{.tags = std::vector<std::string>{"t"}}).changed);
  s.by = user("ann");
  CHECK(s.does(update_info{.shares = std::vector<share>{}}).changed);
  s.by = user("cy");
  CHECK(s.refuses(sets("a", 1)).code == errc::not_found);
  s.by = user("ann");
  CHECK(s.does(erase{}).changed);
}

TEST_CASE("what has no owner is open to every principal") {
  entity_fixture s;
  s.begins();
  s.by = user("eve");
  CHECK(s.does(sets("a", 1)).changed);
  CHECK(s.does(update_info{.shares = std::vector<share>{{"eve", access::read}}}).changed);
  CHECK(s.does(erase{}).changed);
}

TEST_CASE("a team is open to its members and closed to others") {
  entity_fixture team{entity_kind::team};
  team.begins({.user = "ann"});
  team.does(add_member{"bob", "writer"});
  team.by = user("bob");
  CHECK(team.does(sets("a", 1)).changed);
  CHECK(team.refuses(erase{}).code == errc::forbidden);
  team.by = user("eve");
  CHECK(team.refuses(sets("a", 1)).code == errc::not_found);
}

TEST_CASE("the user scope belongs to the user of its id and to nobody else") {
  entity_fixture mine{entity_kind::user, "ann"};
  mine.by = user("eve");
  CHECK(mine.refuses(create{}).code == errc::forbidden);
  CHECK(mine.refuses(create{{.user = "eve"}}).code == errc::forbidden);
  mine.by = user("ann");
  CHECK(mine.begins({.user = "", .shares = {{"eve", access::write}}}).created);
  mine.by = user("eve");
  CHECK(mine.refuses(sets("a", 1)).code == errc::not_found);
  CHECK(mine.refuses(create{}).code == errc::not_found);
}

TEST_CASE("a principal creates only what is its own or nobody's") {
  const auto creates = [](principal by, std::string owner) {
    entity_fixture s;
    s.by = std::move(by);
    return decide(s.state(), s.asks(create{{.user = std::move(owner)}}), s.context())
        .map([](const decision& d) { return std::string{user_of(d.next)}; });
  };
  CHECK(creates(user("ann"), "ann") == "ann");
  CHECK(creates(user("ann"), "") == "");
  CHECK(creates(principal::host(), "ann") == "ann");
  CHECK(creates(user("eve"), "ann").error()
        == error{.code = errc::forbidden,
                 .message = "a principal creates only what is its own",
                 .path = "/user"});
  CHECK(creates(user(""), "ann").error().code == errc::forbidden);
}

TEST_CASE("a principal without a name reads only what has no owner") {
  entity_fixture s;
  s.begins({.user = "ann"});
  CHECK_FALSE(may(s.state(), s.ref, user(""), access::read));
  CHECK(may(s.state(), s.ref, user("ann"), access::write));
  CHECK(may(s.state(), s.ref, principal::host(), access::write));
  entity_fixture open;
  open.begins();
  CHECK(may(open.state(), open.ref, user(""), access::write));
}
