#pragma once

#include <troupe/state/value.hpp>

#include <string>
#include <string_view>

namespace troupe {

/// Reads one JSON document (RFC 8259) without loss: 1 stays an integer and 1.0 a real, all integers
/// of 64 bits are exact, the order of keys is kept, a NUL in a string is a character like any
/// other. Errors: `malformed` (syntax), `too_large`, `too_deep`, `too_many_elements`;
/// `invalid_value` with its path for a duplicate key, an integer beyond 64 bits, a number beyond a
/// finite double, invalid UTF-8 or a lone surrogate.
expected<value> value_from_json(std::string_view text, const limits& budget = {});

/// Compact JSON. A real always shows that it is one ("1.0"), so that reading it back gives the same
/// value. Bytes become a base64 string (RFC 4648), which is the one thing that JSON cannot give
/// back.
[[nodiscard]] std::string to_json(value_view x);

/// Appends instead, for larger answers.
void append_json(std::string& out, value_view x);

/// Appends `text` in quotes with the escapes JSON needs.
void append_json_string(std::string& out, std::string_view text);

/// Appends `token` as the next step of a JSON pointer (RFC 6901): "/", then `~` and `/` escaped.
void append_json_pointer(std::string& out, std::string_view token);

}  // namespace troupe
