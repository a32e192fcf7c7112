#include <troupe/state/json.hpp>

#include "../support/allocations.hpp"
#include "../support/generate.hpp"
#include "../support/naive.hpp"
#include "../support/printing.hpp"
#include <doctest/doctest.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

using namespace troupe;
using namespace troupe::testing;
using namespace std::string_literals;

namespace {

value read(std::string_view text, const limits& budget = {}) {
  auto out = value_from_json(text, budget);
  REQUIRE_MESSAGE(out.has_value(), text, " -> ", (out ? error{} : out.error()));
  return *out;
}

error refusal(std::string_view text, const limits& budget = {}) {
  auto out = value_from_json(text, budget);
  REQUIRE_MESSAGE(!out.has_value(), "was read: ", text.substr(0, 200));
  return out.error();
}

void refuses(std::string_view text, errc code, std::string_view path) {
  CAPTURE(text.substr(0, 200));
  const auto fault = refusal(text);
  CHECK(fault.code == code);
  CHECK(fault.path == path);
  CHECK_FALSE(fault.message.empty());
  CHECK(is_utf8(fault.message));
  CHECK(is_utf8(fault.path));
}

std::string nested(std::size_t depth) {
  return std::string(depth, '[') + std::string(depth, ']');
}

}  // namespace

TEST_CASE("JSON of a plain value is read and printed as it stood") {
  for (const char* text : {"null",
                           "true",
                           "false",
                           "0",
                           "1",
                           "-1",
                           "1.0",
                           "-0.0",
                           "0.1",
                           "1e+300",
                           "5e-324",
                           "1.7976931348623157e+308",
                           "\"\"",
                           "[]",
                           "{}",
                           "[[]]",
                           "[{}]",
                           "{\"a\":[]}",
                           "[1,1.0,\"1\",true,null]",
                           "{\"a\":{\"b\":{\"c\":[1,2,3]}}}",
                           "9223372036854775807",
                           "9223372036854775808",
                           "18446744073709551615",
                           "-9223372036854775808",
                           "{\"__proto__\":1,\"constructor\":{\"prototype\":null}}",
                           "\"\xf0\x9f\x98\x80\"",
                           "\"\\u0000\"",
                           "{\"b\":1,\"a\":2,\"\":3}",
                           "[1,[2,[3,{\"x\":[]}],4],5]",
                           "\"/~\"",
                           "[{},[],{},\"\"]",
                           "{\"a\":{},\"b\":[],\"c\":0}"}) {
    CAPTURE(text);
    CHECK(to_json(read(text)) == text);
  }
}

TEST_CASE("1 is an integer and 1.0 is a real") {
  CHECK(read("1") == value{1});
  CHECK(read("1.0") == value{1.0});
  CHECK(read("1e0") == value{1.0});
  CHECK(read("-0.0").bytes() == value{-0.0}.bytes());
  CHECK(read("-0") == value{0});
  CHECK(to_json(value{1.0}) == "1.0");
  CHECK(to_json(value{1}) == "1");
  CHECK(to_json(value{-0.0}) == "-0.0");
  CHECK(to_json(value{1e20}) == "1e+20");
  CHECK(to_json(value{123456.0}) == "123456.0");
  CHECK(to_json(value{1e22}) == "1e+22");
}

TEST_CASE("every 64-bit integer edge is exact") {
  using i64 = std::numeric_limits<std::int64_t>;
  for (int shift = 0; shift < 64; ++shift) {
    for (const int delta : {-1, 0, 1}) {
      const auto x = (1ull << shift) + static_cast<std::uint64_t>(delta);
      const auto y = static_cast<std::int64_t>(x);
      CHECK(kept(read(std::to_string(x))).view().as_uint64() == x);
      CHECK(kept(read(std::to_string(y))).view().as_int64() == y);
      CHECK(to_json(value{x}) == std::to_string(x));
      CHECK(to_json(value{y}) == std::to_string(y));
    }
  }
  CHECK(kept(read("-9223372036854775808")).view().as_int64() == i64::min());
}

