#include "troupe/table.hpp"
#include "troupe/text.hpp"
#include <doctest/doctest.h>

#include <string>

using namespace troupe::cli;
using namespace std::chrono_literals;
using namespace std::string_literals;

TEST_CASE("no control character of any kind reaches a terminal as it is") {
  CHECK(escape_controls("a\x1b[31mb") == "a\\x1b[31mb");
  CHECK(escape_controls("a\nb\tc\rd\0e\x7f"s) == "a\\nb\\tc\\x0dd\\x00e\\x7f");
  CHECK(escape_controls("\xc2\x9b"
                        "31m")
        == "\\u{009b}31m");  // C1: CSI in one character
  CHECK(escape_controls("\xe2\x80\xae"
                        "exe")
        == "\\u{202e}exe");  // turns the direction of writing
  CHECK(escape_controls("\xff\xc3(\xed\xa0\x80") == "\\xff\\xc3(\\xed\\xa0\\x80");  // not UTF-8
}

TEST_CASE("text of every script stays as it is") {
  for (const char* text :
       {"Größe", "こんにちは", "السلام عليكم", "👨‍👩‍👧‍👦 🎉", "back\\slash"})
    CHECK(escape_controls(text) == text);
}

TEST_CASE("JSON keeps its meaning when its control characters are escaped") {
  CHECK(escape_json_controls("{\"a\":\"\x7f\xc2\x9b\xe2\x80\xae\",\n\"b\":\"\\u001b\"}")
        == "{\"a\":\"\\u007f\\u009b\\u202e\",\n\"b\":\"\\u001b\"}");
}

TEST_CASE("one line has no line breaks and fits") {
  CHECK(one_line("  a\n\n  b\tc ", 80) == "a b c");
  CHECK(one_line("abcdef", 6) == "abcdef");
  CHECK(one_line("abcdefg", 6) == "abc...");
  CHECK(one_line("äöüäöüä", 6) == "äöü...");
  CHECK(one_line("", 5).empty());
  CHECK(one_line("abc", 2) == "..");
  for (std::size_t columns = 0; columns < 12; ++columns)
    CHECK(length(one_line("a\x1b\x1b\x1b"
                          "b c d e f g",
                          columns))
          <= columns);
}

TEST_CASE("numbers are grouped and have units") {
  CHECK(group_digits(0) == "0");
  CHECK(group_digits(999) == "999");
  CHECK(group_digits(1'000) == "1,000");
  CHECK(group_digits(18'446'744'073'709'551'615u) == "18,446,744,073,709,551,615");
  CHECK(human_bytes(999) == "999 B");
  CHECK(human_bytes(1'631'052) == "1.63 MB");
  CHECK(human_bytes(999'999) == "1.00 MB");
  CHECK(human_duration(250us) == "250 us");
  CHECK(human_duration(1'234us) == "1.23 ms");
  CHECK(human_duration(12'300ms) == "12.3 s");
  CHECK(plural(1, "item") == "1 item");
  CHECK(plural(2'000, "item") == "2,000 items");
}

TEST_CASE("two neighbours in each other's place are one letter that differs") {
  const std::vector<std::string> names{"idle", "quota", "max-live", "config"};
  CHECK(nearest("ilde", names) == "idle");
  CHECK(nearest("idel", names) == "idle");
  CHECK(nearest("qoutA", names) == "quota");
  CHECK_FALSE(nearest("elid", names));
  CHECK_FALSE(nearest("port", names));
}

TEST_CASE("a table's columns are as wide as their widest cell") {
  table t{{align::left, align::right, align::left}};
  t.add({"a", "1", ""});
  t.add({"größe", "1,000", "x"});
  CHECK(t.render("  ") == "  a          1\n  größe  1,000  x\n");
}
