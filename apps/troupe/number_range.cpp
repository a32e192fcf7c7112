#include "troupe/number_range.hpp"

#include "troupe/text.hpp"
#include <CLI/CLI.hpp>

#include <charconv>

namespace troupe::cli {

std::string number_range::refusal(const std::string& text) const {
  std::uint64_t number = 0;
  const auto* last = text.data() + text.size();
  const auto [end, code] = std::from_chars(text.data(), last, number);
  if (text.empty() || end != last || code == std::errc::invalid_argument)
    return "a whole number of " + std::string{unit}
           + ", digits alone and without a unit, is expected, not '" + text + '\'';
  const bool taken = code == std::errc{} && number >= low && number <= high;
  if (taken || (or_zero && number == 0 && code == std::errc{}))
    return {};
  return text + " is not " + (or_zero ? "0, nor " : "") + "from " + group_digits(low) + " to "
         + group_digits(high) + ' ' + unit;
}

number_range::operator CLI::Validator() const {
  const auto range = *this;
  return {
      [range](std::string& text) { return range.refusal(text); },
      std::string{or_zero ? "0 or " : ""} + std::to_string(low) + " to " + std::to_string(high)};
}

}  // namespace troupe::cli
