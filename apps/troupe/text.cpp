#include "troupe/text.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <numeric>
#include <utility>

namespace troupe::cli {

namespace {

struct character {
  std::uint32_t point = 0;
  std::size_t bytes = 1;
  bool valid = false;
};

/// The character at the front of `s`, which is not empty.
character front(std::string_view s) noexcept {
  const auto byte = [&](std::size_t i) {
    return static_cast<std::uint32_t>(static_cast<unsigned char>(s[i]));
  };
  const auto first = byte(0);
  if (first < 0x80)
    return {first, 1, true};
  const std::size_t n = first < 0xc2   ? 0
                        : first < 0xe0 ? 2
                        : first < 0xf0 ? 3
                        : first < 0xf5 ? 4
                                       : 0;
  if (n == 0 || s.size() < n)
    return {first, 1, false};
  std::uint32_t point = first & (0x7fU >> n);
  for (std::size_t i = 1; i < n; ++i) {
    if ((byte(i) & 0xc0U) != 0x80U)
      return {first, 1, false};
    point = point << 6 | (byte(i) & 0x3fU);
  }
  const bool overlong = (n == 3 && point < 0x800) || (n == 4 && point < 0x10000);
  if (overlong || point > 0x10ffff || (point >= 0xd800 && point < 0xe000))
    return {first, 1, false};
  return {point, n, true};
}

bool acts_on_terminal(std::uint32_t c) noexcept {
  return c < 0x20 || (c >= 0x7f && c < 0xa0) || (c >= 0x2028 && c <= 0x202e)
         || (c >= 0x2066 && c <= 0x2069);
}

void append_hex(std::string& out, std::uint32_t n, int digits) {
  static constexpr char hex[] = "0123456789abcdef";
  for (int shift = (digits - 1) * 4; shift >= 0; shift -= 4)
    out += hex[n >> shift & 15];
}

void append_escaped(std::string& out, const character& c) {
  if (c.valid && c.point == '\n') {
    out += "\\n";
  } else if (c.valid && c.point == '\t') {
    out += "\\t";
  } else if (!c.valid || c.point < 0x80) {
    out += "\\x";
    append_hex(out, c.point, 2);
  } else {
    out += "\\u{";
    append_hex(out, c.point, 4);
    out += '}';
  }
}

std::string with_unit(double x, const char* unit) {
  std::array<char, 48> text{};
  const int decimals = x < 10 ? 2 : x < 100 ? 1 : 0;
  std::snprintf(text.data(), text.size(), "%.*f %s", decimals, x, unit);
  return text.data();
}

}  // namespace

std::string escape_controls(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const auto c = front(text);
    if (c.valid && !acts_on_terminal(c.point))
      out += text.substr(0, c.bytes);
    else
      append_escaped(out, c);
    text.remove_prefix(c.bytes);
  }
  return out;
}

std::string escape_json_controls(std::string_view json) {
  std::string out;
  out.reserve(json.size());
  while (!json.empty()) {
    const auto c = front(json);
    // JSON has its own escapes below 0x20; a raw one there is white space between values.
    if (c.valid && c.point >= 0x7f && acts_on_terminal(c.point)) {
      out += "\\u";
      append_hex(out, c.point, 4);
    } else {
      out += json.substr(0, c.bytes);
    }
    json.remove_prefix(c.bytes);
  }
  return out;
}

std::string one_line(std::string_view text, std::size_t columns) {
  std::string out;
  std::size_t used = 0;
  std::size_t fits = 0;  // bytes of `out` that leave room for the dots
  const auto add = [&](const std::string& piece) {
    out += piece;
    used += length(piece);
    if (used + 3 <= columns)
      fits = out.size();
  };
  while (!text.empty() && used <= columns) {
    const auto space = std::min(text.find_first_not_of(" \t\r\n"), text.size());
    text.remove_prefix(space);
    if (text.empty())
      break;
    if (space > 0 && !out.empty())
      add(" ");
    const auto c = front(text);
    add(escape_controls(text.substr(0, c.bytes)));
    text.remove_prefix(c.bytes);
  }
  if (used > columns) {
    out.resize(fits);
    out += std::string(std::min<std::size_t>(columns, 3), '.');
  }
  return out;
}

std::size_t length(std::string_view utf8) noexcept {
  return static_cast<std::size_t>(std::count_if(utf8.begin(), utf8.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xc0U) != 0x80U;
  }));
}

std::string group_digits(std::uint64_t n) {
  auto out = std::to_string(n);
  for (auto at = out.size(); at > 3; at -= 3)
    out.insert(at - 3, 1, ',');
  return out;
}

std::string human_bytes(std::uint64_t n) {
  static constexpr std::array units{"B", "kB", "MB", "GB", "TB", "PB", "EB"};
  if (n < 1000)
    return std::to_string(n) + " B";
  auto x = static_cast<double>(n);
  std::size_t unit = 0;
  for (; x >= 999.5 && unit + 1 < units.size(); ++unit)
    x /= 1000;
  return with_unit(x, units[unit]);
}

std::string human_duration(std::chrono::nanoseconds t) {
  const auto ns = static_cast<double>(t.count());
  if (ns < 1e6)
    return with_unit(ns / 1e3, "us");
  if (ns < 1e9)
    return with_unit(ns / 1e6, "ms");
  return with_unit(ns / 1e9, "s");
}

std::string human_rate(double per_second) {
  return group_digits(static_cast<std::uint64_t>(std::llround(std::max(per_second, 0.0))));
}

std::string plural(std::uint64_t n, std::string_view noun) {
  return group_digits(n) + ' ' + std::string{noun} + (n == 1 ? "" : "s");
}

namespace {

/// How many letters are put in, left out or exchanged for others, or stand in the place of their
/// neighbour (optimal string alignment).
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before(b.size() + 1), row(b.size() + 1), next(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    next[0] = i + 1;
    for (std::size_t j = 0; j < b.size(); ++j) {
      next[j + 1] = std::min({row[j + 1] + 1, next[j] + 1, row[j] + (a[i] == b[j] ? 0u : 1u)});
      if (i > 0 && j > 0 && a[i] == b[j - 1] && a[i - 1] == b[j])
        next[j + 1] = std::min(next[j + 1], before[j - 1] + 1);
    }
    std::swap(before, row);
    std::swap(row, next);
  }
  return row.back();
}

}  // namespace

std::optional<std::string> nearest(std::string_view word, const std::vector<std::string>& names) {
  const auto away = [&](const std::string& x) { return distance(word, x); };
  const auto found = std::ranges::min_element(names, {}, away);
  if (found == names.end() || away(*found) > 3 || 2 * away(*found) >= word.size())
    return {};
  return *found;
}

terminal terminal_of(std::FILE* stream) {
  terminal out;
  const int fd = ::fileno(stream);
  out.present = ::isatty(fd) == 1;
  const char* no_colour = std::getenv("NO_COLOR");
  out.colours = out.present && (no_colour == nullptr || *no_colour == '\0');
  winsize size{};
  if (out.present && ::ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
    out.columns = size.ws_col;
  return out;
}

}  // namespace troupe::cli
