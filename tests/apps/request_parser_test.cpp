#include "http/wire.hpp"
#include <doctest/doctest.h>

#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

using namespace troupe;
using namespace troupe::http;

namespace {

const body_limit no_exception{};

/// All that a parser says of a stream: each request, then what became of the rest.
std::string told(const request& r, bool http10) {
  auto text = r.method + " " + r.target + (http10 ? " 1.0" : " 1.1");
  for (const auto& h : r.headers)
    text += " [" + h.name + "=" + h.value + "]";
  return text + " {" + r.body + "}\n";
}

/// Feeds `pieces` as a connection does: what a complete request left over is offered again.
std::string outcome(const std::vector<std::string_view>& pieces, const limits& bounds = {}) {
  request_parser parser{bounds, no_exception};
  std::string all;
  for (auto piece : pieces) {
    for (;;) {
      // In memory of its own, so that a sanitizer sees any byte read behind it.
      const auto bytes = std::make_unique<char[]>(piece.size());
      piece.copy(bytes.get(), piece.size());
      const auto used = parser.feed({bytes.get(), piece.size()});
      REQUIRE(used <= piece.size());
      piece.remove_prefix(used);
      if (parser.failed())
        return all + std::to_string(parser.error().status) + " " + std::string{parser.error().code}
               + " " + parser.error().detail;
      if (!parser.done()) {
        REQUIRE(piece.empty());
        break;
      }
      const auto stays = parser.keep_alive(), http10 = parser.http10();  // of this request
      const auto r = parser.take();
      REQUIRE(r.body.size() <= bounds.body);
      REQUIRE(r.headers.size() <= bounds.headers);
      all += told(r, http10) + (stays ? "stays\n" : "closes\n");
    }
  }
  return all + (parser.head_done() ? "in a body" : "in a head");
}

std::string bytewise(std::string_view bytes, const limits& bounds = {}) {
  std::vector<std::string_view> pieces;
  for (std::size_t i = 0; i < bytes.size(); ++i)
    pieces.push_back(bytes.substr(i, 1));
  return outcome(pieces, bounds);
}

std::string chunked(std::string_view body) {
  return "POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + std::string{body};
}

std::string with(std::string_view headers) {
  return "GET / HTTP/1.1\r\nHost: x\r\n" + std::string{headers} + "\r\n";
}

const std::vector<std::string> good{
    "\r\nGET /a?b=c HTTP/1.1\r\nHost: h:1\r\nX-A:\t v w \r\nX-B:\r\n\r\n",
    "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n",
    "PUT /p HTTP/1.1\r\nHost: x\r\nContent-Length: 12\r\nExpect: "
    "100-continue\r\n\r\nab\r\n\r\n0\r\n\r\nc",
    chunked("3;x=\"y\"\r\nabc\r\n0A \t;e\r\n0123456789\r\n2\r\n\r\n\r\n000;z\r\nT: t\r\nHost: "
            "e\r\n\r\n"),
    chunked("0\r\n\r\n"),
    "DELETE http://x/d HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
};

const std::vector<std::string> bad{
    "GE(T / HTTP/1.1\r\nHost: x\r\n\r\n",
    "GET / HTTP/2.0\r\nHost: x\r\n\r\n",
    "GET / HTTP\r\n\r\n",
    "GET / HTTP/1.1\nHost: x\n\n",
    with("X\r\n"),
    with("X: a\r\n b\r\n"),
    with("X: a\rb\r\n"),
    with("Content-Length: 1, 1\r\n") + "a",
    with("Content-Length: 99999999999999999999999\r\n"),
    with("Content-Length: 2000000\r\n") + "a",
    with("Transfer-Encoding: gzip, chunked\r\n") + "0\r\n\r\n",
    chunked("1\r\nab\r\n0\r\n\r\n"),
    chunked("1\nab\r\n0\r\n\r\n"),
    chunked("1;a=\"\r\na\r\n0\r\n\r\n"),
    chunked("1\r\na\n0\r\n\r\n"),
    chunked("\r\n\r\n"),
    chunked("0\r\nA: 1\nB: 2\r\n\r\n"),
    chunked("0\r\nA : 1\r\n\r\n"),
    with("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n") + "0\r\n\r\n",
    chunked("0\r\nA: 1\r\n b\r\n\r\n"),
};

}  // namespace

