#include <troupe/actors/internal/event_queue.hpp>
#include <troupe/actors/internal/subscribers.hpp>

#include "support/event_node.hpp"

#include <stdexcept>
#include <thread>

using namespace troupe;
using namespace troupe::testing;
using internal::event_queue;
using internal::subscribers;

namespace {

event_delivery delivery(std::uint64_t revision, std::size_t bytes) {
  committed_change what{.entity = session_ref("a"),
                        .what = {.revision = revision},
                        .epoch = 1,
                        .position = revision,
                        .bytes = bytes};
  const auto cursor = to_string(entity_cursor_of(what));
  return {std::make_shared<const committed_change>(std::move(what)), cursor};
}

list all_of(event_queue& from) {
  list out;
  for (;;) {
    const auto next = from.try_next();
    if (!next)
      out.push_back(std::string{to_string(next.error().code)});
    if (!next || !*next)
      return out;
    out.push_back(text_of(**next));
  }
}

}  // namespace

TEST_CASE("a queue that is full ends with a gap behind what is in it") {
  event_queue queue{{.bytes = 100, .deliveries = 10}, {}};
  CHECK(queue.put(delivery(1, 60)));
  CHECK(queue.put(delivery(2, 40)));
  CHECK_FALSE(queue.put(delivery(3, 1)));
  CHECK_FALSE(queue.put(delivery(4, 1)));
  CHECK(all_of(queue) == list{"session/a 1", "session/a 2", "slow 1-2", "busy"});
}

TEST_CASE("a queue is full by number too") {
  event_queue queue{{.bytes = 100, .deliveries = 2}, {}};
  CHECK(queue.put(delivery(1, 1)));
  CHECK(queue.put(delivery(2, 1)));
  CHECK_FALSE(queue.put(delivery(3, 1)));
}

TEST_CASE("a change larger than the queue is taken by an empty one") {
  event_queue queue{{.bytes = 100, .deliveries = 10}, {}};
  CHECK(queue.put(delivery(1, 1'000)));
  CHECK_FALSE(queue.put(delivery(2, 1)));
  CHECK(all_of(queue) == list{"session/a 1", "slow 1-1", "busy"});
}

TEST_CASE("a subscriber is woken once by what comes after it found nothing") {
  int woken = 0;
  event_queue queue{{}, [&] { ++woken; }};
  CHECK(queue.put(delivery(1, 1)));
  CHECK(woken == 1);
  CHECK(queue.put(delivery(2, 1)));
  CHECK(woken == 1);
  CHECK(queue.try_next()->has_value());
  CHECK(queue.put(delivery(3, 1)));
  CHECK(woken == 1);  // it has not found nothing
  CHECK(all_of(queue).size() == 2);
  CHECK(queue.put(delivery(4, 1)));
  CHECK(woken == 2);
  CHECK(all_of(queue).size() == 1);
  queue.end({errc::draining, ""});
  CHECK(woken == 3);
  CHECK(all_of(queue) == list{"draining"});
}

TEST_CASE("a wake that throws loses nothing") {
  event_queue queue{{}, [] { throw std::runtime_error{"planted"}; }};
  CHECK(queue.put(delivery(1, 1)));
  CHECK(all_of(queue) == list{"session/a 1"});
}

TEST_CASE("room is told when half of a queue was taken and not before") {
  event_queue queue{{.bytes = 100, .deliveries = 100}, {}};
  std::vector<bool> told;
  queue.connect([&](bool closed) { told.push_back(closed); });
  for (std::uint64_t i = 1; i <= 4; ++i)
    queue.put_read(delivery(i, 20));
  CHECK_FALSE(queue.room());
  CHECK(queue.try_next()->has_value());
  CHECK(told.empty());
  CHECK(queue.try_next()->has_value());
  CHECK(told == std::vector{false});
  CHECK(queue.try_next()->has_value());
  CHECK(told == std::vector{false});
  CHECK(queue.room());
  queue.close();
  CHECK(told == std::vector{false, true});
  CHECK_FALSE(queue.put(delivery(5, 1)));
}

TEST_CASE("a subscriber that waits gets what another thread puts") {
  event_queue queue{{}, {}};
  std::thread other{[&] { queue.put(delivery(1, 1)); }};
  const auto got = queue.next(std::chrono::steady_clock::now() + std::chrono::seconds{30});
  other.join();
  REQUIRE(got);
  REQUIRE(*got);
  CHECK(text_of(**got) == "session/a 1");
}

TEST_CASE("a change is found for every live subscriber that may want it and once for each") {
  subscribers all;
  const auto w = workflow_ref("w");
  const auto add = [&](std::uint64_t id, event_filter filter) {
    auto& one = all.add(id, std::make_shared<event_queue>(internal::queue_limits{}, nullptr),
                        std::move(filter));
    one.at = 10;
    all.set_live(one, true);
  };
  add(1, {});
  add(2, {.entity = session_ref("a")});
  add(3, {.entity = w, .children = true});
  add(4, {.kinds = {entity_kind::workflow}});
  add(5, {.entity = entity_ref{"default", entity_kind::global, "g"}, .children = true});
  const auto found = [&](const entity_ref& entity, const entity_parents& before,
                         const entity_parents& after, std::uint64_t position) {
    std::vector<internal::subscriber*> out;
    all.find(entity, before, after, position, out);
    std::vector<std::uint64_t> ids;
    for (const auto* one : out)
      ids.push_back(one->id);
    std::sort(ids.begin(), ids.end());
    return ids;
  };
  using ids = std::vector<std::uint64_t>;
  CHECK(found(session_ref("a"), {}, {}, 11) == ids{1, 2, 5});
  CHECK(found(session_ref("a"), {.workflow = "w"}, {.workflow = "w"}, 11) == ids{1, 2, 3, 5});
  CHECK(found(session_ref("b"), {.workflow = "w"}, {}, 11) == ids{1, 3, 5});
  CHECK(found(session_ref("b"), {}, {.user = "w"}, 11) == ids{1, 5});
  CHECK(found(w, {}, {}, 11) == ids{1, 3, 4, 5});
  CHECK(found(session_ref("a"), {}, {}, 10).empty());  // read from the journal
  all.set_live(*all.find(1), false);
  all.erase(*all.find(3));
  CHECK(found(session_ref("a"), {.workflow = "w"}, {.workflow = "w"}, 11) == ids{2, 5});
  CHECK_FALSE(all.wants_parents());
}
