#include <troupe/runtime/current_session.hpp>

#include "runtime_fixture.hpp"

#include <coroutine>
#include <functional>
#include <optional>
#include <string>
#include <thread>
#include <utility>

namespace troupe {

using namespace testing;

namespace {

constexpr key<std::string> note{"note"};

/// A session of no runtime: it has a name, and that is what these tests look at.
session named(std::string id) {
  static temp_directory directory;
  // Never closed: CAF uses what is local to the main thread, which is gone when statics end.
  static const auto& host = *new auto{[] {
    auto opened = runtime::open({.data = directory.store()});
    REQUIRE_MESSAGE(opened, opened.error().message);
    return *std::move(opened);
  }()};
  return host->session(std::move(id));
}

/// Of what is current here; "" where nothing is.
std::string here() {
  return current_session().ref().id;
}

std::string on_another_thread(auto f) {
  std::string out;
  std::thread{[&] { out = f(); }}.join();
  return out;
}

/// A coroutine that begins at once and is gone when it ends or when its object is.
struct job {
  struct promise_type {
    job get_return_object() {
      return job{std::coroutine_handle<promise_type>::from_promise(*this)};
    }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_always final_suspend() noexcept { return {}; }
    void return_void() noexcept {}
    void unhandled_exception() { std::terminate(); }
  };

  explicit job(std::coroutine_handle<promise_type> h) : self{h} {}
  job(job&& other) noexcept : self{std::exchange(other.self, nullptr)} {}
  ~job() {
    if (self)
      self.destroy();
  }
  [[nodiscard]] bool done() const { return self.done(); }

  std::coroutine_handle<promise_type> self;
};

/// Lets a coroutine wait until the test resumes it, on the thread that the test likes.
struct gate {
  auto operator co_await() noexcept {
    struct awaiter {
      gate* of;
      bool await_ready() const noexcept { return of->open; }
      bool await_suspend(std::coroutine_handle<> h) const noexcept {
        of->waiting = h;
        return !of->passes;
      }
      int await_resume() const noexcept { return 7; }
    };
    return awaiter{this};
  }
  void resume() { std::exchange(waiting, nullptr).resume(); }
  void resume_on_another_thread() {
    std::thread{[this] {
      resume();
      left_behind = here();
    }}.join();
  }

  bool open = false;    // need not wait
  bool passes = false;  // decides at the last moment not to wait
  std::coroutine_handle<> waiting{};
  std::string left_behind = "?";
};

// doc:begin carry-the-session
/// Runs a tool on a thread of its own, for the session that is current here.
std::thread run_tool(std::function<void()> tool) {
  return std::thread{bind_session(std::move(tool))};
}

/// Waits for an answer and keeps it, on whatever thread that is.
job keep_answer(gate& tool) {
  const int said = co_await keep_session(tool);
  current_session().set("answer", said).value();
}
// doc:end carry-the-session

}  // namespace

TEST_CASE("a block has its session and the one around it has its own again") {
  CHECK(here() == "");
  {
    const session_scope outer{named("a")};
    CHECK(here() == "a");
    {
      const session_scope inner{named("b")};
      CHECK(here() == "b");
      const session_scope nobody{session{}};
      CHECK(here() == "");
    }
    CHECK(here() == "a");
    try {
      const session_scope inner{named("c")};
      throw 1;
    } catch (int) {
      CHECK(here() == "a");
    }
  }
  CHECK(here() == "");
}

TEST_CASE_FIXTURE(runtime_fixture, "deep code writes to the session that is current") {
  answer(host().session("a").create());
  answer(host().session("b").create());
  const auto deep = [] {
    return current_session().usage().add(10, 1).get() && current_session().set(note, "mine").get();
  };
  {
    const session_scope scope{host().session("a")};
    CHECK(deep());
  }
  CHECK(answer(host().session("a").usage().report()).total.total() == 11);
  CHECK(answer(host().session("b").usage().report()).total.total() == 0);
  CHECK_FALSE(deep());
}

TEST_CASE_FIXTURE(runtime_fixture, "tools on other threads write to the session of who asked") {
  const auto chat = host().session("a");
  answer(chat.create());
  gate tool;
  auto waiting = [&] {
    const session_scope scope{chat};
    run_tool([] { current_session().set(note, "by a thread").value(); }).join();
    return keep_answer(tool);
  }();
  tool.resume_on_another_thread();
  CHECK(waiting.done());
  CHECK(answer(chat.state()) == value::map({{"note", "by a thread"}, {"answer", 7}}));
}

TEST_CASE("without a current session every call answers not_found") {
  CHECK(current_session().empty());
  const auto refused = current_session().usage().add(1, 1).get();
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == errc::not_found);
}