TEST_CASE("two requests and a broken one are the same wherever the stream is cut") {
  for (const auto& first : good) {
    for (const auto& rest : {good[3] + good[2], bad[0]}) {
      const auto bytes = first + rest;
      const auto whole = outcome({bytes});
      CAPTURE(whole);
      CHECK(bytewise(bytes) == whole);
      for (std::size_t i = 0; i <= bytes.size(); ++i)
        REQUIRE(outcome({std::string_view{bytes}.substr(0, i), std::string_view{bytes}.substr(i)})
                == whole);
    }
  }
}

TEST_CASE("a refusal is the same wherever the stream is cut") {
  for (const auto& bytes : bad) {
    CAPTURE(bytes);
    const auto whole = outcome({bytes});
    CHECK((whole[0] == '4' || whole[0] == '5'));  // refused, nothing complete before it
    CHECK(bytewise(bytes) == whole);
    for (std::size_t i = 0; i <= bytes.size(); ++i)
      REQUIRE(outcome({std::string_view{bytes}.substr(0, i), std::string_view{bytes}.substr(i)})
              == whole);
  }
}

TEST_CASE("limits are met at the same byte wherever the stream is cut") {
  const limits bounds{.header_line = 64,
                      .head = 140,
                      .headers = 4,
                      .body = 20,
                      .chunk_extension = 8,
                      .framing_slack = 16};
  std::vector<std::string> streams{
      with("A: 1\r\nB: 2\r\nC: 3\r\nD: 4\r\n"),
      with("A: " + std::string(70, 'a') + "\r\n"),
      with("A: " + std::string(50, 'a') + "\r\nB: " + std::string(58, 'a') + "\r\n"),
      "GET /" + std::string(70, 'a') + " HTTP/1.1\r\n",
      chunked("15\r\n"),
      chunked("14\r\n01234567890123456789\r\n1\r\n"),
      chunked("1;12345678\r\n"),
      chunked("1;" + std::string(30, 'a')),
      chunked("1\r\na\r\n1\r\nb\r\n1\r\nc\r\n1\r\n"),
      chunked("0\r\nA: 1\r\nB: 2\r\nC: 3\r\n")};
  for (const auto& bytes : streams) {
    CAPTURE(bytes);
    const auto whole = outcome({bytes}, bounds);
    CHECK(whole[0] == '4');
    CHECK(bytewise(bytes, bounds) == whole);
  }
}

TEST_CASE("a chunk extension may be exactly as long as its limit and its size has 16 digits") {
  const limits bounds{.chunk_extension = 8};
  const auto verdict = [&](std::string_view line) {
    return outcome({chunked("1\r\na\r\n" + std::string{line} + "\r\nb\r\n0\r\n\r\n")}, bounds)
        .starts_with("POST");
  };
  CHECK(verdict("1;1234567"));
  CHECK_FALSE(verdict("1;12345678"));
  CHECK(verdict("0000000000000001;1234567"));
  CHECK_FALSE(verdict("00000000000000001"));
  CHECK(verdict("1;a=\"\xC3\xA4\""));
  CHECK_FALSE(verdict("1;a=\"\x01\""));
}

TEST_CASE("a header line may be exactly as long as its default limit") {
  const auto line = "A: " + std::string(limits{}.header_line - 3, 'a');
  CHECK(outcome({with(line + "\r\n")}).starts_with("GET"));
  CHECK(outcome({with(line + "a\r\n")}).starts_with("431"));
}

