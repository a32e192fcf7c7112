#pragma once

/// How doctest and rapidcheck print what they compare.

#include <troupe/state/error.hpp>
#include <troupe/state/json.hpp>
#include <troupe/state/time.hpp>
#include <troupe/state/value.hpp>

#include <ostream>
#include <string>
#include <string_view>

namespace troupe {

inline std::ostream& operator<<(std::ostream& out, value_type x) {
  return out << to_string(x);
}
inline std::ostream& operator<<(std::ostream& out, errc x) {
  return out << to_string(x);
}
inline std::ostream& operator<<(std::ostream& out, timestamp x) {
  return out << x.ms << " ms";
}
inline std::ostream& operator<<(std::ostream& out, value_view x) {
  return out << to_json(x);
}
inline std::ostream& operator<<(std::ostream& out, const value& x) {
  return out << to_json(x);
}

inline std::ostream& operator<<(std::ostream& out, const error& x) {
  out << x.code << " at '" << x.path << "': " << x.message;
  if (x.current_revision)
    out << " (current_revision " << *x.current_revision << ')';
  if (x.limit)
    out << " (limit " << *x.limit << ')';
  return out;
}

}  // namespace troupe

namespace troupe::testing {

/// A temporary value whose view is used up within the same expression.
inline const value& kept(const value& x) {
  return x;
}

inline std::string to_hex(std::string_view bytes) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string out;
  for (const char c : bytes) {
    out += digits[static_cast<unsigned char>(c) >> 4];
    out += digits[static_cast<unsigned char>(c) & 15];
  }
  return out;
}

/// Bytes of hexadecimal digits; blanks and line ends are skipped.
inline std::string from_hex(std::string_view hex) {
  std::string digits, out;
  for (const char c : hex) {
    if (c != ' ' && c != '\n' && c != '\r')
      digits += c;
  }
  for (std::size_t i = 0; i + 1 < digits.size(); i += 2)
    out += static_cast<char>(std::stoi(digits.substr(i, 2), nullptr, 16));
  return out;
}

}  // namespace troupe::testing
