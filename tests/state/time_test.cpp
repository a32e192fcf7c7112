#include <troupe/state/time.hpp>

#include "../support/generate.hpp"
#include "../support/printing.hpp"
#include <doctest/doctest.h>

#include <ctime>
#include <limits>
#include <string>

using namespace troupe;
using namespace troupe::testing;

namespace {

constexpr std::int64_t year_0 = -62'167'219'200'000, year_10000 = 253'402'300'800'000;

}  // namespace

TEST_CASE("a time prints as RFC 3339 in UTC with milliseconds") {
  CHECK(to_rfc3339({0}) == "1970-01-01T00:00:00.000Z");
  CHECK(to_rfc3339({1}) == "1970-01-01T00:00:00.001Z");
  CHECK(to_rfc3339({-1}) == "1969-12-31T23:59:59.999Z");
  CHECK(to_rfc3339({1'767'323'045'678}) == "2026-01-02T03:04:05.678Z");
  CHECK(to_rfc3339({951'782'400'000}) == "2000-02-29T00:00:00.000Z");
  CHECK(to_rfc3339({year_0}) == "0000-01-01T00:00:00.000Z");
  CHECK(to_rfc3339({year_10000 - 1}) == "9999-12-31T23:59:59.999Z");
}

TEST_CASE("a time that RFC 3339 cannot write prints as the nearest that it can") {
  CHECK(to_rfc3339({year_0 - 1}) == "0000-01-01T00:00:00.000Z");
  CHECK(to_rfc3339({year_10000}) == "9999-12-31T23:59:59.999Z");
  CHECK(to_rfc3339({std::numeric_limits<std::int64_t>::min()}) == "0000-01-01T00:00:00.000Z");
  CHECK(to_rfc3339({std::numeric_limits<std::int64_t>::max()}) == "9999-12-31T23:59:59.999Z");
}

TEST_CASE("a printed time is read back to the millisecond") {
  for (const std::int64_t ms :
       {std::int64_t{0}, std::int64_t{-1}, year_0, year_10000 - 1, std::int64_t{951'782'400'000}})
    CHECK(from_rfc3339(to_rfc3339({ms})) == timestamp{ms});
  holds("any time of the years 0 to 9999", [] {
    const timestamp at{*rc::gen::inRange<std::int64_t>(year_0, year_10000)};
    RC_ASSERT(from_rfc3339(to_rfc3339(at)) == at);
    RC_ASSERT(to_rfc3339(at).size() == 24u);
    // The C library agrees on the calendar.
    const auto seconds = static_cast<std::time_t>((at.ms - ((at.ms % 1000) + 1000) % 1000) / 1000);
    std::tm parts{};
    gmtime_r(&seconds, &parts);
    char text[64];
    std::snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02d.", parts.tm_year + 1900,
                  parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec);
    RC_ASSERT(to_rfc3339(at).substr(0, 20) == text);
  });
  holds("printing keeps the order", [] {
    const timestamp a{*rc::gen::inRange<std::int64_t>(year_0, year_10000)},
        b{*rc::gen::inRange<std::int64_t>(year_0, year_10000)};
    RC_ASSERT((a < b) == (to_rfc3339(a) < to_rfc3339(b)));
  });
}

TEST_CASE("any other form of a time is refused") {
  REQUIRE(from_rfc3339("2026-01-02T03:04:05.678Z"));
  REQUIRE(from_rfc3339("2024-02-29T23:59:59.999Z"));
  for (const char* text : {"",
                           "2026",
                           "2026-01-02T03:04:05Z",
                           "2026-01-02T03:04:05.67Z",
                           "2026-01-02T03:04:05.6789Z",
                           "2026-01-02t03:04:05.678Z",
                           "2026-01-02T03:04:05.678z",
                           "2026-01-02 03:04:05.678Z",
                           "2026-01-02T03:04:05.678+",
                           "2026-01-02T03:04:05,678Z",
                           "2026/01/02T03:04:05.678Z",
                           "2026-01/02T03:04:05.678Z",
                           "2026-01-02T03-04:05.678Z",
                           "2026-01-02T03:04-05.678Z",
                           "2026-13-02T03:04:05.678Z",
                           "2026-00-02T03:04:05.678Z",
                           "2026-01-32T03:04:05.678Z",
                           "2026-01-00T03:04:05.678Z",
                           "2026-02-29T03:04:05.678Z",
                           "1900-02-29T00:00:00.000Z",
                           "2026-04-31T00:00:00.000Z",
                           "2026-01-02T24:00:00.000Z",
                           "2026-01-02T03:60:05.678Z",
                           "2026-01-02T03:04:60.678Z",
                           "-026-01-02T03:04:05.678Z",
                           "+026-01-02T03:04:05.678Z",
                           " 026-01-02T03:04:05.678Z",
                           "2026-1 -02T03:04:05.678Z",
                           "2026-01- 2T03:04:05.678Z",
                           "2026-01-02T+3:04:05.678Z",
                           "2026-01-02T03:-4:05.678Z",
                           "2026-01-02T03:04: 5.678Z",
                           "2026-01-02T03:04:05.6x8Z",
                           "x026-01-02T03:04:05.678Z",
                           "2026-01-02T03:04:05.678ZZ",
                           " 2026-01-02T03:04:05.678Z",
                           "2026-01-02T03:04:05.678Z "}) {
    CAPTURE(text);
    CHECK_FALSE(from_rfc3339(text));
  }
  CHECK_FALSE(from_rfc3339(std::string_view{"2026-01-02T03:04:05.67\0Z", 24}));
}

TEST_CASE("any valid RFC 3339 time of others is read and cut to the millisecond") {
  const timestamp at{1'767'323'045'678};
  for (const char* text : {"2026-01-02T03:04:05.678Z", "2026-01-02t03:04:05.678z",
                           "2026-01-02 03:04:05.678Z", "2026-01-02T03:04:05.678999999Z",
                           "2026-01-02T03:04:05.6780+00:00", "2026-01-02T03:04:05.678-00:00",
                           "2026-01-02T04:34:05.678+01:30", "2026-01-01T03:05:05.678-23:59"}) {
    CAPTURE(text);
    CHECK(parse_rfc3339(text) == at);
  }
  CHECK(parse_rfc3339("2026-01-02T03:04:05Z") == timestamp{at.ms - 678});
  CHECK(parse_rfc3339("2026-01-02T03:04:05.6Z") == timestamp{at.ms - 78});
  CHECK(parse_rfc3339("1969-12-31T23:59:59.9999Z") == timestamp{-1});
  CHECK(parse_rfc3339("1990-12-31T23:59:60.5Z") == from_rfc3339("1991-01-01T00:00:00.000Z"));
  CHECK(parse_rfc3339("1990-12-31T15:59:60-08:00") == from_rfc3339("1991-01-01T00:00:00.000Z"));
}

TEST_CASE("what is no RFC 3339 time is refused also where others wrote it") {
  for (const char* text : {"",
                           "2026-01-02",
                           "2026-01-02T03:04:05",
                           "2026-01-02T03:04Z",
                           "2026-01-02T03:04:05.Z",
                           "2026-01-02T03:04:05,5Z",
                           "2026-01-02T03:04:05.678",
                           "2026-01-02T03:04:05.6x8Z",
                           "2026-01-02T03:04:05.678ZZ",
                           "2026-01-02T03:04:05.678+1:30",
                           "2026-01-02T03:04:05.678+0130",
                           "2026-01-02T03:04:05.678+24:00",
                           "2026-01-02T03:04:05.678+01:60",
                           "2026-01-02T03:04:05.678+01:3x",
                           "2026-01-02T03:04:05.678*01:30",
                           "2026-01-02x03:04:05Z",
                           "2026-02-29T03:04:05Z",
                           "2026-13-02T03:04:05Z",
                           "2026-01-02T24:00:00Z",
                           "2026-01-02T03:60:05Z",
                           "2026-01-02T03:04:60Z",
                           "2026-01-02T23:59:61Z",
                           "2026-01-02T23:59:60+01:00",
                           "26-01-02T03:04:05.6789Z",
                           " 2026-01-02T03:04:05Z"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_rfc3339(text));
  }
}
