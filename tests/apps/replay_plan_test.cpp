#include "troupe/replay_plan.hpp"

#include <doctest/doctest.h>

#include <thread>
#include <vector>

using namespace troupe;
using namespace troupe::cli;
using namespace std::chrono_literals;

namespace {

using clock_type = replay_plan::clock;

void acknowledge(replay_plan& plan, std::size_t conversation, std::chrono::nanoseconds took = 1ms) {
  plan.acknowledged(conversation, clock_type::time_point{}, clock_type::time_point{took});
}

}  // namespace

TEST_CASE("the next message of a conversation waits for the acknowledgement of the one before") {
  replay_plan plan{{3}};
  REQUIRE(plan.next_conversation() == 0);
  CHECK(plan.next_message(0) == 0);
  CHECK(plan.next_message(0) == 0);
  acknowledge(plan, 0);
  CHECK(plan.next_message(0) == 1);
  acknowledge(plan, 0);
  acknowledge(plan, 0);
  CHECK_FALSE(plan.next_message(0).has_value());
  CHECK(plan.done() == 3);
  CHECK(plan.total() == 3);
}

TEST_CASE("every conversation is handed out once and in order") {
  replay_plan plan{{1, 0, 2}};
  CHECK(plan.next_conversation() == 0);
  CHECK(plan.next_conversation() == 1);
  CHECK_FALSE(plan.next_message(1).has_value());
  CHECK(plan.next_conversation() == 2);
  CHECK_FALSE(plan.next_conversation().has_value());
  CHECK_FALSE(plan.next_conversation().has_value());
}

TEST_CASE("after a stop nothing more is handed out and what was acknowledged counts") {
  replay_plan plan{{2, 2}};
  const auto first = *plan.next_conversation();
  plan.created(first);
  acknowledge(plan, first);
  plan.stop();
  CHECK_FALSE(plan.next_message(first).has_value());
  CHECK_FALSE(plan.next_conversation().has_value());
  CHECK(plan.stored(0) == 1);
  CHECK_FALSE(plan.stored(1).has_value());
  CHECK_FALSE(plan.failed().has_value());
}

TEST_CASE("the first failure stops the replay and is kept") {
  replay_plan plan{{2, 2}};
  plan.fail(1, {errc::store_full, "no room"});
  plan.fail(0, {errc::outcome_unknown, "later"});
  REQUIRE(plan.failed().has_value());
  CHECK(plan.failed()->conversation == 1);
  CHECK(plan.failed()->why.code == errc::store_full);
  CHECK(plan.stopped());
}

TEST_CASE("messages that are stored already are not written again and not timed") {
  replay_plan plan{{3, 2}};
  plan.begin_behind(0, 2);
  plan.begin_behind(1, 7);  // more than the file has
  CHECK(plan.total() == 1);
  CHECK(plan.next_message(0) == 2);
  CHECK_FALSE(plan.next_message(1).has_value());
  plan.created(0);
  acknowledge(plan, 0, 5ms);
  CHECK(plan.stored(0) == 3);
  CHECK(plan.done() == 1);
  CHECK(plan.latencies() == std::vector<std::chrono::nanoseconds>{5ms});
}

TEST_CASE("times of all conversations come back sorted and the newest answer is known") {
  replay_plan plan{{2, 2}};
  acknowledge(plan, 1, 4ms);
  acknowledge(plan, 0, 3ms);
  acknowledge(plan, 1, 1ms);
  CHECK(plan.latencies() == std::vector<std::chrono::nanoseconds>{1ms, 3ms, 4ms});
  CHECK(plan.last_acknowledgement() == clock_type::time_point{4ms});
}

TEST_CASE("a percentile is a time that was measured") {
  std::vector<std::chrono::nanoseconds> times;
  CHECK(percentile(times, 50) == 0ns);
  for (int i = 1; i <= 200; ++i)
    times.emplace_back(i);
  CHECK(percentile(times, 50) == 100ns);
  CHECK(percentile(times, 99) == 198ns);
  CHECK(percentile(times, 100) == 200ns);
  CHECK(percentile({7ns}, 1) == 7ns);
}

TEST_CASE("threads that share a plan write every message once") {
  constexpr std::size_t conversations = 200, messages = 20;
  replay_plan plan{std::vector<std::size_t>(conversations, messages)};
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&] {
        while (const auto c = plan.next_conversation()) {
          plan.created(*c);
          while (plan.next_message(*c))
            acknowledge(plan, *c);
        }
      });
    }
  }
  CHECK(plan.done() == conversations * messages);
  CHECK(plan.latencies().size() == conversations * messages);
  for (std::size_t i = 0; i < conversations; ++i)
    CHECK(plan.stored(i) == messages);
}
