#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// Text for people: what others wrote made harmless, and numbers made readable. All but
/// `terminal_of` is pure.
namespace troupe::cli {

/// `text` without anything a terminal acts upon: control characters (C0, DEL, C1), line and
/// paragraph separators and characters that turn the direction of writing become \n, \t, \xHH or
/// \u{HHHH}, bytes that are not UTF-8 \xHH. A backslash stays as it is, so this is for eyes and
/// cannot be reversed.
[[nodiscard]] std::string escape_controls(std::string_view text);

/// JSON of the same meaning that is as harmless on a terminal.
/// REQUIRES: `json` is valid JSON.
[[nodiscard]] std::string escape_json_controls(std::string_view json);

/// `text` on one line: runs of white space are one space, the rest as `escape_controls`; beyond
/// `columns` characters it ends in "...".
[[nodiscard]] std::string one_line(std::string_view text, std::size_t columns);

/// Code points, not columns of a terminal.
[[nodiscard]] std::size_t length(std::string_view utf8) noexcept;

[[nodiscard]] std::string group_digits(std::uint64_t n);               ///< "1,234,567"
[[nodiscard]] std::string human_bytes(std::uint64_t n);                ///< "999 B", "1.6 MB"
[[nodiscard]] std::string human_duration(std::chrono::nanoseconds t);  ///< "0.42 ms", "12.3 s"
[[nodiscard]] std::string human_rate(double per_second);               ///< "950", "12,300"
[[nodiscard]] std::string plural(std::uint64_t n,
                                 std::string_view noun);  ///< "1 item", "2,000 items"

/// The one of `names` that `word` was probably meant to be: at most three letters differ, and less
/// than half of them; two neighbours in each other's place are one. None where it is like none.
[[nodiscard]] std::optional<std::string> nearest(std::string_view word,
                                                 const std::vector<std::string>& names);

/// What is at the other end of a stream.
struct terminal {
  bool present = false;
  bool colours = false;  ///< a terminal, and the environment has no NO_COLOR
  std::size_t columns = 80;
};

[[nodiscard]] terminal terminal_of(std::FILE* stream);

}  // namespace troupe::cli
