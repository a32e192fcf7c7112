#include <troupe/state/json.hpp>

#include "support/api_node.hpp"
#include <doctest/doctest.h>

#include <string>
#include <utility>

using namespace troupe;
using testing::if_match;
using testing::ops;
using node = testing::api_node;

namespace {

const http::header msgpack{"Content-Type", "application/msgpack"};
const http::header as_msgpack{"Accept", "application/msgpack"};

http::header once(std::string key) {
  return {"Idempotency-Key", std::move(key)};
}
http::header prefer(const std::string& level) {
  return {"Prefer", "durability=" + level};
}

std::string header_of(const http::response& r, const char* name) {
  const auto* header = r.find_header(name);
  return header ? *header : "none";
}

bool has_code(const http::response& r, const std::string& code) {
  return r.body.find("\"code\":\"" + code + '"') != std::string::npos;
}

}  // namespace

// One key
// ------------------------------------------------------------------------------------------------

TEST_CASE("a key has a value and a revision of its own") {
  node n;
  n.send("PUT", "/v1/sessions/a");
  const auto put = n.send("PUT", "/v1/sessions/a/state/k%2Fx", R"({"n":1.0})");
  CHECK(put.body == R"({"revision":2})");
  CHECK(header_of(put, "ETag") == "\"2\"");
  n.send("PUT", "/v1/sessions/a/state/other", "7");
  const auto got = n.send("GET", "/v1/sessions/a/state/k%2Fx");
  CHECK(got.body == R"({"n":1.0})");
  CHECK(header_of(got, "ETag") == "\"2\"");
  const auto same = n.send("PUT", "/v1/sessions/a/state/k%2Fx", R"({"n":1.0})");
  CHECK(same.body == R"({"revision":3})");
  CHECK(header_of(same, "ETag") == "\"2\"");
  CHECK(n.send("PUT", "/v1/sessions/a/state/null", "null").status == 200);
  CHECK(n.send("GET", "/v1/sessions/a/state/null").body == "null");
  CHECK(n.send("GET", "/v1/sessions/a/state/none").status == 404);
  CHECK(n.send("DELETE", "/v1/sessions/a/state/null").status == 204);
  CHECK(n.send("GET", "/v1/sessions/a/state/null").status == 404);
  CHECK(n.send("PUT", "/v1/sessions/a/state/k").status == 400);
}

TEST_CASE("If-Match on a key is about the key and not about the session") {
  node n;
  n.send("PUT", "/v1/sessions/a");
  n.send("PUT", "/v1/sessions/a/state/k", "1");
  n.send("PUT", "/v1/sessions/a/state/other", "1");
  CHECK(n.send("PUT", "/v1/sessions/a/state/k", "2", {if_match("2")}).status == 200);
  const auto late = n.send("PUT", "/v1/sessions/a/state/k", "3", {if_match("2")});
  CHECK(late.status == 412);
  CHECK(late.body.find(R"("current_revision":4)") != std::string::npos);
  CHECK(n.send("DELETE", "/v1/sessions/a/state/k", "", {if_match("2")}).status == 412);
  const auto taken = n.send("PUT", "/v1/sessions/a/state/k", "3", {{"If-None-Match", "*"}});
  CHECK(taken.status == 409);
  CHECK(has_code(taken, "already_exists"));
  CHECK(n.send("PUT", "/v1/sessions/a/state/new", "3", {{"If-None-Match", "*"}}).status == 200);
  CHECK(n.send("GET", "/v1/sessions/a/state/k").body == "2");
}

