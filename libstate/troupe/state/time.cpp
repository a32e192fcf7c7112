#include <troupe/state/time.hpp>

#include <algorithm>
#include <chrono>

namespace troupe {

namespace {

using std::chrono::floor;
using millis = std::chrono::sys_time<std::chrono::milliseconds>;

// What four digits of a year can say: 0000-01-01T00:00:00.000Z to 9999-12-31T23:59:59.999Z.
constexpr std::int64_t first_ms = -62'167'219'200'000, last_ms = 253'402'300'799'999;

/// Digits of a fixed width; nothing if one is no digit.
std::optional<int> digits(std::string_view text, std::size_t from, std::size_t count) {
  int out = 0;
  for (const char c : text.substr(from, count)) {
    if (c < '0' || c > '9')
      return std::nullopt;
    out = out * 10 + (c - '0');
  }
  return out;
}

std::optional<timestamp> time_of(int year, int month, int day, std::chrono::milliseconds clock) {
  const std::chrono::year_month_day date{std::chrono::year{year},
                                         std::chrono::month{static_cast<unsigned>(month)},
                                         std::chrono::day{static_cast<unsigned>(day)}};
  if (!date.ok())
    return std::nullopt;
  return timestamp{(millis{std::chrono::sys_days{date}} + clock).time_since_epoch().count()};
}

/// "+01:30" or "Z" as the time to take away.
std::optional<std::chrono::minutes> offset_of(std::string_view text) {
  if (text == "Z" || text == "z")
    return std::chrono::minutes{0};
  if (text.size() != 6 || (text[0] != '+' && text[0] != '-') || text[3] != ':')
    return std::nullopt;
  const auto hours = digits(text, 1, 2), minutes = digits(text, 4, 2);
  if (!hours || !minutes || *hours > 23 || *minutes > 59)
    return std::nullopt;
  const std::chrono::minutes out{*hours * 60 + *minutes};
  return text[0] == '-' ? -out : out;
}

}  // namespace

rfc3339_text::rfc3339_text(timestamp at) noexcept {
  const millis time{std::chrono::milliseconds{std::clamp(at.ms, first_ms, last_ms)}};
  const auto day = floor<std::chrono::days>(time);
  const std::chrono::year_month_day date{day};
  auto* to = text_.data();
  const auto put = [&](unsigned number, int digits, char behind) {
    for (int i = digits - 1; i >= 0; --i, number /= 10)
      to[i] = static_cast<char>('0' + number % 10);
    to[digits] = behind;
    to += digits + 1;
  };
  const auto of_day = static_cast<unsigned>((time - day).count());
  put(static_cast<unsigned>(static_cast<int>(date.year())), 4, '-');
  put(static_cast<unsigned>(date.month()), 2, '-');
  put(static_cast<unsigned>(date.day()), 2, 'T');
  put(of_day / 3'600'000, 2, ':');
  put(of_day / 60'000 % 60, 2, ':');
  put(of_day / 1'000 % 60, 2, '.');
  put(of_day % 1'000, 3, 'Z');
}

std::string to_rfc3339(timestamp at) {
  return std::string{rfc3339_text{at}};
}

std::optional<timestamp> from_rfc3339(std::string_view text) {
  // 2026-01-02T03:04:05.678Z
  if (text.size() != 24 || text[10] != 'T' || text[19] != '.' || text[23] != 'Z'
      || text.substr(17, 2) == "60")
    return std::nullopt;
  return parse_rfc3339(text);
}

std::optional<timestamp> parse_rfc3339(std::string_view text) {
  // 2026-01-02T03:04:05 [.digits] (Z | +01:30)
  if (text.size() < 20 || text[4] != '-' || text[7] != '-'
      || std::string_view{"Tt "}.find(text[10]) == std::string_view::npos || text[13] != ':'
      || text[16] != ':')
    return std::nullopt;
  const auto year = digits(text, 0, 4), month = digits(text, 5, 2), day = digits(text, 8, 2),
             hour = digits(text, 11, 2), minute = digits(text, 14, 2), second = digits(text, 17, 2);
  if (!year || !month || !day || !hour || !minute || !second || *hour > 23 || *minute > 59
      || *second > 60)
    return std::nullopt;
  auto rest = text.substr(19);
  int milli = 0;
  if (rest.front() == '.') {
    rest.remove_prefix(1);
    const auto count = std::min(rest.size(), rest.find_first_not_of("0123456789"));
    if (count == 0)
      return std::nullopt;
    auto known = std::string{rest.substr(0, std::min<std::size_t>(count, 3))};
    known.resize(3, '0');
    milli = *digits(known, 0, 3);
    rest.remove_prefix(count);
  }
  const auto offset = offset_of(rest);
  if (!offset)
    return std::nullopt;
  if (*second == 60)
    milli = 0;
  const auto local =
      time_of(*year, *month, *day,
              std::chrono::hours{*hour} + std::chrono::minutes{*minute}
                  + std::chrono::seconds{*second} + std::chrono::milliseconds{milli});
  if (!local)
    return std::nullopt;
  if (*second == 60 && (local->ms - std::chrono::milliseconds{*offset}.count()) % 86'400'000 != 0)
    return std::nullopt;  // a leap second ends a day of UTC
  return timestamp{local->ms - std::chrono::milliseconds{*offset}.count()};
}

}  // namespace troupe
