#include <troupe/state/internal/json_fault.hpp>

#include <algorithm>
#include <vector>

namespace troupe::internal {

namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

/// Walks a document by the grammar of RFC 8259 alone, up to the first byte that does not fit.
class syntax_walk {
public:
  explicit syntax_walk(std::string_view text) : text_{text} {}

  /// Nothing: all of it fits.
  std::optional<std::size_t> fault() {
    while (true) {
      at_ = std::min(text_.find_first_not_of(" \t\r\n", at_), text_.size());
      if (at_ == text_.size())
        return next_ == want::nothing ? std::nullopt : std::optional{at_};
      if (!step(text_[at_]))
        return at_;
    }
  }

private:
  enum class want : std::uint8_t { value, value_or_end, key, key_or_end, colon, more, nothing };

  bool step(char c) {
    switch (next_) {
      case want::value_or_end:
        if (c == ']')
          return close();
        [[fallthrough]];
      case want::value: return value(c);
      case want::key_or_end:
        if (c == '}')
          return close();
        [[fallthrough]];
      case want::key: next_ = want::colon; return c == '"' && string();
      case want::colon: next_ = want::value; return c == ':' && ++at_ != 0;
      case want::more:
        if (c == (maps_.back() ? '}' : ']'))
          return close();
        next_ = maps_.back() ? want::key : want::value;
        return c == ',' && ++at_ != 0;
      case want::nothing: return false;
    }
    return false;
  }

  bool open(bool map) {
    ++at_;
    maps_.push_back(map);
    next_ = map ? want::key_or_end : want::value_or_end;
    return true;
  }

  bool close() {
    ++at_;
    maps_.pop_back();
    end_value();
    return true;
  }

  void end_value() { next_ = maps_.empty() ? want::nothing : want::more; }

  bool value(char c) {
    if (c == '{' || c == '[')
      return open(c == '{');
    end_value();
    if (c == '"')
      return string();
    if (c == '-' || is_digit(c))
      return number();
    return word("true") || word("false") || word("null");
  }

  bool word(std::string_view wanted) {
    if (text_.substr(at_, wanted.size()) != wanted)
      return false;
    at_ += wanted.size();
    return true;
  }

  bool string() {
    for (++at_; at_ < text_.size(); ++at_) {
      const auto c = static_cast<unsigned char>(text_[at_]);
      if (c == '"')
        return ++at_ != 0;
      if (c < 0x20 || (c == '\\' && !escape()))
        return false;
    }
    return false;
  }

  /// Ends on its last byte.
  bool escape() {
    const auto c = text_.substr(++at_, 1);
    if (c != "u")
      return !c.empty() && std::string_view{"\"\\/bfnrt"}.find(c) != std::string_view::npos;
    for (int i = 0; i < 4; ++i) {
      const auto digit = text_.substr(++at_, 1);
      if (digit.empty() || digit.find_first_of("0123456789abcdefABCDEF") != 0)
        return false;
    }
    return true;
  }

  bool number() {
    if (text_[at_] == '-')
      ++at_;
    if (text_.substr(at_, 1) == "0")
      ++at_;  // alone: a digit behind it is no part of the number
    else if (!digits())
      return false;
    if (text_.substr(at_, 1) == "." && (++at_, !digits()))
      return false;
    if (text_.substr(at_, 1).find_first_of("eE") != 0)
      return true;
    if (text_.substr(++at_, 1).find_first_of("+-") == 0)
      ++at_;
    return digits();
  }

  bool digits() {
    const auto begin = at_;
    while (at_ < text_.size() && is_digit(text_[at_]))
      ++at_;
    return at_ != begin;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  want next_ = want::value;
  std::vector<bool> maps_;  // what is open; false: an array
};

}  // namespace

std::optional<std::size_t> find_json_syntax_fault(std::string_view text) {
  return syntax_walk{text}.fault();
}

}  // namespace troupe::internal
