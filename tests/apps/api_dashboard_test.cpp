#include "api/dashboard.hpp"
#include "support/api_node.hpp"
#include <doctest/doctest.h>

#include <cstddef>
#include <set>
#include <string>
#include <string_view>

/// The dashboard as a node serves it; what it does in a browser is tested in tests/browser.

using namespace troupe;
using node = testing::api_node;

namespace {

constexpr std::size_t most_bytes = 150'000;  // of all files, as they are sent

std::string header(const http::response& from, std::string_view name) {
  const auto* found = from.find_header(name);
  return found ? *found : "";
}

/// What a file names in `from "./x.js"` and `="/dashboard/x.css"`.
std::set<std::string> named_in(std::string_view text) {
  std::set<std::string> out;
  for (const std::string_view mark : {"\"./", "\"/dashboard/"}) {
    for (auto at = text.find(mark); at != std::string_view::npos; at = text.find(mark, at + 1)) {
      const auto begin = at + mark.size();
      out.emplace(text.substr(begin, text.find('"', begin) - begin));
    }
  }
  return out;
}

}  // namespace

TEST_CASE("the dashboard is a page that runs only what the node serves") {
  node n;
  const auto page = n.send("GET", "/");
  CHECK(page.status == 200);
  CHECK(page.content_type == "text/html; charset=utf-8");
  CHECK(page.body.starts_with("<!doctype html>"));
  CHECK(header(page, "Content-Security-Policy")
        == "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
           "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
           "require-trusted-types-for 'script'; trusted-types 'none'");
  CHECK(header(page, "X-Content-Type-Options") == "nosniff");
  CHECK(header(page, "X-Frame-Options") == "DENY");
  CHECK(header(page, "Referrer-Policy") == "no-referrer");
  CHECK(header(page, "Cross-Origin-Opener-Policy") == "same-origin");
  CHECK(header(page, "Cross-Origin-Resource-Policy") == "same-origin");
  CHECK(header(page, "Cache-Control") == "no-cache");
}

TEST_CASE("every file of the dashboard comes with its type and is not sent twice") {
  node n;
  std::set<std::string> tags;
  for (const auto& file : api::dashboard_assets) {
    CAPTURE(file.name);
    const auto path = "/dashboard/" + std::string{file.name};
    const auto sent = n.send("GET", path);
    CHECK(sent.status == 200);
    CHECK(sent.content_type == file.type);
    CHECK(sent.body == file.bytes);
    CHECK(header(sent, "X-Content-Type-Options") == "nosniff");
    const auto tag = header(sent, "ETag");
    CHECK(tag.size() == 18);
    CHECK(tags.insert(tag).second);
    for (const auto& known : {tag, "W/" + tag, "\"x\", " + tag, std::string{"*"}}) {
      const auto same = n.send("GET", path, "", {{"If-None-Match", known}});
      CHECK(same.status == 304);
      CHECK(same.body.empty());
      CHECK(header(same, "ETag") == tag);
    }
    CHECK(n.send("GET", path, "", {{"If-None-Match", "\"x\""}}).status == 200);
  }
}

TEST_CASE("the dashboard is whole and small and asks nobody else") {
  std::size_t bytes = 0;
  std::set<std::string> there, named{"index.html"};
  for (const auto& file : api::dashboard_assets) {
    bytes += file.bytes.size();
    there.emplace(file.name);
    named.merge(named_in(file.bytes));
    CAPTURE(file.name);
    for (const std::string_view elsewhere : {"https://", "http://", "\"//"}) {
      for (auto at = file.bytes.find(elsewhere); at != std::string_view::npos;
           at = file.bytes.find(elsewhere, at + 1))
        CHECK(file.bytes.substr(at).starts_with("http://www.w3.org/2000/svg"));  // a name
    }
  }
  CHECK(there == named);
  CHECK(bytes < most_bytes);
}

TEST_CASE("the dashboard has no other file than its own") {
  node n;
  for (const auto* path : {"/dashboard/x.js", "/dashboard/", "/dashboard/..%2Findex.html",
                           "/dashboard/%2E%2E", "/dashboard/index.html%00", "/dashboard/a/b"})
    CHECK_MESSAGE(n.send("GET", path).status == 404, path);
  CHECK(n.send("POST", "/").status == 405);
  CHECK(n.send("GET", "/?x=1").status == 422);
}
