#include <troupe/state/internal/canonical.hpp>
#include <troupe/state/json.hpp>

#include <array>
#include <bit>
#include <charconv>
#include <cstdint>
#include <cstring>
#include <vector>

namespace troupe {

void append_json_pointer(std::string& out, std::string_view token) {
  out += '/';
  for (const char c : token) {
    if (c == '~')
      out += "~0";
    else if (c == '/')
      out += "~1";
    else
      out += c;
  }
}

namespace {

// What must be escaped ----------------------------------------------------------------------------

constexpr auto escaped_bytes = [] {
  std::array<bool, 256> table{};
  for (std::size_t c = 0; c < 0x20; ++c)
    table[c] = true;
  table['"'] = table['\\'] = true;
  return table;
}();

/// Sixteen bytes at a time, on the vectors that the machine has. Of a comparison each byte is
/// all ones where it holds.
using block [[gnu::vector_size(16)]] = unsigned char;

block escaped_in(const char* at) {
  block all;
  std::memcpy(&all, at, sizeof all);
  return reinterpret_cast<block>((all < 0x20) | (all == '"') | (all == '\\'));
}

bool any(block found) {
  const auto words = std::bit_cast<std::array<std::uint64_t, 2>>(found);
  return (words[0] | words[1]) != 0;
}

/// Where the next byte that cannot stand in a string stands, from `at` on; the end without one.
/// Most texts have few, so it is looked for in long steps and then in short ones.
std::size_t next_escaped(std::string_view text, std::size_t at) {
  constexpr std::size_t step = sizeof(block);
  for (; at + 4 * step <= text.size(); at += 4 * step) {
    const auto* from = text.data() + at;
    if (any(escaped_in(from) | escaped_in(from + step) | escaped_in(from + 2 * step)
            | escaped_in(from + 3 * step)))
      break;
  }
  while (at + step <= text.size() && !any(escaped_in(text.data() + at)))
    at += step;
  while (at < text.size() && !escaped_bytes[static_cast<unsigned char>(text[at])])
    ++at;
  return at;
}

// Writing -----------------------------------------------------------------------------------------

/// Between the texts of a document stand a byte or a few at a time, for each of which a string asks
/// the price of a call: here they gather first.
class printer {
public:
  explicit printer(std::string& out) : out_{out} {}

  void put(char c) {
    if (used_ == few_.size())
      flush();
    few_[used_++] = c;
  }
  void put(std::string_view text) {
    if (text.size() > few_.size() - used_)
      flush();
    if (text.size() > few_.size()) {
      out_ += text;
    } else {
      std::memcpy(few_.data() + used_, text.data(), text.size());
      used_ += text.size();
    }
  }
  void string(std::string_view text);
  void base64(std::string_view bytes);
  void scalar(std::string_view bytes, const internal::head& head);

  /// Behind the last piece.
  void flush() {
    out_.append(few_.data(), used_);
    used_ = 0;
  }

private:
  template <class Number>
  std::string_view digits(Number x) {
    const auto [end, code] = std::to_chars(digits_.data(), digits_.data() + digits_.size(), x);
    static_cast<void>(code);
    return {digits_.data(), static_cast<std::size_t>(end - digits_.data())};
  }
  void real(double x);

  std::string& out_;
  std::size_t used_ = 0;
  std::array<char, 256> few_;
  std::array<char, 32> digits_;  // of the longest number
};

void printer::string(std::string_view text) {
  static constexpr char hex[] = "0123456789abcdef";
  put('"');
  std::size_t plain = 0;  // start of what can be copied as it is
  for (auto i = next_escaped(text, 0); i < text.size(); i = next_escaped(text, plain)) {
    const auto c = static_cast<unsigned char>(text[i]);
    put(text.substr(plain, i - plain));
    plain = i + 1;
    switch (c) {
      case '"': put("\\\""); break;
      case '\\': put("\\\\"); break;
      case '\n': put("\\n"); break;
      case '\r': put("\\r"); break;
      case '\t': put("\\t"); break;
      default:
        put("\\u00");
        put(hex[c >> 4]);
        put(hex[c & 15]);
    }
  }
  put(text.substr(plain));
  put('"');
}

void printer::base64(std::string_view bytes) {
  static constexpr char letters[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const auto byte = [&](std::size_t n) {
      return i + n < bytes.size() ? static_cast<unsigned char>(bytes[i + n]) : 0u;
    };
    const auto word = byte(0) << 16 | byte(1) << 8 | byte(2);
    for (std::size_t n = 0; n < 4; ++n)
      put(i + n <= bytes.size() ? letters[(word >> (18 - 6 * n)) & 63] : '=');
  }
}

void printer::real(double x) {
  const auto text = digits(x);
  put(text);
  if (text.find_first_of(".e") == std::string_view::npos)
    put(".0");
}

/// REQUIRES: `bytes` begins with a scalar whose head is `head`.
void printer::scalar(std::string_view bytes, const internal::head& head) {
  const auto payload = bytes.substr(head.size, head.payload);
  switch (head.type) {
    case value_type::boolean: put(bytes[0] == '\xc3' ? "true" : "false"); break;
    case value_type::integer: {
      const auto x = *internal::read_integer(bytes);
      put(x.negative ? digits(static_cast<std::int64_t>(x.bits)) : digits(x.bits));
      break;
    }
    case value_type::real:
      real(std::bit_cast<double>(internal::big_endian(payload, 0, sizeof(double))));
      break;
    case value_type::string: string(payload); break;
    case value_type::binary:
      put('"');
      base64(payload);
      put('"');
      break;
    default: put("null");
  }
}

}  // namespace

void append_json_string(std::string& out, std::string_view text) {
  printer to{out};
  to.string(text);
  to.flush();
}

void append_json(std::string& out, value_view x) {
  // One pass over the bytes, which stand in the order of printing.
  struct level {
    bool map;
    std::size_t left;  // children to come; of a map: keys and values
    std::size_t size;
  };
  std::vector<level> open;
  printer to{out};
  std::string_view rest = x.bytes();
  do {
    if (!open.empty()) {
      auto& top = open.back();
      if (top.left == 0) {
        to.put(top.map ? '}' : ']');
        open.pop_back();
        continue;
      }
      if (top.map && top.left % 2 == 1)
        to.put(':');
      else if (top.left != top.size)
        to.put(',');
      --top.left;
    }
    const auto head = internal::read_head(rest);
    if (head.type == value_type::array || head.type == value_type::map) {
      to.put(head.type == value_type::map ? '{' : '[');
      if (open.empty())
        open.reserve(8);
      open.push_back({head.type == value_type::map, head.children, head.children});
    } else {
      to.scalar(rest, head);
    }
    rest.remove_prefix(head.size + head.payload);
  } while (!open.empty());
  to.flush();
}

std::string to_json(value_view x) {
  std::string out;
  append_json(out, x);
  return out;
}

}  // namespace troupe
