// What a scope actor answers before its change is on disk, and what it does not.

#include <troupe/actors/scope.hpp>

#include "actors/scope_node.hpp"

#include <cstdint>
#include <string>
#include <vector>

using namespace troupe;
using node = testing::scope_node;
using testing::item;
using testing::texts;
using list = std::vector<std::string>;

TEST_CASE(
    "a relaxed command is answered before its commit and a durable one behind it after both") {
  node n;
  REQUIRE(n.execute(create{}));
  n.disk->hold = true;
  const auto relaxed = n.send_at(durability::relaxed, item("a"));
  const auto durable = n.send_at(durability::durable, item("b"));
  n.world.run();
  CHECK(n.now(relaxed)->revision == 2);
  CHECK_FALSE(n.now(relaxed)->durable);
  CHECK_FALSE(durable->has_value());
  CHECK(n.live->find(session_ref("s"))->read()->revision == 1);
  n.release_all();
  CHECK(n.now(durable)->durable);
  CHECK(texts(n.committed()) == list{"a", "b"});
}

TEST_CASE("a refusal waits for the relaxed changes it was decided upon") {
  node n;
  REQUIRE(n.execute(create{}));
  n.disk->hold = true;
  const auto relaxed = n.send_at(durability::relaxed, item("a"));
  const auto refused = n.send(create{.info = {}, .only_if_absent = true});
  n.world.run();
  CHECK(relaxed->has_value());
  CHECK_FALSE(refused->has_value());
  n.release_all();
  CHECK(n.now(refused).error().code == errc::already_exists);
}

TEST_CASE("a relaxed change is lost with its failed commit and what follows starts without it") {
  node n;
  REQUIRE(n.execute(create{}));
  n.disk->hold = true;
  REQUIRE(n.send_at(durability::relaxed, item("a")));
  n.world.run();
  n.disk->fail = error{errc::store_failed, "planted"};
  n.release_all();
  n.disk->hold = false;
  CHECK(n.execute(item("b"))->revision == 2);
  CHECK(texts(n.committed()) == list{"b"});
}

TEST_CASE("beyond a mebibyte of relaxed changes on their way the next is answered as durable") {
  node n;
  REQUIRE(n.execute(create{}));
  n.disk->hold = true;
  std::string text(100'000, 'x');
  std::uint32_t bits = 1;
  for (auto& c : text)  // that no compression makes short
    c = static_cast<char>('!' + (bits = bits * 1'664'525U + 1'013'904'223U) / 50'000'000U % 90);
  int early = 0;
  for (int i = 0; i < 20; ++i) {
    const auto answer = n.send_at(durability::relaxed, item(text));
    n.world.run();
    early += answer->has_value() ? 1 : 0;
  }
  CHECK(early >= 10);
  CHECK(early < 20);
  n.release_all();
  CHECK(n.committed().items.size() == 20);
}

TEST_CASE("behind a relaxed change that is on its way for 50 ms the next is answered as durable") {
  node n;
  REQUIRE(n.execute(create{}));
  n.disk->hold = true;
  const auto answered_early = [&](int after_ms) {
    n.time.ms = 1'000 + after_ms;
    const auto answer = n.send_at(durability::relaxed, item("a"));
    n.world.run();
    return answer->has_value();
  };
  CHECK(answered_early(0));
  CHECK(answered_early(max_relaxed_ms));
  CHECK_FALSE(answered_early(max_relaxed_ms + 1));
}

TEST_CASE("the 50 ms of a relaxed change are told when it is sent and not when it was asked for") {
  node n;
  REQUIRE(n.execute(create{}));
  int takes_ms = 0;
  n.hooks->before.emplace_back([&](auto&&...) {
    n.time.ms += takes_ms;
    return expected<void>{};
  });
  n.disk->hold = true;
  const auto answered_early = [&](int hook_ms) {
    takes_ms = hook_ms;
    const auto answer = n.send_at(durability::relaxed, item("a"));
    n.world.run();
    return answer->has_value();
  };
  SUBCASE("one whose hook was slow is not late") {
    CHECK(answered_early(100));
    CHECK(answered_early(max_relaxed_ms));
  }
  SUBCASE("and is no excuse for those in front") {
    CHECK(answered_early(0));
    CHECK_FALSE(answered_early(max_relaxed_ms + 1));
  }
}
