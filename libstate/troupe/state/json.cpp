#include <troupe/state/internal/canonical.hpp>
#include <troupe/state/internal/document_builder.hpp>
#include <troupe/state/internal/json_fault.hpp>
#include <troupe/state/json.hpp>

#include <simdjson.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <cstring>
#include <utility>
#include <vector>

namespace troupe {

namespace {

namespace dom = simdjson::dom;

/// An array or map that is being walked.
struct open_container {
  bool map;
  dom::array::iterator item, last_item;
  dom::object::iterator field, last_field;
};

/// simdjson's own size ends at 0xffffff.
template <class Container>
std::size_t count(const Container& x) {
  if (x.size() < 0xffffff)
    return x.size();
  std::size_t out = 0;
  for (auto i = x.begin(); i != x.end(); ++i)
    ++out;
  return out;
}

/// Opens containers and takes scalars; false once the builder refused something.
bool visit(dom::element e, internal::document_builder& out, std::vector<open_container>& open) {
  switch (e.type()) {
    case dom::element_type::NULL_VALUE: return out.null();
    case dom::element_type::BOOL: return out.boolean(bool(e));
    case dom::element_type::INT64: return out.integer(std::int64_t(e));
    case dom::element_type::UINT64: return out.unsigned_integer(std::uint64_t(e));
    case dom::element_type::DOUBLE: return out.real(double(e));
    case dom::element_type::STRING: return out.string(std::string_view(e));
    case dom::element_type::ARRAY: {
      const dom::array a = e;
      open.push_back({false, a.begin(), a.end(), {}, {}});
      return out.begin_array(count(a));
    }
    case dom::element_type::OBJECT: {
      const dom::object o = e;
      open.push_back({true, {}, {}, o.begin(), o.end()});
      return out.begin_map(count(o));
    }
  }
  return out.fail(errc::internal, "simdjson knows a type that we do not");
}

/// Of what stands behind `before`: "line 1, column 9", counted in bytes.
std::string place_of(std::string_view before) {
  const auto line = 1 + std::count(before.begin(), before.end(), '\n');
  const auto column = before.size() - (before.rfind('\n') + 1);  // npos + 1 is 0
  return "line " + std::to_string(line) + ", column " + std::to_string(column + 1);
}

error refused(simdjson::error_code code, std::string_view text, const limits& budget) {
  if (auto fault = internal::find_json_fault(text, budget.depth))
    return *std::move(fault);
  std::string place;
  if (const auto at = internal::find_json_syntax_fault(text))
    place = place_of(text.substr(0, *at)) + ": ";
  return {.code = errc::malformed, .message = "not JSON: " + place + simdjson::error_message(code)};
}

}  // namespace

expected<value> value_from_json(std::string_view text, const limits& budget) {
  if (text.size() > budget.bytes)
    return tl::unexpected(error{.code = errc::too_large,
                                .message = "more than " + std::to_string(budget.bytes) + " bytes",
                                .limit = budget.bytes});
  if (text.empty())  // a view without data is no input for simdjson
    return fail(errc::malformed, "not JSON: there is nothing");
  // A parser keeps its buffers: one a thread, unless the document is a rare large one.
  thread_local dom::parser kept;
  dom::parser large;
  dom::parser& parser = text.size() > (1 << 20) ? large : kept;
  if (const auto code = parser.allocate(std::max<std::size_t>(text.size(), 4096), budget.depth + 2))
    return fail(errc::too_large,
                std::string{"no memory to read the document: "} + simdjson::error_message(code));
  dom::element root;
  if (const auto code = parser.parse(text.data(), text.size()).get(root))
    return tl::unexpected(refused(code, text, budget));

  internal::document_builder out{budget};
  std::vector<open_container> open;
  bool ok = visit(root, out, open);
  while (ok && !open.empty()) {
    auto& top = open.back();
    if (top.map ? top.field == top.last_field : top.item == top.last_item) {
      open.pop_back();
      ok = out.end();
    } else if (top.map) {
      const auto field = *top.field;
      ++top.field;
      ok = out.key(field.key) && visit(field.value, out, open);
    } else {
      const auto item = *top.item;
      ++top.item;
      ok = visit(item, out, open);
    }
  }
  if (!ok)
    return tl::unexpected(*out.failed());
  return out.finish();
}

// Printing ---------------------------------------------------------------------------------------

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

/// Where the next byte that cannot stand in a string stands, from `at` on: eight bytes at a time,
/// since most texts have few.
std::size_t next_escaped(std::string_view text, std::size_t at) {
  constexpr std::uint64_t ones = 0x0101010101010101, highs = ones << 7;
  const auto any_below = [](std::uint64_t eight, std::uint64_t limit) {  // up to 0x80
    return (eight - ones * limit) & ~eight & highs;
  };
  for (; at + 8 <= text.size(); at += 8) {
    std::uint64_t eight = 0;
    std::memcpy(&eight, text.data() + at, 8);
    if ((any_below(eight, 0x20) | any_below(eight ^ (ones * '"'), 1)
         | any_below(eight ^ (ones * '\\'), 1))
        != 0)
      break;
  }
  for (; at < text.size(); ++at) {
    const auto c = static_cast<unsigned char>(text[at]);
    if (c < 0x20 || c == '"' || c == '\\')
      break;
  }
  return at;
}

}  // namespace

