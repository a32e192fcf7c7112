#include <troupe/state/internal/transfer_documents.hpp>
#include <troupe/state/json.hpp>

#include <array>
#include <optional>

namespace troupe::internal {

namespace {

constexpr std::string_view tag = "$binary";

/// "$binary", "$$binary", "$$$binary" ...
bool looks_like_tag(std::string_view key) {
  return key.ends_with(tag) && key.find_first_not_of('$') == key.size() - tag.size() + 1;
}

/// The one key of a map that could be taken for bytes; empty for every other value.
std::string_view tag_of(value_view x) {
  if (x.type() != value_type::map || x.size() != 1)
    return {};
  auto only = x.children();
  only.next();
  return looks_like_tag(only.key()) ? only.key() : std::string_view{};
}

/// -1 for what is no digit.
constexpr std::array<signed char, 256> base64_digits = [] {
  constexpr std::string_view all =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::array<signed char, 256> out{};
  out.fill(-1);
  for (std::size_t i = 0; i < all.size(); ++i)
    out[static_cast<unsigned char>(all[i])] = static_cast<signed char>(i);
  return out;
}();

/// RFC 4648 with padding and no spare bits: bytes have one spelling.
std::optional<std::string> from_base64(std::string_view text) {
  if (text.size() % 4 != 0)
    return std::nullopt;
  const std::size_t padding = text.ends_with("==") ? 2 : text.ends_with('=') ? 1 : 0;
  text.remove_suffix(padding);
  std::string out;
  out.reserve(text.size() / 4 * 3 + 2);
  unsigned word = 0, bits = 0;
  for (const char c : text) {
    const auto digit = base64_digits[static_cast<unsigned char>(c)];
    if (digit < 0)
      return std::nullopt;
    word = (word << 6 | static_cast<unsigned>(digit)) & 0xffffu;
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      out += static_cast<char>(word >> bits & 0xffu);
    }
  }
  if ((word & ((1u << bits) - 1)) != 0)
    return std::nullopt;
  return out;
}

void write_tagged(value_writer& out, value_view x) {
  switch (x.type()) {
    case value_type::binary: {
      auto quoted = to_json(x);  // base64 in quotes, nothing to escape
      out.begin_map(1).string(tag).string(std::string_view{quoted}.substr(1, quoted.size() - 2));
      return;
    }
    case value_type::array:
      out.begin_array(x.size());
      for (auto at = x.children(); at.next();)
        write_tagged(out, at.item());
      return;
    case value_type::map: {
      const bool escaped = !tag_of(x).empty();
      out.begin_map(x.size());
      for (auto at = x.children(); at.next();) {
        out.string(escaped ? "$" + std::string{at.key()} : std::string{at.key()});
        write_tagged(out, at.item());
      }
      return;
    }
    default: out.raw(x);
  }
}

expected<void> write_untagged(value_writer& out, value_view x) {
  if (x.type() == value_type::array) {
    out.begin_array(x.size());
    std::size_t index = 0;
    for (auto at = x.children(); at.next(); ++index) {
      if (auto ok = write_untagged(out, at.item()); !ok)
        return inside(std::move(ok.error()), std::to_string(index));
    }
    return {};
  }
  if (x.type() != value_type::map) {
    out.raw(x);
    return {};
  }
  const auto found = tag_of(x);
  if (found == tag) {
    const auto text = x.find(tag)->as_string();
    const auto bytes = text ? from_base64(*text) : std::nullopt;
    if (!bytes)
      return inside({.code = errc::invalid_value, .message = "padded base64 is expected here"},
                    tag);
    out.binary(*bytes);
    return {};
  }
  out.begin_map(x.size());
  for (auto at = x.children(); at.next();) {
    out.string(found.empty() ? at.key() : at.key().substr(1));
    if (auto ok = write_untagged(out, at.item()); !ok)
      return inside(std::move(ok.error()), at.key());
  }
  return {};
}

}  // namespace

value with_binary_tags(value_view x) {
  value_writer out;
  write_tagged(out, x);
  return out.finish();
}

expected<value> without_binary_tags(value_view x) {
  value_writer out;
  if (auto ok = write_untagged(out, x); !ok)
    return tl::unexpected(std::move(ok.error()));
  return out.finish();
}

}  // namespace troupe::internal
