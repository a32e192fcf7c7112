#include "support/api_node.hpp"
#include <doctest/doctest.h>

#include <string>

/// What names a request in its answer.

using namespace troupe;
using node = testing::api_node;

namespace {

const std::string made = "00000000000000010000000000000002";

std::string id_in(const http::response& got) {
  const auto* header = got.find_header("X-Request-Id");
  return header == nullptr ? "" : *header;
}

}  // namespace

TEST_CASE("an answer has the id that its request came with") {
  node n;
  for (const auto* target : {"/healthz", "/v1/sessions/nobody", "/nowhere", "/v1/stats?zz=1"})
    CHECK(id_in(n.send("GET", target, "", {{"X-Request-Id", "a.B_9-"}})) == "a.B_9-");
  CHECK(id_in(n.send("HEAD", "/v1/events", "", {{"X-Request-Id", "s"}})) == "s");
}

TEST_CASE("a request without an id or with one that is none is given one") {
  node n;
  CHECK(id_in(n.send("GET", "/healthz")) == made);
  for (const auto& bad : {std::string{"a b"}, std::string{"\"}"}, std::string(129, 'a')})
    CHECK(id_in(n.send("GET", "/healthz", "", {{"X-Request-Id", bad}})) == made);
  CHECK(id_in(n.send("GET", "/healthz", "", {{"X-Request-Id", std::string(128, 'a')}})).size()
        == 128);
}

TEST_CASE("a problem tells the id of its request") {
  node n;
  const auto got = n.send_as_is("GET", "/v1/sessions/nobody", "", {{"X-Request-Id", "r-1"}});
  CHECK(got.body
        == R"({"type":"about:blank","title":"Not Found","status":404,"detail":"no such session",)"
           R"("code":"not_found","request_id":"r-1"})");
}