TEST_CASE("a key with a time to live tells when it ends and is gone then") {
  node n;
  n.send("PUT", "/v1/sessions/a");
  n.send("PUT", "/v1/sessions/a/state/k?ttl_s=60", "1");
  CHECK(header_of(n.send("GET", "/v1/sessions/a/state/k"), "Troupe-Expires")
        == "2026-01-02T12:01:00.123Z");
  n.advance(60'000);
  CHECK(n.send("GET", "/v1/sessions/a/state/k").status == 404);
  CHECK(n.send("GET", "/v1/sessions/a/state").body == R"({"revision":2,"state":{}})");
  CHECK(n.send("PUT", "/v1/sessions/a/state/k?ttl_s=99999999999999999", "1").status == 422);
}

// Operations
// ------------------------------------------------------------------------------------------------

TEST_CASE("operations on the state apply in order and all or none") {
  node n;
  n.send("PUT", "/v1/sessions/a");
  const auto patch = [&](const std::string& list) {
    return n.send("PATCH", "/v1/sessions/a/state", "{\"ops\":[" + list + "]}", {ops});
  };
  CHECK(patch(R"({"op":"add","key":"n","by":2},{"op":"add","key":"n","by":-5},)"
              R"({"op":"union","key":"u","values":[1,2]},{"op":"union","key":"u","values":[2,3]},)"
              R"({"op":"append","key":"l","values":[1,1]},{"op":"cas","key":"c","value":"x"})")
            .status
        == 200);
  CHECK(n.send("GET", "/v1/sessions/a/state").body
        == R"({"revision":2,"state":{"c":"x","l":[1,1],"n":-3,"u":[1,2,3]}})");
  const auto mismatch = patch(
      R"({"op":"set","key":"n","value":0},{"op":"cas","key":"c","expected":"y","value":"z"})");
  CHECK(mismatch.status == 409);
  CHECK(has_code(mismatch, "cas_mismatch"));
  CHECK(patch(R"({"op":"cas","key":"c","expected":"x","value":"z"})").status == 200);
  for (const auto* bad :
       {R"({"op":"set","key":"n"})",
        R"({"op":"set","key":"n","value":1,"ttl_s":18446744073709552})",
        R"({"op":"delete","key":"n","value":1})", R"({"op":"add","key":"n","values":[]})",
        R"({"op":"cas","key":"n","by":1,"value":2})", R"({"op":"move","key":"n"})",
        R"({"op":"set","value":1})", R"({"op":"add","key":"n","by":"x"})"}) {
    CAPTURE(bad);
    CHECK(patch(bad).status == 422);
  }
  CHECK(n.send("GET", "/v1/sessions/a/state").body
        == R"({"revision":3,"state":{"c":"z","l":[1,1],"n":-3,"u":[1,2,3]}})");
}

// Inheritance
// ------------------------------------------------------------------------------------------------

TEST_CASE("inherited state is that of the nearest scope which is named for each key") {
  node n;
  n.send("PUT", "/v1/global");
  n.send("PATCH", "/v1/global/state", R"({"g":1,"k":"global"})");
  n.send("PUT", "/v1/users/ann");
  n.send("PATCH", "/v1/users/ann/state", R"({"u":1,"k":"user"})");
  n.send("PUT", "/v1/teams/t");
  n.send("PATCH", "/v1/teams/t/state", R"({"t":1,"k":"team"})");
  n.send("PUT", "/v1/workflows/w", R"({"team":"t"})");
  n.send("PUT", "/v1/sessions/a", R"({"user":"ann","workflow":"w"})");
  n.send("PATCH", "/v1/sessions/a/state", R"({"s":1})");
  CHECK(n.send("GET", "/v1/sessions/a/state?inherit=true").body
        == R"({"revision":2,"state":{"g":1,"k":"team","s":1,"t":1,"u":1},)"
           R"("sources":{"g":"global","k":"team","s":"session","t":"team","u":"user"}})");
  CHECK(n.send("GET", "/v1/sessions/a/state?inherit=true&keys=u&keys=s,zz").body
        == R"({"revision":2,"state":{"s":1,"u":1},"sources":{"s":"session","u":"user"}})");
  CHECK(n.send("GET", "/v1/sessions/a/state?keys=u&keys=s,zz").body
        == R"({"revision":2,"state":{"s":1}})");
  CHECK(n.send("GET", "/v1/sessions/a/state?inherit=yes").status == 422);
}

// Headers
// ------------------------------------------------------------------------------------------------

TEST_CASE("a repeat with the same key gets the first answer and another body is 422") {
  node n;
  n.send("PUT", "/v1/sessions/a");
  const std::string body = R"({"items":[{"role":"user"}]})";
  const auto first = n.send("POST", "/v1/sessions/a/items", body, {once("k")});
  CHECK(first.status == 201);
  n.send("POST", "/v1/sessions/a/items", body);
  const auto again = n.send("POST", "/v1/sessions/a/items", body, {once("k")});
  CHECK(again.status == 201);
  CHECK(again.body == first.body);
  CHECK(header_of(again, "ETag") == header_of(first, "ETag"));
  const auto other = n.send("POST", "/v1/sessions/a/items", R"({"items":[{}]})", {once("k")});
  CHECK(other.status == 422);
  CHECK(has_code(other, "idempotency_mismatch"));
  n.stop();
  n.start();
  CHECK(n.send("POST", "/v1/sessions/a/items", body, {once("k")}).body == first.body);
  CHECK(n.send("GET", "/v1/sessions/a").body.find(R"("items":2)") != std::string::npos);
  CHECK(n.send("POST", "/v1/sessions/a/items", body, {once("k"), once("l")}).status == 400);
  CHECK(n.send("POST", "/v1/sessions/a/items", body, {once(std::string(257, 'k'))}).status == 400);
}

TEST_CASE("what the node makes an id for is made once for one idempotency key") {
  node n;
  const auto first = n.send("POST", "/v1/sessions", R"({"user":"ann"})", {once("k")});
  const auto again = n.send("POST", "/v1/sessions", R"({"user":"ann"})", {once("k")});
  CHECK(first.status == 201);
  CHECK(again.status == 201);
  CHECK(again.body == first.body);
  CHECK(n.send("POST", "/v1/sessions", R"({"user":"ann"})", {once("l")}).body != first.body);
  const auto pinned = n.send("POST", "/v1/global/checkpoints", "", {once("k")});
  CHECK(pinned.status == 404);
  n.send("PUT", "/v1/global");
  const auto one = n.send("POST", "/v1/global/checkpoints", "", {once("m")});
  CHECK(one.status == 201);
  CHECK(n.send("POST", "/v1/global/checkpoints", "", {once("m")}).body == one.body);
}

TEST_CASE("an answer tells how durable it is and latest reads see what is only in memory") {
  node n;
  n.send("PUT", "/v1/sessions/a");
  const auto in_memory = n.send("PATCH", "/v1/sessions/a/state", R"({"k":1})", {prefer("memory")});
  CHECK(in_memory.status == 200);
  CHECK(header_of(in_memory, "Preference-Applied") == "durability=memory");
  CHECK(header_of(in_memory, "Troupe-Durable") == "false");
  CHECK(n.send("GET", "/v1/sessions/a/state").body == R"({"revision":1,"state":{}})");
  CHECK(n.send("GET", "/v1/sessions/a/state?consistency=latest").body
        == R"({"revision":2,"state":{"k":1}})");
  const auto durable = n.send("PATCH", "/v1/sessions/a/state", R"({"l":1})", {prefer("durable")});
  CHECK(header_of(durable, "Troupe-Durable") == "true");
  CHECK(n.send("GET", "/v1/sessions/a/state").body == R"({"revision":3,"state":{"k":1,"l":1}})");
  const auto plain = n.send("PATCH", "/v1/sessions/a/state", R"({"m":1})");
  CHECK(header_of(plain, "Preference-Applied") == "none");
  CHECK(header_of(plain, "Troupe-Durable") == "true");
  CHECK(n.send("PATCH", "/v1/sessions/a/state", "{}", {prefer("eventual")}).status == 400);
  CHECK(n.send("GET", "/v1/sessions/a/state?consistency=strong").status == 422);
}

// MessagePack
// ------------------------------------------------------------------------------------------------

TEST_CASE("state and items come and go as msgpack with bytes that JSON has not") {
  node n;
  n.send("PUT", "/v1/sessions/a");
  const auto item = value::map({{"role", "user"}, {"raw", value::binary({"\0\xff", 2})}});
  const auto items = value::map({{"items", value::array({item})}});
  CHECK(n.send("POST", "/v1/sessions/a/items", std::string{items.bytes()}, {msgpack}).status
        == 201);
  const auto got = n.send("GET", "/v1/sessions/a/items", "", {as_msgpack});
  CHECK(got.content_type == "application/msgpack");
  const auto page = value_from_msgpack(got.body);
  REQUIRE(page);
  auto first = page->view().find("items")->children();
  REQUIRE(first.next());
  CHECK(first.item().find("raw")->as_binary() == std::string_view{"\0\xff", 2});
  const auto patch = value::map({{"k", value::binary("x")}});
  CHECK(n.send("PATCH", "/v1/sessions/a/state", std::string{patch.bytes()}, {msgpack}).status
        == 200);
  const auto state =
      value_from_msgpack(n.send("GET", "/v1/sessions/a/state", "", {as_msgpack}).body);
  REQUIRE(state);
  CHECK(*state->view().find("state") == patch.view());
  CHECK(n.send("GET", "/v1/sessions/a/state").body == R"({"revision":3,"state":{"k":"eA=="}})");
}
