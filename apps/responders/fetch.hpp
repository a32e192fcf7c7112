#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// HTTP requests to other machines, many at a time, without a thread for each. libcurl stands in
/// fetch.cpp alone.
namespace troupe::responders {

struct fetch_request {
  std::string url{};                            ///< http or https
  std::vector<std::string> headers{};           ///< "Name: value"
  std::string body{};                           ///< of a POST
  std::chrono::milliseconds timeout{};          ///< for all of it; then: `timed_out`
  std::chrono::milliseconds connect_timeout{};  ///< then: `not_connected`
  std::string ca_file{};  ///< certificates that are trusted; empty: the system's
};

/// Where the answer stands: known from its first byte on.
struct fetch_head {
  int status = 0;
  std::string content_type{};
  std::optional<std::chrono::seconds> retry_after{};
};

struct fetch_end {
  enum class what {
    complete,
    not_connected,  ///< not a byte of the request has left
    timed_out,
    broken,  ///< anything else: reset, cut off, not HTTP
  } is = what::complete;
  fetch_head head{};
  std::string why{};  ///< in words, unless complete
};

/// Owner: one object; its destructor breaks off what is under way, without a word to the listeners.
/// Listeners are called on the fetcher's own thread and must not block.
class fetcher {
public:
  using on_bytes = std::function<void(const fetch_head& head, std::string_view bytes)>;
  using on_end = std::function<void(fetch_end how)>;

  fetcher();
  ~fetcher();
  fetcher(const fetcher&) = delete;
  fetcher& operator=(const fetcher&) = delete;

  /// Any thread. At most `max_connections` are open, the others wait for their turn within their
  /// timeout.
  void start(fetch_request what, on_bytes bytes, on_end end);

  static constexpr long max_connections = 256;

private:
  class impl;
  std::unique_ptr<impl> impl_;
};

}  // namespace troupe::responders