TEST_CASE("a string keeps every character") {
  CHECK(kept(read(R"("\u0000")")).view().as_string() == "\0"s);
  CHECK(kept(read(R"("a\u0000b")")).view().as_string() == "a\0b"s);
  CHECK(kept(read(R"("\ud83d\ude00")")).view().as_string() == "\xf0\x9f\x98\x80");
  CHECK(kept(read(R"("\udbff\udfff")")).view().as_string() == "\xf4\x8f\xbf\xbf");
  CHECK(kept(read(R"("\ud800\udc00")")).view().as_string() == "\xf0\x90\x80\x80");
  CHECK(kept(read(R"("\u00e4\u20AC")")).view().as_string() == "\xc3\xa4\xe2\x82\xac");
  CHECK(kept(read(R"("\"\\\/\b\f\n\r\t")")).view().as_string() == "\"\\/\b\f\n\r\t");
  CHECK(kept(read("{\"\\u0000\":1}")).view().find("\0"s) == kept(value{1}).view());
  std::string all;
  for (int c = 0; c < 0x80; ++c)
    all += static_cast<char>(c);
  CHECK(kept(read(to_json(value{all}))).view().as_string() == all);
  CHECK(to_json(value{"\"\\\n\r\t\b\f\x1f\x7f/"s})
        == "\"\\\"\\\\\\n\\r\\t\\u0008\\u000c\\u001f\x7f/\"");
  for (char c = ' '; c < 0x7f; ++c) {
    if (c != '"' && c != '\\')
      CHECK(to_json(value{std::string(2, c)}) == '"' + std::string(2, c) + '"');
  }
  std::string out = "before ";
  append_json_string(out, "x\ny");
  append_json(out, value{1});
  CHECK(out == "before \"x\\ny\"1");
}

TEST_CASE("null is not absence and the order of keys is kept") {
  const auto x = read(R"({"z":null,"a":1,"m":{"y":1,"b":null}})");
  REQUIRE(x.view().find("z"));
  CHECK(x.view().find("z")->is_null());
  CHECK_FALSE(x.view().find("b"));
  CHECK(to_json(x) == R"({"z":null,"a":1,"m":{"y":1,"b":null}})");
  CHECK_FALSE(x == read(R"({"a":1,"m":{"y":1,"b":null}})"));
}

TEST_CASE("white space around and between tokens is nothing") {
  CHECK(read(" \t\r\n[ 1 ,\n{ \"a\" : null } ] \n") == read(R"([1,{"a":null}])"));
}

TEST_CASE("bytes print as base64 of RFC 4648") {
  // RFC 4648, section 10
  CHECK(to_json(value::binary("")) == R"("")");
  CHECK(to_json(value::binary("f")) == R"("Zg==")");
  CHECK(to_json(value::binary("fo")) == R"("Zm8=")");
  CHECK(to_json(value::binary("foo")) == R"("Zm9v")");
  CHECK(to_json(value::binary("foob")) == R"("Zm9vYg==")");
  CHECK(to_json(value::binary("fooba")) == R"("Zm9vYmE=")");
  CHECK(to_json(value::binary("foobar")) == R"("Zm9vYmFy")");
  CHECK(to_json(value::binary("\xfb\xff\xbf\x00"s)) == R"("+/+/AA==")");
}

TEST_CASE("printing then reading gives the same bytes") {
  holds("JSON round trip", [](const value& x) {
    const auto again = value_from_json(to_json(x));
    RC_ASSERT(again.has_value());
    RC_ASSERT(again->bytes() == x.bytes());
    RC_ASSERT(to_json(*again) == to_json(x));
  });
}

TEST_CASE("a real prints as briefly as any text that reads back to it") {
  holds("shortest real", [] {
    const auto x = *any_real();
    auto text = to_json(value{x});
    RC_ASSERT(value_from_json(text)->bytes() == value{x}.bytes());
    // The digits: no shorter mantissa gives the same number.
    char shorter[64];
    std::size_t digits = 0;
    for (const char c : text.substr(0, text.find('e')))
      digits += c >= '0' && c <= '9';
    for (int precision = 0; precision < 17; ++precision) {
      std::snprintf(shorter, sizeof shorter, "%.*e", precision, x);
      if (std::strtod(shorter, nullptr) == x) {
        const auto e = std::string{shorter}.find('e');
        const auto exponent = std::abs(std::atoi(shorter + e + 1));
        RC_ASSERT(digits <= static_cast<std::size_t>(precision) + 2
                                + static_cast<std::size_t>(exponent < 22 ? exponent : 0));
        break;
      }
    }
    RC_ASSERT(text.size() <= 25);
  });
}

TEST_CASE("a key that occurs twice is refused with its path") {
  refuses(R"({"a":1,"a":2})", errc::invalid_value, "/a");
  refuses(R"({"a":1,"b":2,"a":1})", errc::invalid_value, "/a");
  refuses(R"({"a":1,"\u0061":2})", errc::invalid_value, "/a");
  refuses(R"({"x":[0,{"k~/":{"":1,"":2}}]})", errc::invalid_value, "/x/1/k~0~1/");
  refuses(R"([[],{"b":{"c":1},"a":0,"b":{}}])", errc::invalid_value, "/1/b");
  CHECK(kept(read(R"({"a":{"a":{"a":1}},"b":{"a":[{"a":1},{"a":2}]}})")).view().size() == 2);
  CHECK(kept(read(R"({"a":1,"A":2,"a ":3,"":4})")).view().size() == 4);
}

TEST_CASE("an integer beyond 64 bits is refused with its path") {
  refuses("18446744073709551616", errc::invalid_value, "");
  refuses("-9223372036854775809", errc::invalid_value, "");
  refuses("99999999999999999999", errc::invalid_value, "");
  refuses("100000000000000000000000000000000000000000", errc::invalid_value, "");
  refuses(R"({"n":[0,1,18446744073709551616]})", errc::invalid_value, "/n/2");
  refuses(R"([{"a":1,"b":{"c":-9223372036854775809}}])", errc::invalid_value, "/0/b/c");
  refuses(R"([[1,2],[3],{"x":"]},[\"{"},18446744073709551616])", errc::invalid_value, "/3");
  refuses(R"({"a/b~":18446744073709551616})", errc::invalid_value, "/a~1b~0");
  refuses(R"({"k\"\n":18446744073709551616})", errc::invalid_value, "/k\"\n");
  refuses(R"({"a":{"b":1},"c":18446744073709551616})", errc::invalid_value, "/c");
  refuses(R"({"a":"a","c":{"d":18446744073709551616}})", errc::invalid_value, "/c/d");
}

