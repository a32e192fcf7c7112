#include <troupe/actors/admission.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <thread>
#include <vector>

using namespace troupe;

TEST_CASE("so many requests are let in and the next is refused until one leaves") {
  admission door{{.requests = 2, .bytes = 1'000}};
  auto first = door.enter(1);
  const auto second = door.enter(1);
  REQUIRE(first);
  REQUIRE(second);
  const auto refused = door.enter(1);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == errc::busy);
  CHECK(refused.error().limit == 2);
  CHECK(refused.error().retry_after_ms == 100);
  CHECK(door.refused() == 1);
  first->leave();
  first->leave();  // again is nothing
  CHECK(door.requests() == 1);
  CHECK(door.enter(1));
  CHECK(door.requests() == 1);  // it went at once
}

TEST_CASE("so many bytes are let in but one request whatever it carries") {
  admission door{{.requests = 10, .bytes = 100}};
  {
    const auto large = door.enter(1'000);
    REQUIRE(large);
    REQUIRE_FALSE(door.enter(1));
  }
  const auto some = door.enter(60);
  const auto more = door.enter(40);
  REQUIRE(some);
  REQUIRE(more);
  const auto refused = door.enter(1);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().limit == 100);
  CHECK(door.bytes() == 100);
  CHECK(door.requests() == 2);
}

TEST_CASE("a request counts every value that it carries") {
  const value text{std::string(1'000, 'x')};
  const auto bytes = [](operation op) {
    return carried_bytes(command{.entity = session_ref("a"), .operations = {std::move(op)}});
  };
  for (const auto& op : std::vector<operation>{
           append_items{{text}}, merge_state{text}, record_call{.tool = "t", .arguments = text},
           send_message{.from = "a", .body = text}, update_info{.metadata_patch = text},
           create{.info = {.metadata = text}}, update_node{.id = "n", .result = text},
           put_todos{{{.id = "1", .content = std::string(1'000, 'x')}}},
           update_notebook{.variables = text}, create_checkpoint{.id = "c", .metadata = text},
           patch_state{{set_key{.key = "k", .data = text}}}, patch_state{{append_to{"k", {text}}}},
           patch_state{{add_to{"k", text}}},
           patch_state{{compare_and_set{.key = "k", .expected = text, .data = text}}}}) {
    CAPTURE(op.index());
    CHECK(bytes(op) > 1'000);
  }
  CHECK(bytes(erase{}) < 200);
  change_set both;
  both.commands = {{.entity = session_ref("a"), .operations = {append_items{{text}}}},
                   {.entity = session_ref("b"), .operations = {append_items{{text}}}}};
  CHECK(carried_bytes(both) > 2'000);
}

TEST_CASE("threads that come and go leave nothing behind") {
  admission door{{.requests = 3, .bytes = 1'000}};
  std::atomic<int> inside = 0;
  std::atomic<bool> too_many = false;
  std::vector<std::thread> all;
  for (int t = 0; t < 4; ++t)
    all.emplace_back([&] {
      for (int i = 0; i < 20'000; ++i) {
        const auto in = door.enter(10);
        if (!in)
          continue;
        too_many = too_many || ++inside > 3;
        --inside;
      }
    });
  for (auto& one : all)
    one.join();
  CHECK_FALSE(too_many);
  CHECK(door.requests() == 0);
  CHECK(door.bytes() == 0);
}
