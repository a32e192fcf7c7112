#include "api/admission.hpp"

#include "api/status.hpp"
#include <doctest/doctest.h>

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

/// What one namespace, one user and one address may ask of a node.

using namespace troupe;
using namespace troupe::api;

namespace {

identity who(const std::string& user, const std::string& name_space = "n") {
  return {.name_space = name_space, .by = {.user = user}, .held = role::writer, .token = "t"};
}

constexpr timestamp noon{43'200'000};

timestamp after(std::int64_t ms) {
  return {noon.ms + ms};
}

}  // namespace

TEST_CASE("what is in flight is counted by user and by namespace until it is given back") {
  admission all{{.name_space_in_flight = 4, .user_in_flight = 2}};
  std::vector<admission::ticket> held;
  for (const auto* user : {"ann", "ann", "bob"})
    held.push_back(all.enter(who(user), noon).value());
  const auto refused = all.enter(who("ann"), noon);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == errc::busy);
  CHECK(refused.error().limit == 2);
  held.push_back(all.enter(who("bob"), noon).value());
  CHECK(all.enter(who("eve"), noon).error().limit == 4);
  CHECK(all.enter(who("ann", "other"), noon));
  held.erase(held.begin());
  held.push_back(all.enter(who("eve"), noon).value());
  CHECK_FALSE(all.enter(who("ann"), noon));
  held.clear();
  CHECK(all.enter(who("bob"), noon));
}

TEST_CASE("a user has so many requests for earlier revisions at a time") {
  admission all{{}};
  const auto look_back = [&](const identity& by) {
    auto out = all.enter(by, noon).value();
    return std::pair{out.look_back(), std::move(out)};
  };
  auto first = look_back(who("ann")), second = look_back(who("ann"));
  CHECK(first.first);
  CHECK(second.first);
  CHECK(second.second.look_back());  // once is enough
  const auto refused = look_back(who("ann"));
  REQUIRE_FALSE(refused.first);
  CHECK(refused.first.error().code == errc::busy);
  CHECK(refused.first.error().limit == 2);
  CHECK(look_back(who("bob")).first);
  CHECK(look_back(who("ann", "other")).first);
  auto moved = std::move(first.second);
  CHECK_FALSE(look_back(who("ann")).first);
  moved = {};
  CHECK(look_back(who("ann")).first);
}

TEST_CASE("a ticket that moves is given back once") {
  admission all{{.user_in_flight = 1}};
  auto first = all.enter(who("ann"), noon).value();
  auto moved = std::move(first);
  CHECK_FALSE(all.enter(who("ann"), noon));
  moved = {};
  auto second = all.enter(who("ann"), noon);
  REQUIRE(second);
  CHECK_FALSE(all.enter(who("ann"), noon));
}

TEST_CASE("without tokens only the namespace is limited") {
  admission all{{.name_space_in_flight = 2, .user_in_flight = 1}};
  std::vector<admission::ticket> held;
  for (int i = 0; i < 2; ++i)
    held.push_back(all.enter(identity{}, noon).value());
  CHECK(all.enter(identity{}, noon).error().limit == 2);
}

TEST_CASE("a rate lets a second's worth come at once and then one by one") {
  admission all{{.user_rate = 4}};
  const auto in = [&](std::int64_t ms) { return all.enter(who("ann"), after(ms)).has_value(); };
  for (int i = 0; i < 4; ++i)
    CHECK(in(0));
  const auto refused = all.enter(who("ann"), noon);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == errc::rate_limited);
  CHECK(refused.error().retry_after_ms == 250);
  CHECK_FALSE(in(249));
  CHECK(in(251));
  CHECK_FALSE(in(252));
  CHECK(all.enter(who("bob"), noon));
  for (int i = 0; i < 4; ++i)
    CHECK(in(100'000));
  CHECK_FALSE(in(100'000));
  CHECK_FALSE(in(50'000));  // a clock that goes back gives nothing
}

TEST_CASE("those beyond a rate are each told a turn of their own within a second") {
  admission all{{.name_space_rate = 4}};
  const auto told = [&](std::int64_t ms) {
    auto in = all.enter(who("ann"), after(ms));
    return in ? 0 : in.error().retry_after_ms.value();
  };
  for (int i = 0; i < 4; ++i)
    CHECK(told(0) == 0);
  for (const auto turn : {250, 500, 750, 1'000, 1'000})
    CHECK(told(0) == turn);
  CHECK(told(250) == 0);
  CHECK(told(260) == 990);  // behind those who were told before
  CHECK(told(5'000) == 0);
  CHECK(told(5'000) == 0);
  CHECK(told(5'000) == 0);
  CHECK(told(5'000) == 0);
  CHECK(told(5'000) == 250);  // nobody waits any more
}

TEST_CASE("who asks too much is answered when the next may come and 100 ms late at most") {
  const auto delay_of = [](errc code, std::optional<std::uint64_t> wait_ms) {
    return to_response({.code = code, .message = "m", .retry_after_ms = wait_ms}).delay.count();
  };
  CHECK(delay_of(errc::rate_limited, 30) == 30);
  CHECK(delay_of(errc::rate_limited, 60'000) == 100);
  CHECK(delay_of(errc::busy, std::nullopt) == 100);
  CHECK(delay_of(errc::too_many_sessions, std::nullopt) == 100);
  for (const auto code : {errc::draining, errc::store_failed, errc::in_flight, errc::not_found})
    CHECK(delay_of(code, 1'000) == 0);
}

TEST_CASE("users that nobody hears of any more are forgotten and those in flight are not") {
  admission all{{.user_in_flight = 1}};
  auto held = all.enter(who("kept"), noon).value();
  for (int i = 0; i < 5'000; ++i)
    CHECK(all.enter(who(std::to_string(i)), after(i * 10)));
  CHECK_FALSE(all.enter(who("kept"), after(50'000)));
}

TEST_CASE("failed logins are counted by address and of IPv6 by network for a minute") {
  admission all{{.failed_logins = 2}};
  const auto again = [&](const char* from, std::int64_t ms) {
    return all.failed_login(from, after(ms)).has_value();
  };
  CHECK(again("192.0.2.1", 0));
  CHECK(again("192.0.2.1", 30'000));
  CHECK_FALSE(again("192.0.2.1", 59'000));
  CHECK(all.failed_login("192.0.2.1", after(59'000)).error().retry_after_ms == 1'000);
  CHECK(again("192.0.2.2", 59'000));
  CHECK(again("192.0.2.1", 60'000));
  CHECK(again("2001:db8::1", 0));
  CHECK(again("2001:db8::2", 0));
  CHECK_FALSE(again("2001:db8::ffff:3", 0));
  CHECK(again("2001:db8:0:1::1", 0));
  CHECK(admission_limits{}.failed_logins == 10);
}
