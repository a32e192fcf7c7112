/// A stream of HTTP requests: it means the same wherever it is cut, what is accepted stands there,
/// and a peer costs no more memory than the limits say.

#include "fuzz/require.hpp"
#include "http/wire.hpp"
#include "support/allocations.hpp"
#include "support/naive_http.hpp"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <random>

using namespace troupe;
using namespace troupe::http;
using namespace troupe::fuzz;

namespace {

/// Limits that inputs of a few bytes reach. The default ones are out of a fuzzer's reach.
constexpr http::limits tight{.header_line = 64,
                             .head = 200,
                             .headers = 5,
                             .body = 24,
                             .chunk_extension = 8,
                             .framing_slack = 24};

/// What one request may take from the heap in sum once `fed` bytes of it came: head, body and the
/// line being collected grow by doubling, never beyond their limits and never because a peer
/// announced more; the list of headers and the texts of a refusal are a part that does not grow.
std::size_t memory_for(const http::limits& bounds, std::size_t fed) {
  const auto most = bounds.head + bounds.body + bounds.header_line + bounds.chunk_extension;
  return 8 * std::min(fed, most) + 4 * sizeof(header) * std::max<std::size_t>(bounds.headers, 16)
         + 4096;
}

/// Feeds a piece in memory of its own, so that a sanitizer sees any read behind it. Adds to `spent`
/// what the parser took from the heap.
std::size_t feed(request_parser& parser, std::string_view piece, std::size_t& spent) {
  const auto bytes = std::make_unique<char[]>(piece.size());
  piece.copy(bytes.get(), piece.size());
  const testing::allocation_watch watch;
  const auto used = parser.feed({bytes.get(), piece.size()});
  spent += watch.total();
  require(used <= piece.size(), "no more is taken than was given");
  require(used == piece.size() || parser.done() || parser.failed(),
          "all is taken until a request ends");
  return used;
}

/// A refusal in words.
std::string refused(request_parser& parser) {
  const auto& why = parser.error();
  require(!parser.done() && why.status >= 400 && why.status < 600, "a refusal has a status");
  require(!why.code.empty() && !why.detail.empty(), "a refusal says why");
  require(parser.feed("GET / HTTP/1.1\r\n") == 0, "nothing behind a refusal is taken");
  return std::to_string(why.status) + " " + std::string{why.code} + " " + why.detail;
}

/// `bytes` is what was taken as the request.
void require_within(const request& r, std::string_view bytes, const http::limits& bounds) {
  const auto head = bytes.substr(0, bytes.find("\r\n\r\n") + 4);
  for (std::size_t begin = 0, end = 0; begin < head.size(); begin = end + 2) {
    end = head.find("\r\n", begin);
    require(end - begin <= bounds.header_line, "a line of the head is within its limit");
  }
  require(head.size() <= bounds.head, "the head is within its limit");
  require(r.headers.size() <= bounds.headers, "the headers are as many as they may be");
  require(r.body.size() <= bounds.body, "the body is within its limit");
  // Trailers count as head, and chunk framing is at most a quarter of the body and its slack.
  require(bytes.size() <= bounds.head + bounds.framing_slack + r.body.size() + r.body.size() / 4,
          "a request is not much longer than what it says");
}

/// What was taken as this request says this request, and nothing else.
void require_honest(const request& r, bool http10, std::string_view bytes) {
  const auto naive = testing::naive_http_reader{bytes}.read();
  require(naive.has_value(), "what is accepted is one request to every reader");
  require(naive->method == r.method && naive->target == r.target, "the request line is kept");
  require(naive->headers == r.headers, "the headers are kept");
  require(naive->body == r.body, "the body is kept");
  require(http10 || count_header(r.headers, "host") == 1, "a request has one Host");
  if (const auto target = parse_target(r.target); !target)
    require(target.error().code == errc::malformed, "a target that cannot be read is malformed");
}

/// A complete request in words. `bytes` is what was taken as it.
std::string accepted(request_parser& parser, std::string_view bytes, const http::limits& bounds) {
  require(parser.feed("x") == 0, "nothing behind a request is taken with it");
  const auto http10 = parser.http10();
  std::string out = http10 ? "1.0" : "1.1";
  out += parser.is_head() ? " head" : "";
  out += parser.keep_alive() ? " stays " : " closes ";
  const auto r = parser.take();
  require_within(r, bytes, bounds);
  require_honest(r, http10, bytes);
  out += r.method + " " + r.target;
  for (const auto& h : r.headers)
    out += " [" + h.name + "=" + h.value + "]";
  return out + " {" + r.body + "}\n";
}

/// All that a parser says of a stream: each request, then what became of the rest. A piece ends
/// before each position of which `cut` is true.
template <class Cut>
std::string outcome(std::string_view stream, const http::limits& bounds, Cut cut) {
  const body_limit no_exception;
  request_parser parser{bounds, no_exception};
  std::string all;
  std::size_t begin = 0, spent = 0;  // of the request
  for (std::size_t at = 0, end = 0; at < stream.size();) {
    if (at == end) {
      do
        ++end;
      while (end < stream.size() && !cut(end));
    }
    at += feed(parser, stream.substr(at, end - at), spent);
    require(spent <= memory_for(bounds, at - begin), "memory grows with what came, to the limits");
    if (parser.failed())
      return all + refused(parser);
    if (parser.done()) {
      all += accepted(parser, stream.substr(begin, at - begin), bounds);
      begin = at;
      spent = 0;
    }
  }
  return all + (parser.head_done() ? "in a body" : "in a head");
}

/// Cuts that look random and are the same whenever the input is.
std::minstd_rand random_for(std::string_view stream) {
  std::uint32_t hash = 2166136261u;  // FNV-1a
  for (const char c : stream)
    hash = (hash ^ static_cast<std::uint8_t>(c)) * 16777619u;
  return std::minstd_rand{hash};
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view stream{reinterpret_cast<const char*>(data), size};
  auto random = random_for(stream);
  for (const auto& bounds : {http::limits{}, tight}) {
    const auto whole = outcome(stream, bounds, [](std::size_t) { return false; });
    for (const unsigned one_in : {1u, 8u})  // 1: every byte alone
      require(outcome(stream, bounds, [&](std::size_t) { return random() % one_in == 0; }) == whole,
              "a stream means the same wherever it is cut");
  }
  return 0;
}
