// Faults inside the embedded runtime, and that the books find what a store does wrong under them.

#include "simulate/embedded.hpp"
#include "simulate/faulty_store.hpp"
#include "simulate/run.hpp"
#include "support/temp_directory.hpp"
#include <doctest/doctest.h>

#include <algorithm>
#include <string>

using namespace troupe;
using namespace troupe::simulate;
using testing::temp_directory;

namespace {

enum class lie { none, answered_and_not_written, refused_and_written, refused };

/// Tells the truth until `now` says otherwise.
class lying_store final : public forwarding_store {
public:
  lying_store(std::unique_ptr<store> below, const std::atomic<lie>& now)
      : forwarding_store{std::move(below)},
        now_{now} {}

  std::vector<expected<commit_receipt>> commit(std::span<const commit_request> requests) override {
    const auto what = now_.load();
    if (what == lie::answered_and_not_written)
      return {requests.size(), commit_receipt{stats().position}};
    if (what != lie::refused) {
      auto out = forwarding_store::commit(requests);
      if (what == lie::none)
        return out;
    }
    return std::vector<expected<commit_receipt>>(requests.size(),
                                                 fail(errc::store_failed, "planted"));
  }

private:
  const std::atomic<lie>& now_;
};

workload lively() {
  auto out = built_in_profile("workflow-heavy").value();
  out.sessions = 100;
  out.items_in_each = 5;
  out.popularity = 0.2;
  out.forks = 0.1;
  out.level = durability::durable;
  return out;
}

std::string joined(const std::vector<std::string>& texts) {
  std::string out;
  for (const auto& text : texts)
    out += text + '\n';
  return out;
}

/// The kinds of violation after a session was made with three items, got a fourth while the store
/// did `what`, and its actor crashed.
std::string verdict_of(lie what) {
  const temp_directory data;
  std::atomic<lie> now{lie::none};
  auto driver = embedded_driver::open(lively(), {.data = data.store(),
                                                 .around =
                                                     [&](std::unique_ptr<store> below) {
                                                       return std::make_unique<lying_store>(
                                                           std::move(below), now);
                                                     }})
                    .value();
  record books{lively()};
  intent wanted{.number = 1, .what = action::seed, .first = 1, .count = 3};
  wanted.items[0].bytes = 40;
  const auto send = [&] {
    bool asked = false;
    const auto out = run_load(
        *driver, books,
        [&]() -> std::optional<intent> {
          return std::exchange(asked, true) ? std::nullopt : std::optional{wanted};
        },
        {.warm_up = {}, .speed = 0}, [](const sample&) { return true; });
    REQUIRE(out.done == 1);
  };
  send();
  now = what;
  wanted = {.number = 2, .what = action::append, .first = 4, .count = 1};
  wanted.items[0].bytes = 40;
  send();
  now = lie::none;
  const auto crashed = driver->hooks().at("crash")();
  REQUIRE_MESSAGE(crashed.has_value(), crashed.error().message);
  CHECK(*crashed == "the actor of s0 ended");
  const auto found = driver->read_back(wanted.whom);
  REQUIRE_MESSAGE(found.has_value(), found.error().message);
  const auto told = books.check(wanted.whom, *found);
  return told.empty() ? "" : told.front().substr(0, told.front().find(':'));
}

}  // namespace

TEST_CASE("crashed actors and refused commits break nothing") {
  const temp_directory data;
  run_options options;
  options.duration_s = 10;
  options.warm_up_s = 0;
  options.speed = 10;
  options.faults = {"crash=10", "fail-commit=5"};
  const auto out = run(lively(), options, data.store());
  REQUIRE(out.has_value());
  CHECK_MESSAGE(out->check->violations == 0, joined(out->check->first));
  CHECK_MESSAGE(out->load->failed == 0, joined(out->load->errors));
  for (const auto* kind : {"crash", "fail-commit"})
    CHECK_MESSAGE(
        std::ranges::any_of(
            out->faults, [&](const fault_report& one) { return one.kind == kind && !one.failed; }),
        kind);
  CHECK(out->good());
}

TEST_CASE("commits that are slow are waited for and break nothing") {
  const temp_directory data;
  run_options options;
  options.duration_s = 8;
  options.warm_up_s = 0;
  options.speed = 40;
  options.faults = {"slow-commits@0s"};
  const auto out = run(lively(), options, data.store());
  REQUIRE(out.has_value());
  CHECK_MESSAGE(out->check->violations == 0, joined(out->check->first));
  REQUIRE(out->faults.size() == 1);
  CHECK_FALSE(out->faults.front().note.starts_with("0 "));
  CHECK(out->load->latency.at(0.99) > 50'000'000);
}

TEST_CASE("after a crash the books find what the store told wrong") {
  CHECK(verdict_of(lie::none) == "");
  CHECK(verdict_of(lie::refused) == "");
  CHECK(verdict_of(lie::answered_and_not_written) == "lost");
  CHECK(verdict_of(lie::refused_and_written) == "refused");
}

TEST_CASE("a fault that may lose what was answered wants the durability that it may not") {
  for (const auto& [fault, level, word] :
       {std::tuple{"crash=1", durability::memory, "relaxed"},
        std::tuple{"fail-commit=1", durability::relaxed, "durable"}}) {
    const temp_directory data;
    auto what = lively();
    what.level = level;
    run_options options;
    options.faults = {fault};
    const auto out = run(what, options, data.store());
    REQUIRE_FALSE(out.has_value());
    CHECK_MESSAGE(
        out.error().message.find(std::string{"--durability "} + word) != std::string::npos,
        out.error().message);
  }
}