TEST_CASE("another thread has none and gets one by binding or by a scope of its own") {
  const session_scope scope{named("a")};
  CHECK(on_another_thread(here) == "");
  CHECK(on_another_thread(bind_session(here)) == "a");
  CHECK(on_another_thread([captured = current_session()] {
          const session_scope there{captured};
          return here();
        })
        == "a");

  auto bound = bind_session([](std::string prefix) { return prefix + here(); });
  const session_scope other{named("b")};
  CHECK(bound("in ") == "in a");  // what was current when it was bound
  CHECK(here() == "b");
}

TEST_CASE("what is bound without a session runs without one") {
  auto bound = bind_session(here);
  const session_scope scope{named("a")};
  CHECK(bound() == "");
  CHECK(here() == "a");
}

TEST_CASE("a coroutine that waits keeps its session and leaves none to either thread") {
  gate door;
  std::string before, after;
  int got = 0;
  const auto work = [&]() -> job {
    before = here();
    got = co_await keep_session(door);
    after = here();
  };
  auto running = [&] {
    const session_scope scope{named("a")};
    return work();
  }();
  CHECK(before == "a");
  CHECK(here() == "");
  REQUIRE(door.waiting);
  door.resume_on_another_thread();
  CHECK(running.done());
  CHECK(after == "a");
  CHECK(got == 7);
  CHECK(door.left_behind == "");
}

TEST_CASE("a thread that works for somebody else has him back when a coroutine goes on") {
  gate first, second;
  std::string seen;
  const auto work = [&]() -> job {
    co_await keep_session(first);
    seen += here();
    co_await keep_session(second);
    seen += here();
  };
  auto running = [&] {
    const session_scope scope{named("a")};
    return work();
  }();
  {
    const session_scope scope{named("b")};
    first.resume();
    CHECK(here() == "b");
    second.resume_on_another_thread();
    CHECK(here() == "b");
  }
  CHECK(running.done());
  CHECK(seen == "aa");
  CHECK(second.left_behind == "");
}

TEST_CASE("who waits for a coroutine that waits goes on under its session without keeping it") {
  gate door;
  std::string seen;
  std::coroutine_handle<> parent_waits;
  std::optional<job> started;
  struct until_resumed {
    std::coroutine_handle<>* waiting;
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> h) const noexcept { *waiting = h; }
    void await_resume() const noexcept {}
  };
  const auto child = [&]() -> job {
    co_await keep_session(door);
    parent_waits.resume();  // as the end of a task does
  };
  const auto parent = [&]() -> job {
    started.emplace(child());
    co_await until_resumed{&parent_waits};
    seen = here();
  };
  const auto running = [&] {
    const session_scope scope{named("a")};
    return parent();
  }();
  door.resume_on_another_thread();
  CHECK(seen == "a");
  CHECK(door.left_behind == "");
}

TEST_CASE("a wait that is over at once changes nothing") {
  for (const bool open : {true, false}) {
    gate door{.open = open, .passes = true};
    std::string after;
    const auto work = [&]() -> job {
      CHECK(co_await keep_session(door) == 7);
      after = here();
    };
    const session_scope scope{named("a")};
    CHECK(work().done());
    CHECK(after == "a");
    CHECK(here() == "a");
  }
}

TEST_CASE("a coroutine that is destroyed while it waits leaves nothing") {
  gate door;
  const auto work = [&]() -> job { co_await keep_session(door); };
  {
    const session_scope scope{named("a")};
    { const auto dropped = work(); }
    CHECK(door.waiting);
    CHECK(here() == "a");
  }
  CHECK(here() == "");
}

TEST_CASE("a scope inside a coroutine that waits without keeping stays on the thread it left") {
  // What the rule is for: this is the mistake, and that it can be seen.
  gate door;
  const auto wrong = [&]() -> job {
    const session_scope scope{named("a")};
    co_await door;
  };
  const auto running = wrong();
  CHECK(here() == "a");
  door.resume();
  CHECK(here() == "");
}

}  // namespace troupe
