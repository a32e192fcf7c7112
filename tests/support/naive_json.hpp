#pragma once

/// JSON (RFC 8259) with Troupe's rules, read again in the plainest way: recursive, slow, obvious.

#include "naive.hpp"
#include "naive_text.hpp"

#include <cctype>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <optional>
#include <set>
#include <string>
#include <string_view>

namespace troupe::testing {

class naive_json_reader {
public:
  naive_json_reader(std::string_view text, const limits& budget) : text_{text}, budget_{budget} {}

  /// The whole text as one value; nothing where it must be refused.
  std::optional<value> read() {
    if (text_.size() > budget_.bytes)
      return std::nullopt;
    auto out = any(0);
    space();
    return at_ == text_.size() && elements_ <= budget_.elements ? out : std::nullopt;
  }

private:
  void space() {
    while (at_ < text_.size() && std::string_view{" \t\r\n"}.find(text_[at_]) != text_.npos)
      ++at_;
  }
  bool take(std::string_view token) {
    const bool there = text_.substr(at_).starts_with(token);
    at_ += there ? token.size() : 0;
    return there;
  }
  bool next(char c) { return space(), take({&c, 1}); }

  std::optional<value> any(std::size_t depth) {
    space();
    ++elements_;
    if (take("null"))
      return value{};
    if (take("true"))
      return value{true};
    if (take("false"))
      return value{false};
    if (take("["))
      return depth < budget_.depth ? array(depth + 1) : std::nullopt;
    if (take("{"))
      return depth < budget_.depth ? map(depth + 1) : std::nullopt;
    if (take("\"")) {
      const auto text = string();
      return text ? std::optional{value{*text}} : std::nullopt;
    }
    return number();
  }

  std::optional<value> array(std::size_t depth) {
    std::vector<value> items;
    if (next(']'))
      return array_of(items);
    do {
      const auto item = any(depth);
      if (!item)
        return std::nullopt;
      items.push_back(*item);
    } while (next(','));
    return next(']') ? std::optional{array_of(items)} : std::nullopt;
  }

  std::optional<value> map(std::size_t depth) {
    members entries;
    std::set<std::string> keys;
    if (next('}'))
      return map_of(entries);
    do {
      ++elements_;
      const auto key = next('"') ? string() : std::nullopt;
      if (!key || !keys.insert(*key).second || !next(':'))
        return std::nullopt;
      const auto item = any(depth);
      if (!item)
        return std::nullopt;
      entries.emplace_back(*key, *item);
    } while (next(','));
    return next('}') ? std::optional{map_of(entries)} : std::nullopt;
  }

  /// Behind the opening quote.
  std::optional<std::string> string() {
    std::string out;
    while (at_ < text_.size()) {
      const char c = text_[at_++];
      if (c == '"')
        return naive_utf8(out) ? std::optional{out} : std::nullopt;
      if (static_cast<unsigned char>(c) < 0x20)
        return std::nullopt;
      if (c != '\\') {
        out += c;
      } else if (take("u")) {
        if (!escaped(out))
          return std::nullopt;
      } else {
        constexpr std::string_view letters = "\"\\/bfnrt", meant = "\"\\/\b\f\n\r\t";
        const auto which = at_ < text_.size() ? letters.find(text_[at_++]) : letters.npos;
        if (which == letters.npos)
          return std::nullopt;
        out += meant[which];
      }
    }
    return std::nullopt;
  }

  std::optional<std::uint32_t> unit() {
    std::uint32_t out = 0;
    for (int i = 0; i < 4; ++i, ++at_) {
      if (at_ == text_.size() || !std::isxdigit(static_cast<unsigned char>(text_[at_])))
        return std::nullopt;
      const char digit[] = {text_[at_], 0};
      out = out * 16 + static_cast<std::uint32_t>(std::strtoul(digit, nullptr, 16));
    }
    return out;
  }

  /// Behind \u: one unit, or a pair of surrogates.
  bool escaped(std::string& out) {
    auto point = unit();
    if (point && *point >= 0xd800 && *point < 0xdc00) {
      const auto low = take("\\u") ? unit() : std::nullopt;
      if (!low || *low < 0xdc00 || *low > 0xdfff)
        return false;
      point = 0x10000 + ((*point - 0xd800) << 10) + (*low - 0xdc00);
    }
    if (!point || (*point >= 0xdc00 && *point < 0xe000))
      return false;
    const auto put = [&](std::uint32_t byte) { out += static_cast<char>(byte); };
    if (*point < 0x80)
      put(*point);
    else if (*point < 0x800)
      put(0xc0 | *point >> 6), put(0x80 | (*point & 63));
    else if (*point < 0x10000)
      put(0xe0 | *point >> 12), put(0x80 | (*point >> 6 & 63)), put(0x80 | (*point & 63));
    else
      put(0xf0 | *point >> 18), put(0x80 | (*point >> 12 & 63)), put(0x80 | (*point >> 6 & 63)),
          put(0x80 | (*point & 63));
    return true;
  }

  bool digits() {
    const auto begin = at_;
    while (at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9')
      ++at_;
    return at_ > begin;
  }

  std::optional<value> number() {
    const auto begin = at_;
    const bool negative = take("-");
    if (!take("0") && !digits())
      return std::nullopt;
    bool real = false;
    if (take(".") && !(real = digits()))
      return std::nullopt;
    if (take("e") || take("E")) {
      real = true;
      if (!take("+"))
        take("-");
      if (!digits())
        return std::nullopt;
    }
    const std::string literal{text_.substr(begin, at_ - begin)};
    if (real) {
      const auto x = std::strtod(literal.c_str(), nullptr);
      return std::isfinite(x) ? std::optional{value{x}} : std::nullopt;
    }
    return negative ? integer<std::int64_t>(literal) : integer<std::uint64_t>(literal);
  }

  template <class Integer>
  static std::optional<value> integer(const std::string& literal) {
    Integer x = 0;
    const auto [end, code] = std::from_chars(literal.data(), literal.data() + literal.size(), x);
    return code == std::errc{} ? std::optional{value{x}} : std::nullopt;
  }

  std::string_view text_;
  limits budget_;
  std::size_t at_ = 0;
  std::size_t elements_ = 0;
};

/// What `value_from_json` must answer; nothing where it must refuse.
inline std::optional<value> naive_json(std::string_view text, const limits& budget = {}) {
  return naive_json_reader{text, budget}.read();
}

}  // namespace troupe::testing
