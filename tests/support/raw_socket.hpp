#pragma once

/// HTTP against a server as bytes on a socket: the peer, what it sends, and handlers to answer it.

#include "http/server.hpp"
#include "support/plain_socket.hpp"
#include <doctest/doctest.h>

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace troupe::testing {

/// A peer that sends exactly what a test says. Every wait ends after five seconds, as if the server
/// had closed.
class raw_peer {
public:
  explicit raw_peer(std::uint16_t port, int receive_buffer = 0)
      : socket_{port, std::chrono::seconds{5}, receive_buffer} {
    if (!socket_.connected())
      throw std::runtime_error{"connect"};
  }

  /// When the server has closed, what it said counts.
  raw_peer& send(std::string_view bytes) {
    static_cast<void>(socket_.send(bytes));
    return *this;
  }

  /// The next answer whole; what there is of it when no more comes.
  std::string answer(bool with_body = true) {
    auto head = socket_.until("\r\n\r\n");
    const auto length = head.find("Content-Length: ");
    if (head.empty() || !with_body || length == std::string::npos)
      return head.empty() ? socket_.rest() : head;
    const auto bytes = std::stoul(head.substr(length + 16));
    const auto body = socket_.exactly(bytes);
    return head + (body.size() == bytes ? body : socket_.rest());
  }

  /// What comes up to and with `mark`; what there is when it does not come.
  std::string until(std::string_view mark) {
    auto out = socket_.until(mark);
    return out.empty() ? socket_.rest() : out;
  }

  /// Whether the server ends the stream without another byte.
  bool closed() { return socket_.closed(); }

private:
  plain_socket socket_;
};

inline int status_of(const std::string& answer) {
  return answer.starts_with("HTTP/1.1 ") ? std::stoi(answer.substr(9, 3)) : 0;
}

inline std::string body_of(const std::string& answer) {
  return answer.substr(answer.find("\r\n\r\n") + 4);
}

inline bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

inline const std::string plain_get = "GET /a HTTP/1.1\r\nHost: x\r\n\r\n";

inline std::string get(std::string_view headers) {
  return "GET /a HTTP/1.1\r\nHost: x\r\n" + std::string{headers} + "\r\n";
}

inline std::string post(std::string_view headers, std::string_view body = {}) {
  return "POST /a HTTP/1.1\r\nHost: x\r\n" + std::string{headers} + "\r\n" + std::string{body};
}

/// Answers "METHOD target body" at once.
inline void echo(http::request asked, http::responder answer) {
  answer(
      {.body = asked.method + " " + asked.target + " " + asked.body, .content_type = "text/plain"});
}

inline std::unique_ptr<http::server> serve(http::handler handle = echo, http::limits bounds = {}) {
  auto started = http::server::start({.bounds = bounds}, std::move(handle));
  REQUIRE(started);
  return std::move(*started);
}

/// Keeps responders until the test lets them go.
class held_responders {
public:
  http::handler keep() {
    return [this](http::request, http::responder r) {
      const std::lock_guard lock{mutex_};
      held_.push_back(std::move(r));
      changed_.notify_all();
    };
  }

  /// Waits for the next request to reach the handler.
  http::responder next() {
    std::unique_lock lock{mutex_};
    if (!changed_.wait_for(lock, std::chrono::seconds{5}, [&] { return !held_.empty(); }))
      throw std::runtime_error{"no request reached the handler"};
    auto r = std::move(held_.front());
    held_.erase(held_.begin());
    return r;
  }

private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<http::responder> held_;
};

inline auto in(std::chrono::milliseconds time) {
  return std::chrono::steady_clock::now() + time;
}

}  // namespace troupe::testing