void append_json_string(std::string& out, std::string_view text) {
  static constexpr char digits[] = "0123456789abcdef";
  out += '"';
  std::size_t plain = 0;  // start of what can be copied as it is
  for (auto i = next_escaped(text, 0); i < text.size(); i = next_escaped(text, plain)) {
    const auto c = static_cast<unsigned char>(text[i]);
    out.append(text, plain, i - plain);
    plain = i + 1;
    switch (c) {
      case '"': out += "\\\""; break;
      case '\\': out += "\\\\"; break;
      case '\n': out += "\\n"; break;
      case '\r': out += "\\r"; break;
      case '\t': out += "\\t"; break;
      default:
        out += "\\u00";
        out += digits[c >> 4];
        out += digits[c & 15];
    }
  }
  out.append(text, plain);
  out += '"';
}

namespace {

void append_base64(std::string& out, std::string_view bytes) {
  static constexpr char digits[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const auto byte = [&](std::size_t n) {
      return i + n < bytes.size() ? static_cast<unsigned char>(bytes[i + n]) : 0u;
    };
    const auto word = byte(0) << 16 | byte(1) << 8 | byte(2);
    for (std::size_t n = 0; n < 4; ++n)
      out += i + n <= bytes.size() ? digits[(word >> (18 - 6 * n)) & 63] : '=';
  }
}

template <class Number>
void append_number(std::string& out, Number x) {
  char buffer[32];
  const auto [end, code] = std::to_chars(buffer, buffer + sizeof buffer, x);
  static_cast<void>(code);
  out.append(buffer, end);
}

void append_real(std::string& out, double x) {
  const auto from = out.size();
  append_number(out, x);
  if (out.find_first_of(".e", from) == std::string::npos)
    out += ".0";
}

void append_scalar(std::string& out, value_view x) {
  switch (x.type()) {
    case value_type::boolean: out += *x.as_bool() ? "true" : "false"; break;
    case value_type::integer:
      if (const auto positive = x.as_uint64())
        append_number(out, *positive);
      else
        append_number(out, *x.as_int64());
      break;
    case value_type::real: append_real(out, *x.as_real()); break;
    case value_type::string: append_json_string(out, *x.as_string()); break;
    case value_type::binary:
      out += '"';
      append_base64(out, *x.as_binary());
      out += '"';
      break;
    default: out += "null";
  }
}

}  // namespace

void append_json(std::string& out, value_view x) {
  // One pass over the bytes, which stand in the order of printing.
  struct level {
    bool map;
    std::size_t left;  // children to come; of a map: keys and values
    std::size_t size;
  };
  std::vector<level> open;
  std::string_view rest = x.bytes();
  while (true) {
    bool value_follows_key = false;
    if (!open.empty()) {
      auto& top = open.back();
      if (top.left == 0) {
        out += top.map ? '}' : ']';
        open.pop_back();
        if (open.empty())
          return;
        continue;
      }
      value_follows_key = top.map && top.left % 2 == 1;
      if (value_follows_key)
        out += ':';
      else if (top.left != top.size)
        out += ',';
      --top.left;
    }
    const auto head = internal::read_head(rest);
    if (head.type == value_type::array || head.type == value_type::map) {
      out += head.type == value_type::map ? '{' : '[';
      open.push_back({head.type == value_type::map, head.children, head.children});
      rest.remove_prefix(head.size);
      continue;
    }
    append_scalar(out, value_view{rest});
    rest.remove_prefix(head.size + head.payload);
    if (open.empty())
      return;
  }
}

std::string to_json(value_view x) {
  std::string out;
  append_json(out, x);
  return out;
}

}  // namespace troupe
