#include <troupe/state/json.hpp>

#include "../support/generate.hpp"
#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

using namespace troupe;
using namespace troupe::testing;

namespace {

/// Byte by byte.
std::string naive_string(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    const auto short_form = std::string_view{"\"\\\n\r\t"}.find(c);
    if (short_form != std::string_view::npos) {
      out += std::string{'\\', "\"\\nrt"[short_form]};
    } else if (static_cast<unsigned char>(c) < 0x20) {
      constexpr std::string_view hex = "0123456789abcdef";
      out += std::string{"\\u00"} + (c < 0x10 ? '0' : '1') + hex[static_cast<std::size_t>(c) % 16];
    } else {
      out += c;
    }
  }
  return out + '"';
}

std::string naive_print(value_view x) {
  std::string out;
  const auto add_children = [&](char open, char close) {
    for (auto at = x.children(); at.next();) {
      out += out.empty() ? "" : ",";
      out += x.type() == value_type::map ? naive_string(at.key()) + ":" : "";
      out += naive_print(at.item());
    }
    out = open + out + close;
  };
  switch (x.type()) {
    case value_type::array: add_children('[', ']'); return out;
    case value_type::map: add_children('{', '}'); return out;
    case value_type::string: return naive_string(*x.as_string());
    case value_type::boolean: return *x.as_bool() ? "true" : "false";
    case value_type::integer:
      return x.as_uint64() ? std::to_string(*x.as_uint64()) : std::to_string(*x.as_int64());
    default: return to_json(x);  // reals and bytes have tests of their own
  }
}

}  // namespace

TEST_CASE("a byte that must be escaped is found wherever it stands in a text of any length") {
  std::string bytes = "\x1f !\"#[\\]\x7f\x80\xff";
  bytes += '\0';
  std::string all(256, '\0');
  for (std::size_t i = 0; i < all.size(); ++i)
    all[i] = static_cast<char>(i);
  std::string room(200, '"');  // what stands around the text must not matter
  for (std::size_t length = 0; length <= 100; ++length) {
    for (std::size_t at = 0; at < std::max<std::size_t>(length, 1); ++at) {
      for (const char byte : length == 100 ? all : bytes) {
        const auto begin = (at + length) % 32;
        room.replace(begin, length, length, 'a');
        const auto text = std::string_view{room}.substr(begin, length);
        if (length > 0)
          room[begin + at] = byte;
        std::string out = "before";
        append_json_string(out, text);
        REQUIRE(out == "before" + naive_string(text));
        room.replace(begin, length, length, '"');
      }
    }
  }
  std::string out;
  append_json_string(out, "\xc3\xa4\xf0\x9f\x98\x80\xc3\xa4\xc3\xbc\n\"\xe2\x82\xac");
  CHECK(out == "\"\xc3\xa4\xf0\x9f\x98\x80\xc3\xa4\xc3\xbc\\n\\\"\xe2\x82\xac\"");
}

TEST_CASE("many bytes to be escaped in one text are each escaped") {
  holds("text of few and of many escapes", [] {
    const auto text = *rc::gen::container<std::string>(rc::gen::oneOf(
        rc::gen::just('a'), rc::gen::element('"', '\\', '\n', '\r', '\t', '\0', '\x1f', '\x7f'),
        rc::gen::arbitrary<char>()));
    for (const auto& one : {text, std::string(70, 'a') + text, text + text + text + text}) {
      std::string out;
      append_json_string(out, one);
      RC_ASSERT(out == naive_string(one));
    }
  });
}

TEST_CASE("a document is printed as it is piece by piece whatever the sizes of its pieces") {
  holds("any document", [](const value& x) { RC_ASSERT(to_json(x) == naive_print(x)); });
  for (std::size_t before = 0; before <= 270; ++before) {
    for (const std::size_t size : {0u, 1u, 100u, 253u, 254u, 255u, 256u, 257u, 258u, 600u}) {
      const auto x = value::array({std::string(before, 'a'), std::string(size, 'b'), size, true});
      REQUIRE(to_json(x) == naive_print(x));
    }
  }
  for (std::size_t size = 0; size <= 600; ++size) {
    const auto x = array_of(std::vector<value>(size, value{7}));
    REQUIRE(to_json(x) == naive_print(x));
  }
}
