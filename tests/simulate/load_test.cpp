#include "simulate/load.hpp"

#include <doctest/doctest.h>

#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <thread>
#include <vector>

using namespace troupe;
using namespace troupe::simulate;
using namespace std::chrono_literals;

namespace {

/// Answers when the test says so, on the loader's thread.
class scripted final : public driver {
public:
  std::function<void(const intent&, callback)> on_send;
  void send(const intent& what, callback done) override { on_send(what, std::move(done)); }
  expected<contents> read_back(const subject&) override { return contents{}; }
  target_state state() override { return {}; }
  facts settings() const override { return {}; }
  void give_up() override { given_up = true; }
  bool given_up = false;
};

intent one_append(std::uint64_t session, std::uint32_t first, std::uint64_t at_us) {
  static std::uint64_t number = 0;
  intent out;
  out.number = ++number;
  out.at_us = at_us;
  out.whom = {subject_kind::session, session};
  out.first = first;
  out.count = 1;
  out.items[0] = {author::user, 0, 20};
  return out;
}

load_result run(scripted& target, std::vector<intent> wanted, load_options options) {
  record books{workload{}};
  std::size_t next = 0;
  return run_load(
      target, books,
      [&]() -> std::optional<intent> {
        return next < wanted.size() ? std::optional{wanted[next++]} : std::nullopt;
      },
      options, [](const sample&) { return true; });
}

}  // namespace

