#include "troupe/number_range.hpp"

#include "troupe/text.hpp"
#include <CLI/CLI.hpp>

#include <charconv>
#include <cmath>
#include <string_view>
#include <utility>

namespace troupe::cli {

std::optional<double> parse_seconds(const std::string& text) {
  constexpr std::pair<std::string_view, double> units[] = {{"", 1},   {"ms", 0.001}, {"s", 1},
                                                           {"m", 60}, {"h", 3'600},  {"d", 86'400}};
  double number = 0;
  const auto* last = text.data() + text.size();
  const auto [end, ec] = std::from_chars(text.data(), last, number);
  if (ec != std::errc{} || !(number >= 0 && number <= 1e9))
    return {};
  for (const auto& [unit, seconds] : units)
    if (std::string_view{end, last} == unit)
      return unit == "ms" ? number / 1'000 : number * seconds;
  return {};
}

namespace {

constexpr std::string_view time_unit = "seconds";

/// With a unit; digits alone stay as they are, for what is said of their range.
void use_seconds(std::string& text) {
  const auto seconds = parse_seconds(text);
  if (seconds && *seconds == std::floor(*seconds) && *seconds <= 1e15
      && text.find_first_not_of("0123456789") != text.npos)
    text = std::to_string(static_cast<std::uint64_t>(*seconds));
}

}  // namespace

std::string number_range::refusal(const std::string& text) const {
  std::uint64_t number = 0;
  const auto* last = text.data() + text.size();
  const auto [end, code] = std::from_chars(text.data(), last, number);
  if (text.empty() || end != last || code == std::errc::invalid_argument) {
    if (unit == time_unit)
      return "a whole number of seconds, or a time as 90s, 10m, 1h or 1d, is expected, not '" + text
             + '\'';
    return "a whole number of " + std::string{unit}
           + ", digits alone and without a unit, is expected, not '" + text + '\'';
  }
  const bool taken = code == std::errc{} && number >= low && number <= high;
  if (taken || (or_zero && number == 0 && code == std::errc{}))
    return {};
  return text + " is not " + (or_zero ? "0, nor " : "") + "from " + group_digits(low) + " to "
         + group_digits(high) + ' ' + unit;
}

number_range::operator CLI::Validator() const {
  const auto range = *this;
  return {
      [range](std::string& text) {
        if (range.unit == time_unit)
          use_seconds(text);
        return range.refusal(text);
      },
      std::string{or_zero ? "0 or " : ""} + std::to_string(low) + " to " + std::to_string(high)};
}

}  // namespace troupe::cli