TEST_CASE("a number beyond a finite double is refused with its path and a tiny one is zero") {
  refuses("1e999", errc::invalid_value, "");
  refuses("-1e999", errc::invalid_value, "");
  refuses("1E+999", errc::invalid_value, "");
  refuses("1.8e308", errc::invalid_value, "");
  refuses("1e99999999999999999999", errc::invalid_value, "");
  refuses("1e9223372036854775807", errc::invalid_value, "");
  refuses(R"([1,{"x":1e999}])", errc::invalid_value, "/1/x");
  refuses("[" + std::string(400, '9') + ".5]", errc::invalid_value, "/0");
  refuses("[" + std::string(400, '9') + "e-5]", errc::invalid_value, "/0");
  refuses("[0.001e400]", errc::invalid_value, "/0");
  CHECK(read("1e-999").bytes() == value{0.0}.bytes());
  CHECK(read("-1e-999").bytes() == value{-0.0}.bytes());
  CHECK(read("0e999").bytes() == value{0.0}.bytes());
  CHECK(read("1e300") == value{1e300});
  CHECK(read("5e-324") == value{5e-324});
  CHECK(read("0." + std::string(400, '0') + "1e401") == value{1.0});
}

TEST_CASE("half of a surrogate pair is refused with its path") {
  refuses(R"("\ud800")", errc::invalid_value, "");
  refuses(R"("\udc00")", errc::invalid_value, "");
  refuses(R"("\udfff")", errc::invalid_value, "");
  refuses(R"("\ud800\ud800")", errc::invalid_value, "");
  refuses(R"("\udc00\ud800")", errc::invalid_value, "");
  refuses(R"("\ud83dx\ude00")", errc::invalid_value, "");
  refuses(R"("\ud83d\n\ude00")", errc::invalid_value, "");
  refuses(R"(["\ud83d\ude00",{"s":"ok \udbff"}])", errc::invalid_value, "/1/s");
  refuses(R"(["\ud83d\ude00\ude00"])", errc::invalid_value, "/0");
  CHECK(refusal(R"({"\ud800":1})").code == errc::invalid_value);
}

