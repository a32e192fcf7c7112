#include <troupe/state/internal/canonical.hpp>
#include <troupe/state/internal/transfer_documents.hpp>
#include <troupe/state/json.hpp>

#include <array>
#include <optional>
#include <vector>

namespace troupe::internal {

namespace {

constexpr std::string_view tag = "$binary";

/// More than readers of documents let through.
constexpr std::size_t max_depth = 2 * limits{}.depth;

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

/// Whether a map's first key, where `bytes` begin, could be taken for a tag.
bool only_key_is_tag(std::string_view bytes) {
  const auto head = read_head(bytes);
  return looks_like_tag(bytes.substr(head.size, head.payload));
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

/// One pass over the bytes and no recursion: a state that a host built by hand may nest as deep as
/// it likes.
void write_tagged(value_writer& out, value_view x) {
  struct level {
    std::size_t left;  // children to come; of a map: keys and values
    bool map;
    bool escaped;
  };
  std::vector<level> open;
  auto rest = x.bytes();
  do {
    const auto head = read_head(rest);
    const auto size = head.size + head.payload;  // of a container: its head
    const bool is_key = !open.empty() && open.back().map && open.back().left % 2 == 0;
    if (!open.empty())
      --open.back().left;
    if (is_key) {
      const auto key = *value_view{rest.substr(0, size)}.as_string();
      out.string(open.back().escaped ? "$" + std::string{key} : std::string{key});
    } else if (head.type == value_type::binary) {
      const auto quoted = to_json(value_view{rest.substr(0, size)});  // base64, nothing to escape
      out.begin_map(1).string(tag).string(std::string_view{quoted}.substr(1, quoted.size() - 2));
    } else if (head.type == value_type::array) {
      out.begin_array(head.children);
      open.push_back({head.children, false, false});
    } else if (head.type == value_type::map) {
      const auto entries = head.children / 2;
      out.begin_map(entries);
      open.push_back({head.children, true, entries == 1 && only_key_is_tag(rest.substr(size))});
    } else {
      out.raw(value_view{rest.substr(0, size)});
    }
    rest.remove_prefix(size);
    while (!open.empty() && open.back().left == 0)
      open.pop_back();
  } while (!open.empty());
}

/// REQUIRES: nested at most `max_depth` levels.
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
  if (!well_formed(x.bytes(), max_depth))
    return fail(errc::too_deep, "a document nests too deep");
  value_writer out;
  if (auto ok = write_untagged(out, x); !ok)
    return tl::unexpected(std::move(ok.error()));
  return out.finish();
}

}  // namespace troupe::internal