TEST_CASE("of one session one intent is on its way at a time and in order") {
  scripted target;
  std::vector<std::uint32_t> order;
  std::map<std::uint64_t, driver::callback> open;
  std::size_t most = 0;
  target.on_send = [&](const intent& what, driver::callback done) {
    REQUIRE_FALSE(open.contains(what.whom.number));
    order.push_back(what.first);
    open.emplace(what.whom.number, std::move(done));
    most = std::max(most, open.size());
    if (open.size() == 3 || order.size() > 7) {
      auto all = std::exchange(open, {});
      for (auto& [session, answer] : all)
        answer({});
    }
  };
  std::vector<intent> wanted;
  for (std::uint32_t n = 1; n <= 3; ++n)
    for (std::uint64_t s = 0; s < 3; ++s)
      wanted.push_back(one_append(s, n, 0));
  const auto out = run(target, wanted, {.warm_up = {}, .speed = 1'000});
  CHECK(order == std::vector<std::uint32_t>{1, 1, 1, 2, 2, 2, 3, 3, 3});
  CHECK(most == 3);
  CHECK(out.done == 9);
}

TEST_CASE("a target that stands still is charged with what was due meanwhile") {
  // Ten intents of ten sessions, one each millisecond; the first answer takes 60 ms and, in flight
  // one at a time, holds up all others: a closed loop would count one slow answer, not ten.
  scripted target;
  std::vector<std::thread> threads;
  bool first = true;
  target.on_send = [&](const intent&, driver::callback done) {
    if (std::exchange(first, false)) {
      threads.emplace_back([done] {
        std::this_thread::sleep_for(60ms);
        done({});
      });
    } else {
      done({});
    }
  };
  std::vector<intent> wanted;
  for (std::uint64_t i = 0; i < 10; ++i)
    wanted.push_back(one_append(i, 1, i * 1'000));
  const auto out = run(target, wanted, {.warm_up = {}, .speed = 1, .in_flight = 1});
  for (auto& one : threads)
    one.join();
  CHECK(out.latency.at(0.0) >= 40'000'000);
  CHECK(out.service.at(0.5) < out.latency.at(0.5));
  CHECK(out.latency.total() == 10);
}

TEST_CASE("an intent that follows another is due when that was answered") {
  scripted target;
  std::vector<std::thread> threads;
  target.on_send = [&](const intent&, driver::callback done) {
    threads.emplace_back([done] {
      std::this_thread::sleep_for(30ms);
      done({});
    });
  };
  auto second = one_append(1, 2, 0);
  second.follows = true;
  const auto out = run(target, {one_append(1, 1, 0), second}, {.warm_up = {}, .speed = 1});
  for (auto& one : threads)
    one.join();
  CHECK(out.latency.mean() * 2 <= out.seconds * 1e9);  // one after the other: they add up
  CHECK(out.done == 2);
}

TEST_CASE("what is refused for now is asked again and counts from when it was due") {
  scripted target;
  int times = 0;
  target.on_send = [&](const intent&, driver::callback done) {
    if (++times < 4)
      return done({.what = outcome::refused, .again = true, .why = "busy"});
    done({});
  };
  const auto out =
      run(target, {one_append(1, 1, 0)}, {.warm_up = {}, .attempts = 10, .pause = 5ms});
  CHECK(times == 4);
  CHECK(out.failed == 0);
  CHECK(out.latency.at(1.0) >= 15'000'000);
  times = -100;
  const auto given_up =
      run(target, {one_append(1, 1, 0)}, {.warm_up = {}, .attempts = 3, .pause = 1ms});
  CHECK(given_up.failed == 1);
  CHECK(given_up.errors.size() == 1);
}

TEST_CASE("a fork waits for its parent and what comes after waits for the fork") {
  scripted target;
  std::vector<std::string> order;
  driver::callback parked;
  target.on_send = [&](const intent& what, driver::callback done) {
    order.push_back(std::string{to_string(what.what)} + ' ' + name_of(what.whom));
    if (order.size() == 1)
      parked = std::move(done);
    else if (what.whom.number == 9) {  // somebody else's, sent while the first is on its way
      done({});
      parked({});
    } else
      done({});
  };
  auto fork = one_append(2, 1, 0);
  fork.what = action::fork;
  fork.other = 1;
  run(target, {one_append(1, 1, 0), fork, one_append(2, 2, 0), one_append(9, 1, 0)},
      {.warm_up = {}, .speed = 1});
  CHECK(order == std::vector<std::string>{"append s1", "append s9", "fork s2", "append s2"});
}

TEST_CASE("a load that ends by time has sent all that it took of its source") {
  scripted target;
  std::uint64_t sent = 0, taken = 0;
  target.on_send = [&](const intent&, driver::callback done) {
    ++sent;
    done({});
  };
  record books{workload{}};
  for (int i = 0; i < 3; ++i) {
    const auto out = run_load(
        target, books,
        [&]() -> std::optional<intent> {
          ++taken;
          return one_append(taken, 1, taken * 1'000);
        },
        {.duration = 5ms, .warm_up = {}, .speed = i == 0 ? 0.0 : 1.0},
        [](const sample&) { return true; });
    CHECK(out.sent > 0);
    CHECK(sent == taken);
  }
}

TEST_CASE("what is never answered ends the load and is unknown") {
  scripted target;
  std::vector<driver::callback> kept;
  target.on_send = [&](const intent&, driver::callback done) { kept.push_back(std::move(done)); };
  record books{workload{}};
  bool given = false;
  const auto out = run_load(
      target, books,
      [&]() -> std::optional<intent> {
        return std::exchange(given, true) ? std::nullopt : std::optional{one_append(1, 1, 0)};
      },
      {.warm_up = {}, .drain = 20ms}, [](const sample&) { return true; });
  CHECK(out.cut_off);
  CHECK(books.unknown() == 1);
  kept.front()({});  // too late, and harmless
}

TEST_CASE("what is refused behind an attempt of unknown outcome stays unknown") {
  for (const bool doubt : {false, true}) {
    scripted target;
    int attempt = 0;
    target.on_send = [&](const intent&, driver::callback done) {
      if (++attempt == 1)
        return done({.what = doubt ? outcome::unknown : outcome::refused, .again = true});
      done({.what = outcome::refused});
    };
    record books{workload{}};
    std::size_t asked = 0;
    const auto out = run_load(
        target, books,
        [&]() -> std::optional<intent> {
          return asked++ == 0 ? std::optional{one_append(0, 1, 0)} : std::nullopt;
        },
        {.warm_up = {}, .speed = 1'000, .pause = 1ms}, [](const sample&) { return true; });
    CHECK(attempt == 2);
    CHECK(out.failed == 1);
    CHECK(books.unknown() == (doubt ? 1 : 0));
  }
}

TEST_CASE("a load that is ended from outside does not wait long for answers that hang") {
  scripted target;
  std::vector<driver::callback> never;
  target.on_send = [&](const intent&, driver::callback done) { never.push_back(std::move(done)); };
  record books{workload{}};
  bool first = true;
  const auto out = run_load(
      target, books,
      [&]() -> std::optional<intent> {
        return std::exchange(first, false) ? std::optional{one_append(1, 1, 0)} : std::nullopt;
      },
      {.warm_up = {}, .sample_every = 1ms, .drain = std::chrono::hours{1}, .hurry = 1ms},
      [](const sample&) { return false; });
  CHECK(out.interrupted);
  CHECK(out.cut_off);
  CHECK(target.given_up);
  CHECK(never.size() == 1);
}
