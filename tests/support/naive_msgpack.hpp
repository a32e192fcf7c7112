#pragma once

/// msgpack with Troupe's rules, read again in the plainest way: recursive, slow, obvious.

#include "naive.hpp"
#include "naive_text.hpp"

#include <bit>
#include <cmath>
#include <optional>
#include <set>
#include <string>
#include <string_view>

namespace troupe::testing {

class naive_msgpack_reader {
public:
  naive_msgpack_reader(std::string_view bytes, const limits& budget)
      : bytes_{bytes},
        budget_{budget} {}

  /// The value that the bytes begin with; nothing where it must be refused.
  std::optional<value> first() {
    if (bytes_.size() > budget_.bytes)
      return std::nullopt;
    auto out = any(0);
    return elements_ <= budget_.elements ? out : std::nullopt;
  }
  [[nodiscard]] std::size_t used() const { return at_; }

private:
  /// A number of `width` bytes; nothing when there are not as many.
  std::optional<std::uint64_t> number(std::size_t width) {
    if (bytes_.size() - at_ < width)
      return std::nullopt;
    std::uint64_t out = 0;
    for (std::size_t i = 0; i < width; ++i)
      out = out << 8 | static_cast<std::uint8_t>(bytes_[at_++]);
    return out;
  }

  std::optional<std::string> text(std::optional<std::uint64_t> size) {
    if (!size || *size > bytes_.size() - at_)
      return std::nullopt;
    const auto begin = at_;
    at_ += *size;
    return std::string{bytes_.substr(begin, *size)};
  }

  std::optional<value> any(std::size_t depth) {
    ++elements_;
    const auto tag = number(1);
    if (!tag)
      return std::nullopt;
    if (*tag < 0x80)
      return value{*tag};
    if (*tag < 0x90)
      return map(*tag - 0x80, depth);
    if (*tag < 0xa0)
      return array(*tag - 0x90, depth);
    if (*tag < 0xc0)
      return string(*tag - 0xa0);
    if (*tag >= 0xe0)
      return value{static_cast<std::int64_t>(*tag) - 256};
    switch (*tag) {
      case 0xc0: return value{};
      case 0xc2: return value{false};
      case 0xc3: return value{true};
      case 0xc4: return binary(number(1));
      case 0xc5: return binary(number(2));
      case 0xc6: return binary(number(4));
      case 0xca:
        if (const auto bits = number(4))
          return real(static_cast<double>(std::bit_cast<float>(static_cast<std::uint32_t>(*bits))));
        return std::nullopt;
      case 0xcb:
        if (const auto bits = number(8))
          return real(std::bit_cast<double>(*bits));
        return std::nullopt;
      case 0xcc: return positive(number(1));
      case 0xcd: return positive(number(2));
      case 0xce: return positive(number(4));
      case 0xcf: return positive(number(8));
      case 0xd0: return with_sign<std::int8_t>();
      case 0xd1: return with_sign<std::int16_t>();
      case 0xd2: return with_sign<std::int32_t>();
      case 0xd3: return with_sign<std::int64_t>();
      case 0xd9: return string(number(1));
      case 0xda: return string(number(2));
      case 0xdb: return string(number(4));
      case 0xdc: return array(number(2), depth);
      case 0xdd: return array(number(4), depth);
      case 0xde: return map(number(2), depth);
      case 0xdf: return map(number(4), depth);
      default: return std::nullopt;  // extension types and c1
    }
  }

  static std::optional<value> real(double x) {
    return std::isfinite(x) ? std::optional{value{x}} : std::nullopt;
  }
  static std::optional<value> positive(std::optional<std::uint64_t> x) {
    return x ? std::optional{value{*x}} : std::nullopt;
  }
  template <class Integer>
  std::optional<value> with_sign() {
    const auto bits = number(sizeof(Integer));
    return bits ? std::optional{value{static_cast<std::int64_t>(static_cast<Integer>(*bits))}}
                : std::nullopt;
  }
  std::optional<value> string(std::optional<std::uint64_t> size) {
    const auto x = text(size);
    return x && naive_utf8(*x) ? std::optional{value{*x}} : std::nullopt;
  }
  std::optional<value> binary(std::optional<std::uint64_t> size) {
    const auto x = text(size);
    return x ? std::optional{value::binary(*x)} : std::nullopt;
  }

  std::optional<value> array(std::optional<std::uint64_t> size, std::size_t depth) {
    std::vector<value> items;
    if (!size || depth == budget_.depth)
      return std::nullopt;
    for (std::uint64_t i = 0; i < *size; ++i) {
      const auto item = any(depth + 1);
      if (!item)
        return std::nullopt;
      items.push_back(*item);
    }
    return array_of(items);
  }

  std::optional<value> map(std::optional<std::uint64_t> size, std::size_t depth) {
    members entries;
    std::set<std::string> keys;
    if (!size || depth == budget_.depth)
      return std::nullopt;
    for (std::uint64_t i = 0; i < *size; ++i) {
      const auto key = any(depth + 1);
      const auto item = key ? any(depth + 1) : std::nullopt;
      if (!item || key->type() != value_type::string)
        return std::nullopt;
      const std::string name{*key->view().as_string()};
      if (!keys.insert(name).second)
        return std::nullopt;
      entries.emplace_back(name, *item);
    }
    return map_of(entries);
  }

  std::string_view bytes_;
  limits budget_;
  std::size_t at_ = 0;
  std::size_t elements_ = 0;
};

/// What `value_from_msgpack` must answer; nothing where it must refuse.
inline std::optional<value> naive_msgpack(std::string_view bytes, const limits& budget = {}) {
  naive_msgpack_reader reader{bytes, budget};
  auto out = reader.first();
  return reader.used() == bytes.size() ? out : std::nullopt;
}

}  // namespace troupe::testing
