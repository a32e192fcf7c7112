#include "troupe/progress.hpp"

#include <doctest/doctest.h>

#include <string>

using namespace troupe::cli;
using namespace std::chrono_literals;

namespace {

constexpr terminal log_file{.present = false, .colours = false, .columns = 80};
constexpr terminal screen{.present = true, .colours = true, .columns = 60};

/// A progress whose clock ticks when it is told to.
struct fixture {
  explicit fixture(terminal out, std::uint64_t total = 1'000) : p{"writing", total, out, now} {}

  std::string after(std::chrono::milliseconds t, std::uint64_t done) {
    now += t;
    return p.update(done, now);
  }
  std::string finish(std::uint64_t done) { return p.finish(done, now); }

  progress::clock::time_point now{};
  progress p;
};

}  // namespace

TEST_CASE("a log gets a line every few seconds and none before") {
  fixture f{log_file};
  CHECK(f.after(2'999ms, 100).empty());
  CHECK(f.after(1ms, 300) == "writing  30%  300/1,000  100/s  eta 0:07\n");
  CHECK(f.after(1s, 400).empty());
  CHECK(f.after(2s, 900) == "writing  90%  900/1,000  150/s  eta 0:01\n");
}

TEST_CASE("a log of short work stays empty") {
  fixture f{log_file};
  CHECK(f.after(1s, 500).empty());
  CHECK(f.finish(1'000).empty());
}

TEST_CASE("a log that began has an end") {
  fixture f{log_file};
  CHECK_FALSE(f.after(5s, 500).empty());
  f.now += 5s;
  CHECK(f.finish(1'000) == "writing  100%  1,000/1,000  100/s\n");
}

TEST_CASE("a terminal has one line that is written over and cleared") {
  fixture f{screen};
  CHECK(f.after(99ms, 1).empty());
  const auto line = f.after(901ms, 250);
  CHECK(line == "\r\x1b[Kwriting  [###............]  25%  250/1,000  250/s  eta 0:03");
  CHECK(f.finish(1'000) == "\r\x1b[K");
}

TEST_CASE("the line never wraps and however narrow the terminal is") {
  for (std::size_t columns = 1; columns < 120; ++columns) {
    auto out = screen;
    out.columns = columns;
    fixture f{out, 123'456'789};
    const auto line = f.after(1h, 1'234'567);
    REQUIRE(line.starts_with("\r\x1b[K"));
    CHECK(length(line) - 4 <= std::max<std::size_t>(columns - 1, 1));
  }
}

TEST_CASE("the time left is unknown before anything is done and nothing is divided by zero") {
  fixture f{log_file};
  CHECK(f.after(3s, 0) == "writing  0%  0/1,000  0/s  eta ?\n");
  fixture empty{log_file, 0};
  CHECK(empty.after(3s, 0) == "writing  100%  0/0  0/s\n");
}