TEST_CASE("text that is not UTF-8 is refused with its path") {
  refuses("\"\xff\"", errc::invalid_value, "");
  refuses("[\"ok\",\"\xc3\"]", errc::invalid_value, "/1");
  refuses("{\"a\":{\"b\":\"\xed\xa0\x80\"}}", errc::invalid_value, "/a/b");
  refuses("{\"a\":{\"\xff\":1}}", errc::invalid_value, "/a/?");
  refuses("[\"\xc0\x80\"]", errc::invalid_value, "/0");
  refuses("[\"\xf4\x90\x80\x80\"]", errc::invalid_value, "/0");
  refuses("[1,\xff]", errc::malformed, "");
}

TEST_CASE("what is no JSON is malformed") {
  for (const std::string& text : {""s,
                                  " "s,
                                  "\n"s,
                                  "\0"s,
                                  "{"s,
                                  "["s,
                                  "}"s,
                                  "]"s,
                                  "[1"s,
                                  "[1,"s,
                                  "[1,]"s,
                                  "[,1]"s,
                                  "[1 2]"s,
                                  "{\"a\"}"s,
                                  "{\"a\":}"s,
                                  "{\"a\":1,}"s,
                                  "{a:1}"s,
                                  "{'a':1}"s,
                                  "{1:2}"s,
                                  "tru"s,
                                  "True"s,
                                  "nul"s,
                                  "NaN"s,
                                  "Infinity"s,
                                  "-"s,
                                  "-Infinity"s,
                                  "+1"s,
                                  "01"s,
                                  "-01"s,
                                  "1."s,
                                  ".5"s,
                                  "1e"s,
                                  "1e+"s,
                                  "0x10"s,
                                  "1_000"s,
                                  "\"a"s,
                                  "\"\\x\""s,
                                  "\"\\u12\""s,
                                  "\"\\u12g4\""s,
                                  "\"\n\""s,
                                  "\"\t\""s,
                                  "\"a\0b\""s,
                                  "[1]]"s,
                                  "1 1"s,
                                  "null null"s,
                                  "{} x"s,
                                  "[1]\0"s,
                                  "\xef\xbb\xbf"
                                  "1"s,
                                  "[1}"s,
                                  "{\"a\":1]"s,
                                  "// c\n1"s,
                                  "/**/1"s,
                                  "[1,/**/2]"s,
                                  "[\"a\" \"b\"]"s,
                                  "{\"a\" 1}"s,
                                  "{\"a\"::1}"s,
                                  "[[]"s,
                                  "{\"a\":[}"s,
                                  "\\u0031"s,
                                  "1e5.5"s,
                                  "--1"s,
                                  "1-"s,
                                  "\""s,
                                  "\"\\"s,
                                  "\"\\\""s,
                                  "\"\\u"s,
                                  "[\"\\ud8"s}) {
    CAPTURE(text);
    refuses(text, errc::malformed, "");
    CHECK(refusal(text).message.starts_with(text.empty() ? "not JSON: there" : "not JSON: line "));
  }
}

