#include <troupe/state/json.hpp>

#include "api/item_page.hpp"
#include "support/api_node.hpp"
#include <doctest/doctest.h>

#include <string>
#include <string_view>

using namespace troupe;
using node = testing::api_node;

namespace {

/// A history drawn with one character an item: 'u' says "hello", a capital calls, its lower case
/// answers that call.
history drawn(std::string_view items) {
  history out;
  std::uint64_t seq = 0;
  for (const char c : items) {
    std::string json = R"({"role":"user","content":"Hello, World"})";
    if (c >= 'A' && c <= 'Z')
      json = std::string{R"({"role":"assistant","tool_calls":[{"id":")"} + c + R"("}]})";
    else if (c != 'u')
      json = std::string{R"({"role":"tool","tool_call_id":")"} + static_cast<char>(c - 'a' + 'A')
             + R"("})";
    out.append(++seq, timestamp{1}, *value_from_json(json));
  }
  return out;
}

/// The sequence numbers of a page, with ">cursor".
std::string picked(std::string_view items, const api::item_page& page) {
  const auto all = drawn(items);
  const auto out = api::pick(all, page);
  std::string text;
  for (const auto& item : out.items)
    text += std::to_string(item.seq);
  return out.cursor ? text + '>' + std::to_string(*out.cursor) : text;
}

}  // namespace

TEST_CASE("a pair-safe page never has a result without its call") {
  const std::string_view items = "uAauBbu";  // 1234567
  CHECK(picked(items, {.last = 5}) == "34567");
  CHECK(picked(items, {.last = 5, .pair_safe = true}) == "4567");
  CHECK(picked(items, {.last = 6, .pair_safe = true}) == "234567");
  CHECK(picked(items, {.before = 4, .limit = 1, .pair_safe = true}) == "23");
  CHECK(picked(items, {.before = 7, .limit = 2, .pair_safe = true}) == "56");
}

TEST_CASE("a pair-safe page never has a call without the results that there are") {
  const std::string_view items = "uAauBbu";
  CHECK(picked(items, {.after = 0, .limit = 2}) == "12>2");
  CHECK(picked(items, {.after = 0, .limit = 2, .pair_safe = true}) == "1>1");
  CHECK(picked(items, {.after = 1, .limit = 1, .pair_safe = true}) == "23>3");
  CHECK(picked(items, {.after = 3, .limit = 2, .pair_safe = true}) == "4>4");
  CHECK(picked("uA", {.last = 2, .pair_safe = true}) == "12");
  CHECK(picked("uA", {.after = 0, .pair_safe = true}) == "12");
}

TEST_CASE("pairs that overlap stay together and results of no call are items like others") {
  CHECK(picked("uABabu", {.last = 3, .pair_safe = true}) == "6");
  CHECK(picked("uABab", {.last = 2, .pair_safe = true}) == "2345");
  CHECK(picked("uABabu", {.after = 0, .limit = 4, .pair_safe = true}) == "1>1");
  CHECK(picked("uau", {.last = 2, .pair_safe = true}) == "23");
}

TEST_CASE("a page ends where its bytes do and has at least one item") {
  CHECK(picked("uuuu", {.after = 0, .bytes = 64}) == "12>2");
  CHECK(picked("uuuu", {.last = 4, .bytes = 64}) == "34");
  CHECK(picked("uuuu", {.after = 0, .bytes = 1}) == "1>1");
}

TEST_CASE("a text is found in any string in either case and never in a name") {
  CHECK(picked("uAu", {.text = "hello, w"}) == "13");
  CHECK(picked("uAu", {.after = 0, .limit = 1, .text = "HELLO"}) == "1>1");
  CHECK(picked("uAu", {.last = 1, .text = "hello"}) == "3");
  CHECK(picked("uAu", {.text = "content"}) == "");
  CHECK(picked("uAu", {.text = "A"}) == "2");
}

TEST_CASE("the newest items are removed as expected or not at all") {
  node n;
  n.send("PUT", "/v1/sessions/a");
  n.send("POST", "/v1/sessions/a/items", R"({"items":[{},{},{}]})");
  const auto refused =
      n.send("POST", "/v1/sessions/a/items/pop", R"({"count":2,"expected_last_seq":2})");
  CHECK(refused.status == 409);
  CHECK(refused.body.find(R"("code":"tail_mismatch")") != std::string::npos);
  CHECK(n.send("POST", "/v1/sessions/a/items/pop", R"({"count":2,"expected_last_seq":3})").body
        == R"({"revision":3,"removed":2})");
  CHECK(n.send("DELETE", "/v1/sessions/a/items").status == 204);
  CHECK(n.send("POST", "/v1/sessions/a/items", R"({"items":[{}]})").body
        == R"({"revision":5,"first_seq":4,"last_seq":4})");
}

TEST_CASE("a page is asked for by all its parameters") {
  node n;
  n.send("PUT", "/v1/sessions/a");
  n.send("POST", "/v1/sessions/a/items",
         R"({"items":[{"c":"x"},{"role":"assistant","tool_calls":[{"id":"1"}]},)"
         R"({"role":"tool","tool_call_id":"1"}]})");
  const auto seqs = [&](const std::string& query) {
    const auto body = n.send("GET", "/v1/sessions/a/items?" + query).body;
    std::string out;
    for (std::size_t at = 0; (at = body.find("\"seq\":", at)) != std::string::npos; ++at)
      out += body[at + 6];
    return out;
  };
  CHECK(seqs("last=1") == "3");
  CHECK(seqs("last=1&pair_safe=true") == "23");
  CHECK(seqs("q=x") == "1");
  CHECK(seqs("last=3&max_bytes=1") == "3");
  CHECK(n.send("GET", "/v1/sessions/a/items?q=x&pair_safe=true").status == 422);
  CHECK(n.send("GET", "/v1/sessions/a/items?last=1&last=2").status == 422);
}
