#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace troupe {

/// A point in time: milliseconds since 1970-01-01T00:00:00Z without leap seconds. It is always
/// passed in; nothing in `troupe/state` reads a clock.
struct timestamp {
  std::int64_t ms = 0;

  friend auto operator<=>(timestamp, timestamp) = default;
};

/// RFC 3339 in UTC with milliseconds: "2026-01-02T03:04:05.678Z". A time outside the years 0 to
/// 9999 is shown as the nearest within. Takes no memory, for who writes the times of many items.
class rfc3339_text {
public:
  explicit rfc3339_text(timestamp at) noexcept;
  operator std::string_view() const noexcept { return {text_.data(), text_.size()}; }

private:
  std::array<char, 24> text_;
};

[[nodiscard]] std::string to_rfc3339(timestamp at);

/// The reverse of `to_rfc3339`; nothing for any other form.
[[nodiscard]] std::optional<timestamp> from_rfc3339(std::string_view text);

/// Any valid time of RFC 3339, as others write it: any number of digits behind the second (those
/// beyond the millisecond are cut off), an offset, a lower-case t or z, a space in place of the T.
/// A leap second is the first moment of the next minute. Nothing for any other form.
[[nodiscard]] std::optional<timestamp> parse_rfc3339(std::string_view text);

}  // namespace troupe
