#include "simulate/generator.hpp"

#include "simulate/profiles.hpp"
#include <doctest/doctest.h>

#include <cmath>
#include <map>
#include <set>
#include <string>

using namespace troupe;
using namespace troupe::simulate;

namespace {

std::string log_of(const workload& what, std::uint64_t seed, int intents) {
  generator wants{what, seed};
  std::string out;
  for (int i = 0; i < intents; ++i)
    out += log_line(wants.next()) + '\n';
  return out;
}

workload profile(std::string_view name) {
  auto out = built_in_profile(name).value();
  out.sessions = std::min<std::uint64_t>(out.sessions, 1'000);
  return out;
}

}  // namespace

TEST_CASE("the same seed gives byte-equal logs of intents and another seed gives others") {
  for (const auto& what : built_in_profiles()) {
    const auto small = profile(what.name);
    CAPTURE(what.name);
    const auto first = log_of(small, 7, 3'000);
    CHECK(first == log_of(small, 7, 3'000));
    CHECK(first != log_of(small, 8, 3'000));
  }
}

TEST_CASE("the log of a seed is the one that it was") {
  // Another text here means that recorded results cannot be repeated any more.
  generator wants{profile("chat"), 1};
  std::uint64_t hash = 0;
  for (int i = 0; i < 5'000; ++i)
    for (const char c : log_line(wants.next()))
      hash = mix(hash ^ static_cast<unsigned char>(c));
  CHECK(hash == 10161024652659740641u);
}

TEST_CASE("intents come in the order of time and number their subjects without gap") {
  generator wants{profile("workflow-heavy"), 3};
  std::uint64_t at = 0;
  std::uint64_t number = 0;
  std::map<subject, std::uint32_t> messages;
  std::map<subject, std::uint32_t> items;
  for (int i = 0; i < 20'000; ++i) {
    const auto next = wants.next();
    REQUIRE(next.at_us >= at);
    REQUIRE(next.number == ++number);
    at = next.at_us;
    if (next.what == action::team_message)
      REQUIRE(next.first == ++messages[next.whom]);
    if (next.what == action::append) {
      auto& last = items[next.whom];
      if (last == 0)
        last = next.whom.number < 1'000 ? 4 : 0;
      REQUIRE(next.first == last + 1);
      last += next.count;
    }
  }
  CHECK(messages.size() > 10);
}

TEST_CASE("visits arrive as often as the profile says and bursts and days change that") {
  auto what = profile("chat");
  what.turns = 1;
  what.think_s = quantiles{{1, 1}};
  what.agent_s = quantiles{{0.1, 0.1}};
  what.tool_calls = 0;
  const auto questions = [&](double from_s, double to_s) {
    generator wants{what, 5};
    double count = 0;
    for (auto next = wants.next(); static_cast<double>(next.at_us) < to_s * 1e6;
         next = wants.next())
      if (next.what == action::append && next.items[0].by == author::user
          && static_cast<double>(next.at_us) >= from_s * 1e6)
        ++count;
    return count / (to_s - from_s);
  };
  CHECK(questions(10, 2'010) == doctest::Approx(6).epsilon(0.05));
  what.burst_every_s = 100;
  what.burst_for_s = 10;
  what.burst_factor = 8;
  CHECK(questions(102, 110) == doctest::Approx(48).epsilon(0.3));
  CHECK(questions(120, 200) == doctest::Approx(6).epsilon(0.3));
  what.burst_every_s = 0;
  what.daily_swing = 0.5;
  what.day_begins_at_h = 0;
  CHECK(questions(10, 2'010) == doctest::Approx(3).epsilon(0.1));
  what.day_begins_at_h = 12;
  CHECK(questions(10, 2'010) == doctest::Approx(9).epsilon(0.1));
}

TEST_CASE("a run begins with as many open visits as there are later") {
  generator wants{profile("chat"), 11};
  const auto expected = wants.expected_open_visits();
  CHECK(static_cast<double>(wants.open_visits()) == doctest::Approx(expected).epsilon(0.01));
  double sum = 0;
  int looks = 0;
  for (auto next = wants.next(); next.at_us < 600'000'000; next = wants.next())
    if (next.at_us > 60'000'000) {
      sum += static_cast<double>(wants.open_visits());
      ++looks;
    }
  CHECK(sum / looks == doctest::Approx(expected).epsilon(0.15));
}

TEST_CASE("a run is as busy at its beginning as it is later") {
  generator wants{profile("chat"), 17};
  double first = 0, later = 0;
  for (auto next = wants.next(); next.at_us < 400'000'000; next = wants.next())
    (next.at_us < 20'000'000 ? first : later) += 1;
  CHECK(first / 20 == doctest::Approx(later / 380).epsilon(0.2));
}

TEST_CASE("popularity follows Zipf's law") {
  const zipf law{1.0};
  random_source random{1};
  std::map<std::uint64_t, int> drawn;
  for (int i = 0; i < 200'000; ++i)
    ++drawn[law.draw(random, 1'000)];
  CHECK(drawn.rbegin()->first <= 999);
  // Twice the rank, half as often, as far as the continuous law goes: ln(11/10) / ln(21/20).
  CHECK(drawn[9] / static_cast<double>(drawn[19]) == doctest::Approx(1.95).epsilon(0.15));
}

TEST_CASE("quantiles give the median and the ends that they were made of") {
  const quantiles sizes{{10, 100, 1'000}};
  random_source random{3};
  int below = 0;
  double low = 1e9, high = 0;
  for (int i = 0; i < 100'000; ++i) {
    const auto x = sizes.draw(random);
    below += x < 100 ? 1 : 0;
    low = std::min(low, x);
    high = std::max(high, x);
  }
  CHECK(below == doctest::Approx(50'000).epsilon(0.02));
  CHECK(low >= 10);
  CHECK(high <= 1'000);
}

TEST_CASE("texts say whose they are and are of the size that was asked for") {
  const subject whom{subject_kind::team, 31};
  const auto text = text_of(whom, 7, 500'000);
  CHECK(text.size() == 500'000);
  subject read;
  std::uint64_t number = 0;
  REQUIRE(read_text(text, read, number));
  CHECK(read == whom);
  CHECK(number == 7);
  CHECK(text_of(whom, 8, 400).substr(10) != text.substr(10, 390));
  CHECK(text_of(whom, 7, 1) == "t31#7 ");
  for (const auto* none : {"", "t", "t31", "t31#", "t31#x ", "x31#7 ", "t31#7"})
    CHECK_FALSE(read_text(none, read, number));
}
