#pragma once

/// What text is, written again in the plainest way, to compare the real rules with.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace troupe::testing {

/// UTF-8 by the table of RFC 3629: shortest forms, no surrogates, nothing beyond U+10FFFF.
inline bool naive_utf8(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    const auto byte = static_cast<std::uint8_t>(text[i]);
    const std::size_t length = byte < 0x80                   ? 1
                               : byte >= 0xc0 && byte < 0xe0 ? 2
                               : byte >= 0xe0 && byte < 0xf0 ? 3
                               : byte >= 0xf0 && byte < 0xf8 ? 4
                                                             : 0;
    if (length == 0 || text.size() - i < length)
      return false;
    std::uint32_t point = length == 1 ? byte : byte & (0x7fu >> length);
    for (std::size_t n = 1; n < length; ++n) {
      const auto next = static_cast<std::uint8_t>(text[i + n]);
      if ((next & 0xc0) != 0x80)
        return false;
      point = point << 6 | (next & 0x3fu);
    }
    const std::uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    if (point < smallest[length] || point > 0x10ffff || (point >= 0xd800 && point < 0xe000))
      return false;
    i += length;
  }
  return true;
}

/// A JSON pointer (RFC 6901): nothing, or steps that begin with '/' and have '~' only as ~0 and ~1.
inline bool naive_pointer(std::string_view text) {
  if (!text.empty() && text[0] != '/')
    return false;
  for (auto at = text.find('~'); at != std::string_view::npos; at = text.find('~', at + 1)) {
    if (at + 1 == text.size() || (text[at + 1] != '0' && text[at + 1] != '1'))
      return false;
  }
  return naive_utf8(text);
}

}  // namespace troupe::testing
