#pragma once

/// A chat completions endpoint that does what a test says, byte by byte, on a socket of its own:
/// the protocol and its failures.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstring>
#include <functional>
#include <mutex>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace troupe::testing {

/// One peer of the endpoint: what it asked, and the way to answer it.
class endpoint_peer {
public:
  endpoint_peer(int socket, const std::atomic<bool>& ending) : socket_{socket}, ending_{ending} {}

  std::string head{}, body{};

  endpoint_peer& send(std::string_view bytes) {
    while (!bytes.empty()) {
      const auto n = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n <= 0)
        break;
      bytes.remove_prefix(static_cast<std::size_t>(n));
    }
    return *this;
  }
  /// The head of an answer that ends with the connection.
  endpoint_peer& begin(std::string_view status, std::string_view type,
                       std::string_view headers = {}) {
    return send("HTTP/1.1 " + std::string{status} + "\r\nContent-Type: " + std::string{type}
                + "\r\nConnection: close\r\n" + std::string{headers} + "\r\n");
  }
  endpoint_peer& begin_stream() { return begin("200 OK", "text/event-stream"); }
  endpoint_peer& data(std::string_view json) { return send("data: " + std::string{json} + "\n\n"); }
  endpoint_peer& says(std::string_view text) {
    return data(R"({"choices":[{"index":0,"delta":{"content":")" + std::string{text} + R"("}}]})");
  }
  /// The end of a whole answer.
  endpoint_peer& ends(std::uint64_t prompt, std::uint64_t completion) {
    data(R"({"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]})");
    data(R"({"choices":[],"usage":{"prompt_tokens":)" + std::to_string(prompt)
         + R"(,"completion_tokens":)" + std::to_string(completion) + "}}");
    return data("[DONE]");
  }
  /// The connection is reset instead of closed.
  void reset() {
    const linger at_once{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(socket_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  }
  /// Says nothing until the peer goes, the time is over or the endpoint ends.
  void hang(std::chrono::milliseconds most) {
    const auto until = std::chrono::steady_clock::now() + most;
    char byte = 0;
    while (!ending_ && std::chrono::steady_clock::now() < until) {
      const timeval step{.tv_sec = 0, .tv_usec = 5'000};
      ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &step, sizeof step);
      if (::recv(socket_, &byte, 1, 0) == 0)
        return;
    }
  }

private:
  int socket_;
  const std::atomic<bool>& ending_;
};

/// Calls `script(peer, n)` for its n-th request (from 0), each on a thread of its own.
class scripted_endpoint {
public:
  using script = std::function<void(endpoint_peer&, std::size_t)>;

  explicit scripted_endpoint(script what) : script_{std::move(what)} {
    socket_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    sockaddr generic{};
    std::memcpy(&generic, &at, sizeof at);
    socklen_t size = sizeof generic;
    if (::bind(socket_, &generic, sizeof generic) != 0 || ::listen(socket_, 128) != 0
        || ::getsockname(socket_, &generic, &size) != 0)
      throw std::runtime_error{"no port for an endpoint"};
    std::memcpy(&at, &generic, sizeof at);
    port_ = ntohs(at.sin_port);
    thread_ = std::thread{[this] { accept_all(); }};
  }
  ~scripted_endpoint() {
    ending_ = true;
    ::shutdown(socket_, SHUT_RDWR);
    thread_.join();
    for (auto& one : peers_)
      one.join();
    ::close(socket_);
  }
  scripted_endpoint(const scripted_endpoint&) = delete;
  scripted_endpoint& operator=(const scripted_endpoint&) = delete;

  [[nodiscard]] std::string url() const {
    return "http://127.0.0.1:" + std::to_string(port_) + "/v1";
  }
  [[nodiscard]] std::size_t asked() const { return asked_; }
  /// Head and body of each request, in the order of their arrival.
  [[nodiscard]] std::vector<std::pair<std::string, std::string>> requests() const {
    const std::lock_guard lock{mutex_};
    return requests_;
  }

private:
  void accept_all() {
    while (true) {
      const int peer = ::accept4(socket_, nullptr, nullptr, SOCK_CLOEXEC);
      if (peer < 0)
        return;
      peers_.emplace_back([this, peer] {
        serve(peer);
        ::close(peer);
      });
    }
  }

  void serve(int socket) {
    std::string in;
    std::size_t end = std::string::npos, whole = 0;
    char part[4096];
    while (end == std::string::npos || in.size() < whole) {
      const auto n = ::recv(socket, part, sizeof part, 0);
      if (n <= 0)
        return;
      in.append(part, static_cast<std::size_t>(n));
      end = in.find("\r\n\r\n");
      if (end != std::string::npos)
        whole = end + 4 + std::stoul(in.substr(in.find("Content-Length: ") + 16));
    }
    endpoint_peer peer{socket, ending_};
    peer.head = in.substr(0, end);
    peer.body = in.substr(end + 4);
    std::size_t number = 0;
    {
      const std::lock_guard lock{mutex_};
      number = requests_.size();
      requests_.emplace_back(peer.head, peer.body);
      asked_ = requests_.size();
    }
    script_(peer, number);
  }

  script script_;
  int socket_ = -1;
  std::uint16_t port_ = 0;
  std::atomic<bool> ending_ = false;
  std::atomic<std::size_t> asked_ = 0;
  mutable std::mutex mutex_;
  std::vector<std::pair<std::string, std::string>> requests_;
  std::vector<std::thread> peers_;  // the accepting thread's, then the destructor's
  std::thread thread_;
};

}  // namespace troupe::testing