TEST_CASE("what is no JSON is refused with the line and the byte of it where it ends to be") {
  const auto place = [](std::string_view text, std::string_view where) {
    CAPTURE(text);
    const auto told = "not JSON: " + std::string{where} + ": ";
    CHECK(refusal(text).message.substr(0, told.size()) == told);
  };
  place("{\"a\":1,}", "line 1, column 8");
  place("{\n  \"a\" 1}", "line 2, column 7");
  place("[1,2", "line 1, column 5");
  place("[1,2\n", "line 2, column 1");
  place("[null, nul]", "line 1, column 8");
  place("[01]", "line 1, column 3");
  place("[1.]", "line 1, column 4");
  place("[1.5e+,1]", "line 1, column 7");
  place("\"a\nb\"", "line 1, column 3");
  place("[\"\\u12g4\"]", "line 1, column 7");
  place("[\"\\x\"]", "line 1, column 4");
  place("[{}, [], -0.5E-3, true, false, \"\\u00e4\\n\"]\n]", "line 2, column 1");
}

TEST_CASE("a view without data is an empty document") {
  refuses(std::string_view{}, errc::malformed, "");
}

TEST_CASE("nesting is refused beyond 64 and not before") {
  CHECK(to_json(read(nested(64))) == nested(64));
  auto fault = refusal(nested(65));
  CHECK(fault.code == errc::too_deep);
  CHECK(fault.limit == 64);
  fault = refusal(nested(66));
  CHECK(fault.code == errc::too_deep);
  CHECK(fault.limit == 64);
  CHECK(fault.path.size() == 128);
  std::string maps = "1";
  for (int i = 0; i < 64; ++i)
    maps = "{\"a\":" + maps + "}";
  CHECK(read(maps).type() == value_type::map);
  fault = refusal("[" + maps + "]");
  CHECK(fault.code == errc::too_deep);
  std::string path = "/0";
  for (int i = 0; i < 63; ++i)
    path += "/a";
  CHECK(fault.path == path);
  CHECK(fault.limit == 64);
  CHECK(refusal("[[]]", {.depth = 1}).path == "/0");
  CHECK(refusal("[0,1,[]]", {.depth = 1}).path == "/2");
  CHECK(refusal("[]", {.depth = 0}).code == errc::too_deep);
  CHECK(kept(read("[[],[],[[]],{}]", {.depth = 3})).view().size() == 4);
}

