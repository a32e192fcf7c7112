#include <troupe/state/internal/document_builder.hpp>
#include <troupe/state/internal/json_fault.hpp>
#include <troupe/state/json.hpp>
#include <troupe/state/value.hpp>

#include <algorithm>
#include <charconv>
#include <string>
#include <vector>

namespace troupe::internal {

namespace {

/// Looks for a fault in a value that simdjson names (a number, a string) and gives its path; all
/// other faults are of syntax, whose byte `find_json_syntax_fault` finds. Not a second parser: what
/// it lets pass, simdjson has judged already.
class fault_finder {
public:
  fault_finder(std::string_view text, std::size_t depth) : text_{text}, depth_{depth} {}

  std::optional<error> find() {
    while (at_ < text_.size()) {
      switch (const char c = text_[at_]; c) {
        case '{':
        case '[':
          if (open_.size() >= depth_) {  // what a bomb can make us keep ends here
            auto fault = too_deep(depth_);
            fault.path = path();
            return fault;
          }
          open_.push_back({c == '{', 0, {}, c == '{'});
          ++at_;
          break;
        case '}':
        case ']':
          if (!open_.empty())
            open_.pop_back();
          ++at_;
          break;
        case ',':
          if (!open_.empty()) {
            ++open_.back().index;
            open_.back().expects_key = open_.back().map;
          }
          ++at_;
          break;
        case '"':
          if (auto fault = string())
            return fault;
          break;
        default:
          if (c == '-' || (c >= '0' && c <= '9')) {
            if (auto fault = number())
              return fault;
          } else {
            ++at_;
          }
      }
    }
    return std::nullopt;
  }

private:
  struct level {
    bool map;
    std::size_t index;
    std::string key;
    bool expects_key;
  };

  std::string path() const {
    std::string out;
    for (const auto& l : open_)
      append_json_pointer(out, l.map ? l.key : std::to_string(l.index));
    return out;
  }

  error at_path(errc code, std::string message) const {
    return {.code = code, .message = std::move(message), .path = path()};
  }

  std::optional<error> string() {
    const auto begin = ++at_;
    bool high_surrogate = false, lone = false;
    while (at_ < text_.size() && text_[at_] != '"') {
      const auto unit = text_[at_] == '\\' ? escape() : (++at_, 0u);
      const bool low = unit >= 0xdc00 && unit <= 0xdfff;
      lone = lone || low != high_surrogate;
      high_surrogate = unit >= 0xd800 && unit <= 0xdbff;
    }
    lone = lone || high_surrogate;
    const auto body = text_.substr(begin, std::min(at_, text_.size()) - begin);
    ++at_;
    const bool is_key = !open_.empty() && open_.back().expects_key;
    if (is_key) {
      open_.back().key = unescaped(body);
      open_.back().expects_key = false;
    }
    if (!is_utf8(body)) {
      if (is_key)
        open_.back().key.assign(1, '?');  // an answer is UTF-8 even where the input is not
      return at_path(errc::invalid_value, "a string is not UTF-8");
    }
    if (lone)
      return at_path(errc::invalid_value, "a string has half of a surrogate pair");
    return std::nullopt;
  }

  /// A key as it is, for the path; as it is written when it cannot be read.
  static std::string unescaped(std::string_view body) {
    if (body.find('\\') == std::string_view::npos)
      return std::string{body};
    std::string quoted;
    quoted.append(1, '"').append(body).append(1, '"');
    const auto key = value_from_json(quoted);
    return std::string{key ? *key->view().as_string() : body};
  }

  /// Steps over an escape; the UTF-16 unit of \uXXXX, else 0.
  unsigned escape() {
    if (text_.substr(at_, 2) != "\\u") {
      at_ += 2;
      return 0;
    }
    unsigned unit = 0;
    const auto digits = text_.substr(at_ + 2, 4);
    std::from_chars(digits.data(), digits.data() + digits.size(), unit, 16);
    at_ += 6;
    return unit;
  }

  std::optional<error> number() {
    const auto end = std::min(text_.find_first_not_of("+-.0123456789eE", at_), text_.size());
    const auto digits = text_.substr(at_, end - at_);
    at_ = end;
    const auto* last = digits.data() + digits.size();
    if (digits.find_first_of(".eE") != std::string_view::npos) {
      double x = 0;
      const auto [stop, code] = std::from_chars(digits.data(), last, x);
      if (code == std::errc::result_out_of_range && stop == last && !too_small(digits))
        return at_path(errc::invalid_value, "a number is beyond a finite double");
      return std::nullopt;
    }
    std::int64_t negative = 0;
    std::uint64_t positive = 0;
    const auto result = digits[0] == '-' ? std::from_chars(digits.data(), last, negative)
                                         : std::from_chars(digits.data(), last, positive);
    if (result.ec == std::errc::result_out_of_range && result.ptr == last)
      return at_path(errc::invalid_value, "an integer is beyond 64 bits");
    return std::nullopt;
  }

  /// A number out of range on the other side reads as zero and is no fault. Out of range, its order
  /// of magnitude is far from 0, so where its first digit stands and the exponent tell the side.
  static bool too_small(std::string_view digits) {
    if (digits[0] == '-')
      digits.remove_prefix(1);
    const auto e = std::min(digits.find_first_of("eE"), digits.size());
    const auto mantissa = digits.substr(0, e);
    auto exponent = digits.substr(std::min(e + 1, digits.size()));
    if (exponent.starts_with('+'))
      exponent.remove_prefix(1);
    std::int64_t power = 0;
    const auto read = std::from_chars(exponent.data(), exponent.data() + exponent.size(), power);
    if (read.ec == std::errc::result_out_of_range)
      return exponent[0] == '-';
    power = std::clamp<std::int64_t>(power, -(1 << 30), 1 << 30);
    const auto point = std::min(mantissa.find('.'), mantissa.size());
    const auto first = std::min(mantissa.find_first_of("123456789"), mantissa.size());
    return static_cast<std::int64_t>(point) - static_cast<std::int64_t>(first) + power <= 0;
  }

  std::string_view text_;
  std::size_t depth_;
  std::size_t at_ = 0;
  std::vector<level> open_;
};

}  // namespace

std::optional<error> find_json_fault(std::string_view text, std::size_t depth) {
  return fault_finder{text, depth}.find();
}

}  // namespace troupe::internal
