#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <string_view>

namespace troupe::http {

/// What one peer may cost a server, and what happens beyond it. Sizes are bytes; every answer named
/// here is followed by closing the connection.
struct limits {
  std::size_t header_line = 8 * 1024;  ///< then: 414 for the request line, 431 for a header
  std::size_t head = 32 * 1024;        ///< request line, headers and line ends; then: 431
  std::size_t headers = 100;           ///< then: 431
  std::size_t body = 1024 * 1024;      ///< then: 413, from the declared length when there is one
  std::size_t small_body = 8 * 1024;   ///< read unasked; then: `server_options::admit` decides
  std::size_t bodies = 128 * 1024 * 1024;  ///< of larger ones on all connections, from their heads
                                           ///< to their answers; then: 503 with Retry-After
  std::size_t chunk_extension = 256;       ///< then: 400
  std::size_t framing_slack = 16 * 1024;   ///< chunk framing beyond this and 25 % of the body: 400
  std::chrono::milliseconds head_timeout{10'000};  ///< for a whole head; then: 408
  std::chrono::milliseconds body_window{10'000};  ///< each window must bring `body_rate`; then: 408
  std::size_t body_rate = 1024;                   ///< bytes a second
  std::chrono::milliseconds answer_timeout{
      30'000};                                      ///< of the handler; then: 504 `outcome_unknown`
  std::chrono::milliseconds write_timeout{30'000};  ///< for a whole answer, or part of a stream;
                                                    ///< then: close
  std::chrono::milliseconds stream_heartbeat{15'000};  ///< of a stream with nothing to say
  std::size_t stream_buffer =
      64
      * 1024;  ///< of a stream that its peer has not taken, in the kernel; then: asked for no more
  std::chrono::milliseconds idle_timeout{75'000};  ///< between requests; then: close
  std::chrono::milliseconds linger_timeout{
      1'000};                             ///< reading on after a refusal, so that it arrives
  std::size_t connections = 8'192;        ///< then: 503 with Retry-After
  std::size_t unknown_connections = 100;  ///< of one address (of IPv6: one /64) that have not
                                          ///< proved who they are, see `server_options::peer_of`;
                                          ///< then: 429 with Retry-After. 0: any number
  std::size_t peer_connections = 1'024;   ///< of one peer that has; likewise
  std::size_t refusals = 64;  ///< connections being told 503, or of one address 429; then: close
                              ///< without a word
};

/// The longest body a request may have, told from its method and target: an import may be longer
/// than an append.
using body_limit = std::function<std::size_t(std::string_view method, std::string_view target)>;

/// How long the handler may take for a request before the server answers for it: who waits for a
/// language model waits longer than who reads a key.
using answer_limit =
    std::function<std::chrono::milliseconds(std::string_view method, std::string_view target)>;

}  // namespace troupe::http