TEST_CASE("100-continue is expected until the first byte of the body and never in HTTP 1.0") {
  const auto expects = [](std::string_view bytes) {
    const limits bounds;
    request_parser parser{bounds, no_exception};
    parser.feed(bytes);
    REQUIRE(parser.head_done());
    return parser.expects_continue();
  };
  const std::string length = "Host: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n";
  const auto chunks = with("Expect: 100-Continue\r\nTransfer-Encoding: chunked\r\n");
  CHECK(expects("PUT / HTTP/1.1\r\n" + length));
  CHECK_FALSE(expects("PUT / HTTP/1.1\r\n" + length + "a"));
  CHECK_FALSE(expects("PUT / HTTP/1.0\r\n" + length));
  CHECK(expects(chunks));
  CHECK_FALSE(expects(chunks + "2"));
}

TEST_CASE("trailers are not headers and do not decide about the connection") {
  const auto plain = outcome({chunked("0\r\n\r\n")});
  for (const auto* trailer : {"Connection: close", "Host: evil", "Content-Length: 5",
                              "Transfer-Encoding: chunked", "Expect: x"})
    CHECK_MESSAGE(outcome({chunked("0\r\n" + std::string{trailer} + "\r\n\r\n")}) == plain,
                  trailer);
}

TEST_CASE("empty elements of a Connection list are nothing") {
  CHECK(outcome({with("Connection:\r\n")}).find("\nstays") != std::string::npos);
  CHECK(outcome({with("Connection: , keep-alive,\r\n")}).find("\nstays") != std::string::npos);
  CHECK(outcome({with("Connection: ,close,\r\n")}).find("\ncloses") != std::string::npos);
}

TEST_CASE("no bytes crash the parser or give a body beyond its limit") {
  const limits bounds{.header_line = 64,
                      .head = 200,
                      .headers = 5,
                      .body = 24,
                      .chunk_extension = 8,
                      .framing_slack = 24};
  const std::vector<std::string_view> words{"\r\n",
                                            "\n",
                                            "\r",
                                            "\r\n\r\n",
                                            ":",
                                            ": ",
                                            ";",
                                            "\"",
                                            "\\",
                                            ",",
                                            " ",
                                            "\t",
                                            "0",
                                            "1",
                                            "10",
                                            "ffffffffffffffff",
                                            "Content-Length: ",
                                            "Content-Length: 25\r\n",
                                            "Content-Length: 3\r\n",
                                            "Transfer-Encoding: chunked\r\n",
                                            "Transfer-Encoding: x\r\n",
                                            "Connection: close\r\n",
                                            "Expect: 100-continue\r\n",
                                            "GET / HTTP/1.1\r\n",
                                            "HTTP/1.0",
                                            "http://",
                                            "0\r\n\r\n",
                                            "1\r\na\r\n",
                                            "5;a=\"b\"\r\n"};
  std::mt19937 random{20261120};  // the same inputs on every run
  const auto below = [&](std::size_t n) { return random() % n; };
  std::size_t refused = 0;
  for (int i = 0; i < 20'000; ++i) {
    std::string bytes;
    if (below(8) == 0) {
      bytes.resize(below(300));
      for (char& c : bytes)
        c = static_cast<char>(random());
    } else {
      const auto& seed = below(4) == 0 ? bad[below(bad.size())] : good[below(good.size())];
      bytes = seed + good[below(good.size())];
      for (auto changes = 1 + below(4); changes > 0; --changes) {
        const auto at = below(bytes.size());
        switch (below(4)) {
          case 0: bytes[at] = static_cast<char>(random()); break;
          case 1: bytes.insert(at, words[below(words.size())]); break;
          case 2: bytes.erase(at, 1 + below(6)); break;
          default: bytes.insert(at, bytes.substr(below(bytes.size()), below(40))); break;
        }
      }
    }
    const std::string_view all{bytes};
    const auto cut = below(all.size() + 1);
    const auto whole = outcome({all}, bounds);
    REQUIRE(outcome({all.substr(0, cut), all.substr(cut)}, bounds) == whole);
    refused += whole.find("malformed") != std::string::npos ? 1 : 0;
  }
  CHECK(refused > 5'000);   // the inputs are bad enough
  CHECK(refused < 19'000);  // and good enough
}
