#pragma once

#include <cstdint>
#include <string>

namespace CLI {
class Validator;
}

namespace troupe::cli {

/// Which whole numbers an option takes, and of what: "seconds". A refusal says what is expected.
struct number_range {
  std::uint64_t low = 0;
  std::uint64_t high = 0;  ///< included
  const char* unit = "";
  bool or_zero = false;  ///< 0 is taken, too, though it is not between them

  /// What is wrong with it as a number of this range; empty: nothing.
  [[nodiscard]] std::string refusal(const std::string& text) const;
  /// The same as a check of an option, which tells the range in `--help`.
  operator CLI::Validator() const;
};

}  // namespace troupe::cli