TEST_CASE("a bomb of 100000 brackets is refused and takes no more than a few times its size") {
  for (const auto& text :
       {std::string(100'000, '['), nested(100'000), std::string(100'000, '{'),
        std::string(100'000, ']'),
        [] {
          std::string out;
          for (int i = 0; i < 100'000; ++i)
            out += "{\"a\":";
          return out;
        }(),
        std::string(100'000, '[') + "1e999", std::string(100'000, '[') + "\"\xff\""}) {
    read("1");  // the parser that is kept is there
    allocation_watch watch;
    const auto fault = refusal(text);
    CHECK(fault.code == (text[0] == ']' ? errc::malformed : errc::too_deep));
    CHECK(watch.total() < 40 * text.size());
    CHECK(fault.path.size() < 1000);
  }
  const auto fault = refusal(nested(100'000));
  CHECK(fault.code == errc::too_deep);
  CHECK(fault.limit == 64);
  std::string path;
  for (int i = 0; i < 64; ++i)
    path += "/0";
  CHECK(fault.path == path);
}

TEST_CASE("the element budget counts values and keys and is exact") {
  const limits five{.elements = 5};
  CHECK(kept(read("[1,2,3,4]", five)).view().size() == 4);
  CHECK(kept(read(R"({"a":1,"b":2})", five)).view().size() == 2);
  CHECK(kept(read("[[[[]]]]", five)).view().size() == 1);
  auto fault = refusal("[1,2,3,4,5]", five);
  CHECK(fault.code == errc::too_many_elements);
  CHECK(fault.limit == 5);
  CHECK(fault.path == "");
  CHECK(refusal(R"({"a":1,"b":2,"c":3})", five).code == errc::too_many_elements);
  fault = refusal(R"([1,{"a":1,"b":2}])", five);
  CHECK(fault.code == errc::too_many_elements);
  CHECK(fault.path == "/1");
  CHECK(refusal("[[[[[]]]],1]", five).code == errc::too_many_elements);
  std::string many = "[0";
  for (int i = 0; i < 199'998; ++i)
    many += ",0";
  CHECK(kept(read(many + "]")).view().size() == 199'999);
  CHECK(refusal(many + ",0]").code == errc::too_many_elements);
}

TEST_CASE("the byte budget is exact and stands before the parser") {
  CHECK(read("12345", {.bytes = 5}) == value{12345});
  const auto fault = refusal("123456", {.bytes = 5});
  CHECK(fault.code == errc::too_large);
  CHECK(fault.limit == 5);
  CHECK(refusal("not json", {.bytes = 5}).code == errc::too_large);
  const auto text = '"' + std::string((1 << 20) - 2, 'x') + '"';
  CHECK(kept(read(text)).view().as_string()->size() == (1 << 20) - 2);
  CHECK(refusal(text + " ").code == errc::too_large);
  CHECK(kept(read(text + "  ", {.bytes = 2 << 20})).view().as_string()->size() == (1 << 20) - 2);
}

#ifdef __OPTIMIZE__  // half a gigabyte and, without optimisation, eight seconds
TEST_CASE("an array of more than 16777215 elements is counted right") {
  std::string text = "[0";
  text.reserve(40'000'000);
  for (int i = 0; i < 0xffffff + 5; ++i)
    text += ",0";
  text += ']';
  const auto x = read(text, {.bytes = 1 << 30, .elements = 1 << 30});
  CHECK(x.view().size() == 0xffffff + 6);
  CHECK(x.bytes().size() == 5 + 0xffffff + 6);
}
#endif

TEST_CASE("printing values nested 100000 deep does not overflow the stack") {
  constexpr std::size_t depth = 100'000;
  value_writer arrays, maps;
  for (std::size_t i = 0; i < depth; ++i) {
    arrays.begin_array(1);
    maps.begin_map(1).string("a");
  }
  const auto printed = to_json(arrays.integer(1).finish());
  CHECK(printed == std::string(depth, '[') + "1" + std::string(depth, ']'));
  CHECK(to_json(maps.null().finish()).size() == depth * 6 + 4);
}

TEST_CASE("a document after a refused one is read as if nothing had been") {
  for (int i = 0; i < 50; ++i) {
    refusal("[1,2");
    CHECK(to_json(read("[1,2]")) == "[1,2]");
    refusal(nested(200));
    refusal("[0,1]", {.depth = 0});
    CHECK(to_json(read(nested(64))) == nested(64));
    CHECK(to_json(read(std::string(5000 + i, ' ') + "{\"a\":1}")) == "{\"a\":1}");
  }
}

TEST_CASE("any text is read or refused and what is read prints to itself") {
  holds("random text", [] {
    const auto text = *rc::gen::container<std::string>(
        rc::gen::oneOf(rc::gen::element('{', '}', '[', ']', ',', ':', '"', '\\', 'u', 'd', '8', '0',
                                        '1', 'e', '-', '.', ' ', 'n', 'a'),
                       rc::gen::arbitrary<char>()));
    const auto x = value_from_json(text);
    if (!x) {
      RC_ASSERT(is_utf8(x.error().path));
      RC_ASSERT(x.error().code == errc::malformed || x.error().code == errc::invalid_value);
      RC_ASSERT(x.error().code != errc::malformed || text.empty()
                || x.error().message.starts_with("not JSON: line "));
    } else {
      RC_ASSERT(value_from_json(to_json(*x))->bytes() == x->bytes());
    }
  });
  holds("a document cut short or with one byte changed",
        [](const value& x, std::uint32_t at, char c) {
          const auto text = to_json(x);
          RC_ASSERT(value_from_json(text).has_value());
          auto changed = text;
          changed[at % text.size()] = c;
          if (const auto y = value_from_json(changed))
            RC_ASSERT(value_from_json(to_json(*y))->bytes() == y->bytes());
          if (text.front() == '[' || text.front() == '{' || text.front() == '"')
            RC_ASSERT(!value_from_json(text.substr(0, at % text.size())).has_value());
        });
}
