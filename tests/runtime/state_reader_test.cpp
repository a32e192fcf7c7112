#include <troupe/runtime/state_reader.hpp>

#include "runtime_fixture.hpp"

#include <algorithm>
#include <atomic>
#include <string>
#include <thread>
#include <vector>

/// A thread's own look at an entity.

using namespace troupe;
using fixture = testing::runtime_fixture;

namespace {

const key<int> count{"count"};
const key<bool> stopped{"stopped"};

// doc:begin reader
/// Works on until another thread has set the flag; `look` is this thread's own.
int work_until_stopped(const session& chat) {
  auto look = chat.reader();
  int steps = 0;
  while (!look.get(stopped).value_or(false))
    ++steps;
  return steps;
}
// doc:end reader

}  // namespace

TEST_CASE_FIXTURE(fixture, "a reader sees each change that was answered before it looked") {
  const auto chat = host().session("a");
  auto look = chat.reader();
  CHECK(look.read().error().code == errc::not_found);
  answer(chat.create());
  for (int i = 0; i < 5; ++i) {
    const auto made = answer(chat.set(count, i));
    CHECK(look.get(count) == i);
    CHECK((**look.read()).revision == made.revision);
  }
  const auto* before = look.read()->get();
  CHECK(look.read()->get() == before);
  answer(chat.erase());
  CHECK(look.read().error().code == errc::not_found);
  answer(chat.create());
  CHECK(look.get(count).error().path == "/count");
}

TEST_CASE_FIXTURE(fixture, "a thread that looks by a reader sees what another one sets") {
  const auto chat = host().session("a");
  answer(chat.create());
  std::thread other{[&] { (void)chat.set(stopped, true).get(); }};
  CHECK(work_until_stopped(chat) >= 0);
  other.join();
  CHECK(work_until_stopped(chat) == 0);
}

TEST_CASE_FIXTURE(fixture, "a reader wakes what went to sleep and shows what it did since") {
  reopen({.max_live = 1});
  const auto chat = host().session("a"), other = host().session("b");
  answer(chat.create());
  answer(chat.set(count, 1));
  auto look = chat.reader();
  CHECK(look.get(count) == 1);
  for (int i = 2; i < 10; ++i) {
    answer(other.create());
    answer(other.set(count, i));
    if (i % 2 == 0)
      answer(chat.set(count, i));
    CHECK(look.get(count) == i / 2 * 2);
  }
}

TEST_CASE_FIXTURE(fixture, "a reader is refused what its principal may not read any more") {
  const auto chat = host().session("a");
  answer(chat.create({.user = "ann", .shares = {{.user = "bob"}}}));
  answer(chat.set(count, 1));
  auto look = chat.as({.user = "bob"}).reader();
  CHECK(look.get(count) == 1);
  answer(chat.update({.shares = std::vector<share>{}}));
  CHECK(look.get(count).error().code == errc::not_found);
}

TEST_CASE_FIXTURE(fixture, "readers on threads never see a count go back") {
  reopen({.max_live = 1});
  const auto chat = host().session("a");
  answer(chat.create());
  answer(chat.set(count, 0));
  std::atomic<bool> over = false;
  std::atomic<int> answered = 0, bad = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 2; ++t)
    threads.emplace_back([&] {
      auto look = chat.reader();
      for (int last = 0; !over;) {
        const int at_least = std::max(last, answered.load());
        const auto now = look.get(count);
        bad += !now || *now < at_least ? 1 : 0;
        last = now.value_or(last);
      }
    });
  for (int i = 1; i <= 200; ++i) {
    answer(chat.set(count, i));
    answered = i;
    if (i % 20 == 0)
      answer(host().session("b").create());  // the other one goes to sleep
  }
  over = true;
  for (auto& one : threads)
    one.join();
  CHECK(bad == 0);
}

TEST_CASE_FIXTURE(
    fixture, "what a thread sends to an entity that falls asleep all the time stays in order") {
  reopen({.max_live = 1});
  constexpr int threads = 3, each = 150;
  answer(host().session("a").create());
  std::atomic<int> failed = 0;
  std::vector<std::thread> senders;
  for (int t = 0; t < threads; ++t)
    senders.emplace_back([&, t] {
      const auto chat = host().session("a").with(durability::memory);
      std::atomic<int> in_flight = 0;
      for (int i = 0; i < each; ++i) {
        while (in_flight > 10)
          std::this_thread::yield();
        ++in_flight;
        chat.append(value::map({{"thread", t}, {"n", i}})).then([&](const auto& made) {
          failed += made ? 0 : 1;
          --in_flight;
        });
        if (i % 10 == 0)
          (void)host().session("b" + std::to_string(t)).create().get();
      }
      while (in_flight > 0)
        std::this_thread::yield();
    });
  for (auto& one : senders)
    one.join();
  answer(host().session("a").set(count, 0));  // durable, so that what was before it is on disk
  std::vector<std::int64_t> next(threads, -1);
  bool ordered = true;
  const auto state = answer(host().session("a").read());
  for (const auto& item : state->items) {
    const auto t = static_cast<std::size_t>(*item.fields.find("thread")->as_int64());
    const auto n = *item.fields.find("n")->as_int64();
    ordered = ordered && n > next[t];
    next[t] = n;
  }
  CHECK(ordered);
  CHECK(failed == 0);
  CHECK(state->items.size() == threads * each);
}
