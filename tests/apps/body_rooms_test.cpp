#include "api/body_rooms.hpp"

#include <doctest/doctest.h>

#include <string>
#include <utility>

using namespace troupe;
using namespace troupe::api;

namespace {

identity of(const std::string& name_space) {
  return {.name_space = name_space, .by = {.user = "ann"}, .held = role::writer, .token = "t"};
}

}  // namespace

TEST_CASE("large bodies of a namespace have room together until they are answered") {
  body_rooms all{100};
  auto held = all.take(of("n"), 60);
  REQUIRE(held);
  const auto refused = all.take(of("n"), 41);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == errc::busy);
  CHECK(refused.error().limit == 100);
  CHECK(all.take(of("n"), 40));  // what was refused holds nothing, and neither does this
  CHECK(all.take(of("other"), 100));
  {
    const auto moved = *std::move(held);
    CHECK_FALSE(all.take(of("n"), 41));
  }
  CHECK_FALSE(all.take(of("n"), 101));
  CHECK(all.take(of("n"), 100));
}

TEST_CASE("without tokens a namespace has room for large bodies of any size") {
  body_rooms all{100};
  const auto held = all.take(identity{}, 101);
  CHECK(held);
  CHECK(all.take(identity{}, 101));
}
