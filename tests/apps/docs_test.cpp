#include "support/api_node.hpp"
#include <doctest/doctest.h>

#include <cctype>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>

using namespace troupe;

namespace {

struct example {
  http::request request;
  int status = 0;
  std::string body;
};

/// A block: the request line, headers, body, an empty line, the status, the answer's body.
example parse_example(const std::string& block) {
  std::istringstream in{block};
  example out;
  std::string line;
  std::getline(in, line);
  const auto space = line.find(' ');
  out.request.method = line.substr(0, space);
  out.request.target = line.substr(space + 1);
  while (std::getline(in, line) && !line.empty()) {
    if (std::isalpha(static_cast<unsigned char>(line.front())) == 0) {
      out.request.body = line;
    } else {
      const auto colon = line.find(": ");
      out.request.headers.push_back({line.substr(0, colon), line.substr(colon + 2)});
    }
  }
  std::getline(in, line);
  out.status = std::stoi(line);
  std::getline(in, out.body);
  return out;
}

std::string read_doc(const std::string& name = "http.md") {
  std::ifstream file{TROUPE_TEST_DIR "/../docs/" + name};
  REQUIRE(file);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

/// Sends the examples of a document to one node, in their order; answers how many there are.
int sent_examples(const std::string& doc) {
  testing::api_node n;
  int examples = 0;
  const std::string open = "```http\n", close = "```";
  for (auto at = doc.find(open); at != std::string::npos; at = doc.find(open, at)) {
    at += open.size();
    const auto block = doc.substr(at, doc.find(close, at) - at);
    CAPTURE(block);
    const auto wanted = parse_example(block);
    const auto& r = wanted.request;
    const auto got = n.send(r.method, r.target, r.body, r.headers);
    CHECK(got.status == wanted.status);
    CHECK(got.body == wanted.body);
    ++examples;
  }
  return examples;
}

}  // namespace

TEST_CASE("every example of docs/http.md is what a node answers") {
  CHECK(sent_examples(read_doc()) >= 20);
}

TEST_CASE("every example of docs/agent-api.md is what a node answers") {
  CHECK(sent_examples(read_doc("agent-api.md")) >= 5);
}

TEST_CASE("every curl command of docs/http.md succeeds") {
  const auto doc = read_doc();
  testing::api_node n;
  const std::string open = "```sh\n", named = "node=http://127.0.0.1:7717\n";
  const auto begin = doc.find(open + named);
  REQUIRE(begin != std::string::npos);
  const auto from = begin + open.size() + named.size();
  const auto commands = doc.substr(from, doc.find("```", from) - from);
  CHECK(commands.find("curl -sf ") != std::string::npos);
  const auto script = "set -e\nexec >/dev/null\nnode=http://127.0.0.1:" + std::to_string(n.port())
                      + '\n' + commands;
  CAPTURE(script);
  CHECK(std::system(script.c_str()) == 0);  // NOLINT(cert-env33-c): our own document
  CHECK(n.send("GET", "/v1/sessions/curl/items").body.find("Hello!") != std::string::npos);
}
