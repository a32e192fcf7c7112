#include "runtime/runtime_fixture.hpp"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

/// Threads of the host that run the actors which their calls put to work.

using namespace troupe;
using troupe::testing::runtime_fixture;

namespace {

// doc:begin run-here
/// The least event loop: takes its turn whenever it is woken, for as long as that is true.
class event_loop {
public:
  void wake() {
    const std::lock_guard lock{mutex_};
    woken_ = true;
    changed_.notify_one();
  }

  void run(runtime& of, const std::function<bool()>& turn) {
    const auto run_actors = of.run_here([this] { wake(); });
    while (turn()) {
      {
        std::unique_lock lock{mutex_};
        changed_.wait(lock, [this] { return woken_; });
        woken_ = false;
      }
      run_actors();
    }
  }

private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool woken_ = false;
};
// doc:end run-here

command append(const std::string& id) {
  return {.entity = session_ref(id),
          .operations = {append_items{{value::map({{"content", value{"x"}}})}}}};
}

/// Appends to a session from the thread of a loop, one after the other.
class appender {
public:
  appender(runtime& host, std::string id, int times, event_loop& loop)
      : host_{host},
        id_{std::move(id)},
        times_{times},
        loop_{loop} {}

  /// False: all are answered.
  bool go_on() {
    if (answered_ == times_)
      return false;
    if (may_ask_.exchange(false))
      host_.execute(append(id_), [this, asked_on = std::this_thread::get_id()](
                                     const expected<command_result>& done) {
        good += done ? 1 : 0;
        here += std::this_thread::get_id() == asked_on ? 1 : 0;
        may_ask_ = true;
        ++answered_;
        loop_.wake();
      });
    return true;
  }

  std::atomic<int> good = 0, here = 0;

private:
  runtime& host_;
  const std::string id_;
  const int times_;
  event_loop& loop_;
  std::atomic<int> answered_ = 0;
  std::atomic<bool> may_ask_ = true;
};

}  // namespace

TEST_CASE_FIXTURE(runtime_fixture, "a thread that runs actors is called back by those it asked") {
  constexpr int sessions = 20, each = 10;
  event_loop loop;
  std::deque<appender> all;
  for (int i = 0; i < sessions; ++i) {
    const auto id = "s" + std::to_string(i);
    answer(host().session(id).create());
    all.emplace_back(host(), id, each, loop);
  }
  loop.run(host(), [&] {
    return std::ranges::count_if(all, [](appender& one) { return one.go_on(); }) != 0;
  });
  host().close();  // nobody is called back any more
  int here = 0;
  for (const auto& one : all) {
    CHECK(one.good == each);
    here += one.here;
  }
  CHECK(here > sessions * each / 2);
}

TEST_CASE_FIXTURE(runtime_fixture,
                  "what a thread asked before it runs no actors any more is done") {
  constexpr int sessions = 20, each = 5;
  std::atomic<int> good = 0;
  for (int n = 0; n < sessions; ++n) {
    const auto id = "s" + std::to_string(n);
    answer(host().session(id).create());
    const auto run_actors = host().run_here([] {});
    for (int i = 0; i < each; ++i)
      host().execute(append(id), [&](const expected<command_result>& x) { good += x ? 1 : 0; });
    if (n % 2 == 0)
      run_actors();  // the store then answers to where nobody runs any more
  }
  for (int n = 0; n < sessions; ++n)
    CHECK(answer(host().session("s" + std::to_string(n)).append(chat_message{.role = "user"}))
              .revision
          == 2 + each);
  host().close();
  CHECK(good == sessions * each);
}

TEST_CASE_FIXTURE(runtime_fixture, "threads that run actors share sessions and lose nothing") {
  constexpr int threads = 3, each = 100;
  answer(host().session("shared").create());
  std::deque<event_loop> loops;
  std::deque<appender> all;
  std::vector<std::jthread> running;
  for (int t = 0; t < threads; ++t) {
    const auto id = "own" + std::to_string(t);
    answer(host().session(id).create());
    auto& loop = loops.emplace_back();
    auto& own = all.emplace_back(host(), id, each, loop);
    auto& shared = all.emplace_back(host(), "shared", each, loop);
    running.emplace_back([&] {
      loop.run(host(), [&] {
        const bool more = own.go_on();
        return shared.go_on() || more;
      });
    });
  }
  running.clear();
  const auto shared = host().read(session_ref("shared"));
  REQUIRE(shared);
  CHECK((*shared)->revision == 1 + threads * each);
  host().close();
  for (const auto& one : all)
    CHECK(one.good == each);
  for (std::size_t own = 0; own < all.size(); own += 2)  // what the store answered went back
    CHECK(all[own].here > each / 2);
}
