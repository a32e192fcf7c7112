#include "http/problem.hpp"
#include "http/wire.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <cstring>

namespace troupe::http {
namespace {

constexpr auto token_bytes = [] {
  std::array<bool, 256> table{};
  for (const char c : std::string_view{"!#$%&'*+-.^_`|~0123456789"
                                       "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"})
    table[static_cast<unsigned char>(c)] = true;
  return table;
}();

/// Framing and the connection belong to the server alone.
bool is_servers_own(std::string_view name) noexcept {
  return iequals(name, "content-length") || iequals(name, "transfer-encoding")
         || iequals(name, "connection") || iequals(name, "date");
}

}  // namespace

bool is_token(std::string_view text) noexcept {
  return !text.empty() && std::ranges::all_of(text, [](char c) {
    return token_bytes[static_cast<unsigned char>(c)];
  });
}

bool is_field_value(std::string_view text) noexcept {
  // Eight bytes at a time while none is below 0x20 or 0x7F.
  constexpr std::uint64_t each = 0x0101010101010101;
  for (std::uint64_t bytes = 0; text.size() >= sizeof bytes; text.remove_prefix(sizeof bytes)) {
    std::memcpy(&bytes, text.data(), sizeof bytes);
    const auto other = bytes ^ (each * 0x7F);
    if ((((bytes - each * 0x20) & ~bytes) | ((other - each) & ~other)) & (each * 0x80))
      break;
  }
  return std::ranges::all_of(text, [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte == '\t' || (byte >= 0x20 && byte != 0x7F);
  });
}

bool is_writable(const response& answered) noexcept {
  return answered.status >= 200 && answered.status <= 599 && is_field_value(answered.content_type)
         && std::ranges::all_of(answered.headers, [](const header& h) {
              return is_token(h.name) && is_field_value(h.value);
            });
}

bool has_body(int status) noexcept {
  return status >= 200 && status != 204 && status != 304;
}

void append_response_head(std::string& out, const response& answered, const head_options& options) {
  const auto number = [&](std::size_t n) {
    std::array<char, 20> digits{};
    const auto [end, ec] = std::to_chars(digits.data(), digits.data() + digits.size(), n);
    out.append(digits.data(), end);
  };
  out += "HTTP/1.1 ";
  number(static_cast<std::size_t>(answered.status));
  out.push_back(' ');
  out += title(answered.status);
  if (has_body(answered.status)) {
    if (!options.streamed) {
      out += "\r\nContent-Length: ";
      number(answered.body.size());
    } else if (!options.http10) {
      out += "\r\nTransfer-Encoding: chunked";
    }
    if (!answered.content_type.empty()) {
      out += "\r\nContent-Type: ";
      out += answered.content_type;
    }
  }
  if (!options.date.empty()) {
    out += "\r\nDate: ";
    out += options.date;
  }
  if (!options.keep_alive)
    out += "\r\nConnection: close";
  else if (options.http10)
    out += "\r\nConnection: keep-alive";
  for (const auto& h : answered.headers) {
    if (is_servers_own(h.name))
      continue;
    out += "\r\n";
    out += h.name;
    out += ": ";
    out += h.value;
  }
  out += "\r\n\r\n";
}

}  // namespace troupe::http
