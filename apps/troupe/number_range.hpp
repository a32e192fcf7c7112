#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace CLI {
class Validator;
}

namespace troupe::cli {

/// How long, in seconds: "500ms", "30s", "10m", "1h", "90d", or a number of seconds alone. The one
/// rule for every duration of a command line or a settings file. Nothing for what is none.
[[nodiscard]] std::optional<double> parse_seconds(const std::string& text);

/// Which whole numbers an option takes, and of what: "seconds". A refusal says what is expected.
struct number_range {
  std::uint64_t low = 0;
  std::uint64_t high = 0;  ///< included
  const char* unit = "";
  bool or_zero = false;  ///< 0 is taken, too, though it is not between them

  /// What is wrong with it as a number of this range; empty: nothing.
  [[nodiscard]] std::string refusal(const std::string& text) const;
  /// The same as a check of an option, which tells the range in `--help`. As a `transform` of one
  /// that takes seconds it also takes what `parse_seconds` reads as a whole number of them.
  operator CLI::Validator() const;
};

}  // namespace troupe::cli
