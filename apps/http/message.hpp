#pragma once

#include <troupe/state/expected.hpp>

#include <chrono>
#include <concepts>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace troupe::http {

/// One header field, as sent: the name in the sender's case, the value without the space around it.
struct header {
  std::string name;
  std::string value;

  friend bool operator==(const header&, const header&) = default;
};

/// ASCII only, as header names and coding names compare. The first REQUIRES: both are as long.
[[nodiscard]] bool iequals_of_a_size(std::string_view a, std::string_view b) noexcept;
[[nodiscard]] inline bool iequals(std::string_view a, std::string_view b) noexcept {
  return a.size() == b.size() && iequals_of_a_size(a, b);  // most differ in size
}

/// The first value under `name` in any case, or null. Lives as long as `headers` is not changed.
[[nodiscard]] const std::string* find_header(const std::vector<header>& headers,
                                             std::string_view name) noexcept;

/// How often `name` occurs: a field that decides who somebody is must not occur twice.
[[nodiscard]] std::size_t count_header(const std::vector<header>& headers,
                                       std::string_view name) noexcept;

/// One request, complete and valid as HTTP/1.1; what it means is not yet looked at. Owns its bytes.
struct request {
  std::string method;  ///< as sent, case matters: "GET"
  std::string target;  ///< as sent, still encoded: "/v1/sessions/a%2Fb?last=3"
  std::vector<header> headers{};
  std::string body{};
  std::string remote_address{};  ///< of the peer, without its port: "127.0.0.1"

  [[nodiscard]] const std::string* find_header(std::string_view name) const noexcept {
    return http::find_header(headers, name);
  }
};

struct query_parameter {
  std::string name;
  std::string value;

  friend bool operator==(const query_parameter&, const query_parameter&) = default;
};

/// A target taken apart and then decoded, in this order: a '%2F' inside a segment is data, and so
/// are '.', '..' and an empty segment. "/" has no segment; "/a/" has "a" and "".
struct parsed_target {
  std::vector<std::string> segments;
  std::vector<query_parameter> query;  ///< in the order sent, repeats kept

  /// The first value under `name` (case matters), or null.
  [[nodiscard]] const std::string* find_query(std::string_view name) const noexcept;
};

/// Fails with `malformed` on a target that is not an absolute path and on any '%' without two hex
/// digits. In the query '+' is a space, as every form library writes it.
[[nodiscard]] expected<parsed_target> parse_target(std::string_view target);

/// True for "localhost", "::1" and IPv4 addresses of 127.0.0.0/8, as they stand in a Host header or
/// on a command line: in brackets or not, without a port. No name is resolved.
[[nodiscard]] bool is_loopback(std::string_view host);

/// `text` as one path segment or query value: everything but letters, digits and "-._~" becomes
/// %XX.
[[nodiscard]] std::string percent_encode(std::string_view text);

/// One answer. The server adds Content-Length, Connection and Date, and leaves the body out for
/// HEAD, 204 and 304; those three headers and Transfer-Encoding are ignored when they stand in
/// `headers`.
struct response {
  int status = 200;  ///< 200 to 599
  std::vector<header> headers{};
  std::string body{};
  std::string content_type = "application/json";
  /// The server writes it so much later, or at once when it drains. Who asks again as soon as it is
  /// refused, costs the node and the machine less so.
  std::chrono::milliseconds delay{0};

  [[nodiscard]] const std::string* find_header(std::string_view name) const noexcept {
    return http::find_header(headers, name);
  }
};

/// The body of an answer that goes on being written, such as server-sent events. The connection
/// owns it, calls it on its own thread, and asks for more only when the peer has taken what there
/// was; it ends with the connection. Must not block.
class body_stream {
public:
  virtual ~body_stream() = default;
  /// What there is to write. Empty: nothing until somebody wakes the connection. Nothing: the end.
  virtual std::optional<std::string> next() = 0;
  /// Written when nothing was for `limits::stream_heartbeat`.
  virtual std::string heartbeat() = 0;
  /// Whether it comes to an end of its own, so that a server that drains waits for that; else it
  /// is ended then.
  [[nodiscard]] virtual bool ends() const { return false; }
};

/// Where the answer to one request goes. One of `answer` and `stream` is called, once, from any
/// thread.
class response_sink {
public:
  virtual ~response_sink() = default;
  virtual void answer(response answered) = 0;
  /// The head of `answered`, then `body`. Without a server: what there is at once.
  virtual void stream(response answered, std::unique_ptr<body_stream> body);
  /// Has the stream asked for more; may be called before there is one and after, from any thread.
  virtual std::function<void()> waker() {
    return [] {};
  }
};

/// The duty to answer one request: callable once, from any thread, at any time (also after the
/// server is gone: then nothing happens). Whoever drops it unanswered has answered 500. Not to be
/// called by two threads at once.
class responder {
public:
  explicit responder(std::unique_ptr<response_sink> sink) noexcept : sink_{std::move(sink)} {}

  /// A responder without a server, for tests and wrappers: the answer goes to `f(response)`.
  template <std::invocable<response> F>
  [[nodiscard]] static responder to(F f) {
    struct function_sink final : response_sink {
      explicit function_sink(F g) : f_{std::move(g)} {}
      void answer(response answered) override { f_(std::move(answered)); }
      F f_;
    };
    return responder{std::make_unique<function_sink>(std::move(f))};
  }

  responder(responder&&) noexcept = default;
  responder& operator=(responder&& other) noexcept;
  ~responder();

  /// Answers. A second call does nothing.
  void operator()(response answered);

  /// Answers with a body that goes on; the connection closes behind it. `answered.body` is left
  /// out, and for HEAD all of it.
  void stream(response answered, std::unique_ptr<body_stream> body);

  /// What a stream's source calls when it has more. REQUIRES: the answer is still owed.
  [[nodiscard]] std::function<void()> waker() const { return sink_->waker(); }

  /// Whether the answer is still owed.
  explicit operator bool() const noexcept { return sink_ != nullptr; }

private:
  void abandon() noexcept;

  std::unique_ptr<response_sink> sink_;
};

/// What a server does with a request. Called on a thread that serves many connections: it must hand
/// long work on and return. An exception is answered 500, like any dropped responder.
using handler = std::function<void(request, responder)>;

}  // namespace troupe::http
