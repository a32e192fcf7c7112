#include "result_cache_fixture.hpp"

#include <vector>

using namespace troupe;
using namespace troupe::testing;
using namespace std::chrono_literals;

namespace {

/// Requests to compute; turns that were given are kept until the test ends them.
struct computing {
  answer<value> ask(std::uint64_t n) {
    auto out = no_answer<value>();
    w.held.get_or_compute(
        id_of(n), [this](computation turn) { turns.push_back(std::move(turn)); }, into(out));
    w.actors.run();
    return out;
  }
  void finish(std::size_t which, expected<computed_result> result) {
    turns.at(which)(std::move(result));
    w.actors.run();
  }

  static std::optional<value> got(const answer<value>& a) {
    return a->has_value() && **a ? std::optional{***a} : std::nullopt;
  }
  static std::optional<errc> fault(const answer<value>& a) {
    return a->has_value() && !**a ? std::optional{(**a).error().code} : std::nullopt;
  }

  std::vector<computation> turns;  // may outlive the actors
  cache_world w;
};

computed_result result_of(value output, std::vector<std::string> tags = {}) {
  return {{.output = std::move(output), .tags = std::move(tags)}};
}

}  // namespace

TEST_CASE_FIXTURE(computing,
                  "1000 concurrent misses of one key compute once and all get the result") {
  std::vector<answer<value>> answers;
  for (int i = 0; i < 1'000; ++i) {
    answers.push_back(no_answer<value>());
    w.held.get_or_compute(
        id_of(1), [this](computation turn) { turns.push_back(std::move(turn)); },
        into(answers.back()));
  }
  w.actors.run();
  REQUIRE(turns.size() == 1);
  for (const auto& a : answers)
    CHECK(!a->has_value());
  finish(0, result_of(7));
  for (const auto& a : answers)
    CHECK(got(a) == value{7});
  CHECK(w.get(1) == value{7});
  CHECK(w.held.stats().computations == 1);
  CHECK(w.held.stats().waits == 999);
  CHECK(w.held.stats().misses == 1'000);
  CHECK(got(ask(1)) == value{7});
  CHECK(turns.size() == 1);
}

TEST_CASE_FIXTURE(computing, "different keys are computed at the same time") {
  const auto a = ask(1), b = ask(2);
  REQUIRE(turns.size() == 2);
  finish(1, result_of(2));
  CHECK(got(b) == value{2});
  CHECK(!a->has_value());
  finish(0, result_of(1));
  CHECK(got(a) == value{1});
}

TEST_CASE_FIXTURE(computing, "a failed computation wakes all with its error and is not kept") {
  const auto first = ask(1), second = ask(1);
  finish(0, fail(errc::busy, "the model is overloaded"));
  CHECK(fault(first) == errc::busy);
  REQUIRE(fault(second) == errc::busy);
  CHECK((**second).error().message == "the model is overloaded");
  CHECK(!w.has(1));
  const auto third = ask(1);
  REQUIRE(turns.size() == 2);
  finish(1, result_of(3));
  CHECK(got(third) == value{3});
}

TEST_CASE_FIXTURE(computing, "a turn that nobody ends wakes those who wait") {
  const auto first = ask(1), second = ask(1);
  turns.clear();
  w.actors.run();
  CHECK(fault(first) == errc::outcome_unknown);
  CHECK(fault(second) == errc::outcome_unknown);
  ask(1);
  CHECK(turns.size() == 1);
}

TEST_CASE_FIXTURE(computing, "a result too large to keep is an answer all the same") {
  w.stop();
  w.start({.limits = {.max_entries = 10, .max_bytes = 1'000}});
  const auto first = ask(1), second = ask(1);
  const value large = std::string(2'000, 'x');
  finish(0, result_of(large));
  CHECK(got(first) == large);
  CHECK(got(second) == large);
  CHECK(!w.has(1));
}

TEST_CASE_FIXTURE(computing, "a result is kept for the time to live that came with it") {
  ask(1);
  auto result = result_of(1);
  result.ttl = 50ms;
  finish(0, std::move(result));
  w.elapse(49);
  CHECK(w.has(1));
  w.elapse(1);
  CHECK(!w.has(1));
}

// Invalidation meanwhile -------------------------------------------------------------------------

TEST_CASE_FIXTURE(computing,
                  "a result begun before its invalidation is given to no later request") {
  for (const auto& what : {by_key(1), by_label(cache_label::tag, "t"), all_of()}) {
    turns.clear();
    w.actors.run();
    const auto before = ask(1);
    w.invalidate(what);
    const auto after = ask(1), also = ask(1);
    REQUIRE(turns.size() == 1);
    finish(0, result_of("old", {"t"}));
    CHECK(got(before) == value{"old"});
    CHECK(!after->has_value());
    CHECK(!w.has(1));
    REQUIRE(turns.size() == 2);
    finish(1, result_of("new", {"t"}));
    CHECK(got(after) == value{"new"});
    CHECK(got(also) == value{"new"});
    CHECK(w.get(1) == value{"new"});
    CHECK(w.invalidate(all_of()) == 1);
  }
}

TEST_CASE_FIXTURE(computing, "an invalidation of other entries does not take a result back") {
  const auto before = ask(1);
  w.invalidate(by_key(2));
  w.invalidate(by_label(cache_label::tag, "other"));
  w.invalidate(by_label(cache_label::agent, "t"));
  w.invalidate(all_of("elsewhere"));
  const auto after = ask(1);
  finish(0, result_of("result", {"t"}));
  CHECK(got(before) == value{"result"});
  CHECK(got(after) == value{"result"});
  CHECK(w.get(1) == value{"result"});
  CHECK(turns.size() == 1);
}

TEST_CASE_FIXTURE(computing,
                  "more invalidations than are remembered count as if they named everything") {
  ask(1);
  w.invalidate(by_label(cache_label::tag, "t"));
  for (int i = 0; i < 1'100; ++i)
    w.invalidate(by_label(cache_label::tag, "other"));
  const auto after = ask(1);
  finish(0, result_of("old", {"t"}));
  CHECK(!w.has(1));
  CHECK(!after->has_value());
  CHECK(turns.size() == 2);
}

TEST_CASE_FIXTURE(computing, "what was set meanwhile is newer than what was computed") {
  const auto before = ask(1);
  REQUIRE(w.set({id_of(1), {.output = "set"}}));
  finish(0, result_of("computed"));
  CHECK(got(before) == value{"computed"});
  CHECK(w.get(1) == value{"set"});
}

TEST_CASE_FIXTURE(computing, "a computation that ends after the cache is drained still answers") {
  const auto first = ask(1), second = ask(1);
  auto out = no_answer<void>();
  w.held.drain(into(out));
  CHECK(w.answered(out));
  finish(0, result_of(1));
  CHECK(got(first) == value{1});
  CHECK(got(second) == value{1});
}
