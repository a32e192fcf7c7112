#pragma once

/// HTTP against a server as bytes on a socket: the peer, what it sends, and handlers to answer it.

#include "http/server.hpp"
#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstring>
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
  explicit raw_peer(std::uint16_t port, int receive_buffer = 0) {
    socket_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const timeval limit{.tv_sec = 5, .tv_usec = 0};
    ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    ::setsockopt(socket_, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    if (receive_buffer > 0)
      ::setsockopt(socket_, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    sockaddr generic{};
    static_assert(sizeof generic == sizeof to);
    std::memcpy(&generic, &to, sizeof to);
    if (::connect(socket_, &generic, sizeof generic) != 0)
      throw std::runtime_error{"connect"};
  }
  raw_peer(const raw_peer&) = delete;
  raw_peer& operator=(const raw_peer&) = delete;
  ~raw_peer() { ::close(socket_); }

  raw_peer& send(std::string_view bytes) {
    while (!bytes.empty()) {
      const auto n = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n <= 0)
        break;  // the server has closed: what it said counts
      bytes.remove_prefix(static_cast<std::size_t>(n));
    }
    return *this;
  }

  /// The next answer whole, "" when none comes any more.
  std::string answer(bool with_body = true) {
    std::size_t end = std::string::npos;
    while ((end = in_.find("\r\n\r\n")) == std::string::npos)
      if (!more())
        return std::exchange(in_, {});
    end += 4;
    const auto length = in_.substr(0, end).find("Content-Length: ");
    if (with_body && length != std::string::npos)
      end += std::stoul(in_.substr(length + 16));
    while (in_.size() < end)
      if (!more())
        return std::exchange(in_, {});
    auto result = in_.substr(0, end);
    in_.erase(0, end);
    return result;
  }

  /// What comes up to and with `mark`; what there is when it does not come.
  std::string until(std::string_view mark) {
    std::size_t at = 0;
    while ((at = in_.find(mark)) == std::string::npos)
      if (!more())
        return std::exchange(in_, {});
    auto result = in_.substr(0, at + mark.size());
    in_.erase(0, result.size());
    return result;
  }

  /// Whether the server ends the stream without another byte.
  bool closed() { return in_.empty() && !more() && in_.empty() && ended_; }

private:
  bool more() {
    std::array<char, 4096> part{};
    const auto n = ::recv(socket_, part.data(), part.size(), 0);
    ended_ = n == 0;
    if (n > 0)
      in_.append(part.data(), static_cast<std::size_t>(n));
    return n > 0;
  }

  int socket_ = -1;
  bool ended_ = false;
  std::string in_;
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
