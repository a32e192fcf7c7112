#pragma once

/// Bytes to a server and back.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>

namespace troupe::testing {

/// Bytes to and from a port of this machine. Waits end after `limit`, as if the peer had closed.
/// `from` is its own address, of the last byte of 127.0.0.0/24.
class plain_socket {
public:
  explicit plain_socket(std::uint16_t port,
                        std::chrono::milliseconds limit = std::chrono::seconds{20},
                        int receive_buffer = 0, std::uint8_t from = 1) {
    socket_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const timeval time{.tv_sec = limit.count() / 1000, .tv_usec = limit.count() % 1000 * 1000};
    ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time);
    ::setsockopt(socket_, SOL_SOCKET, SO_SNDTIMEO, &time, sizeof time);
    if (receive_buffer > 0)
      ::setsockopt(socket_, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    const auto own = loopback(from, 0), to = loopback(1, port);
    connected_ = (from == 1 || ::bind(socket_, &own, sizeof own) == 0)
                 && ::connect(socket_, &to, sizeof to) == 0;
  }
  plain_socket(plain_socket&& other) noexcept
      : socket_{std::exchange(other.socket_, -1)},
        connected_{other.connected_},
        in_{std::move(other.in_)} {}
  plain_socket& operator=(plain_socket&&) = delete;
  ~plain_socket() {
    if (socket_ >= 0)
      ::close(socket_);
  }

  [[nodiscard]] bool connected() const { return connected_; }
  [[nodiscard]] int descriptor() const { return socket_; }

  /// False when the peer takes no more.
  bool send(std::string_view bytes) const {
    while (!bytes.empty()) {
      const auto n = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n <= 0)
        return false;
      bytes.remove_prefix(static_cast<std::size_t>(n));
    }
    return true;
  }

  /// What comes up to and with `mark`; "" when it does not come, and `rest` has what came.
  std::string until(std::string_view mark) {
    while (in_.find(mark) == std::string::npos)
      if (!more())
        return {};
    return take(in_.find(mark) + mark.size());
  }
  /// The next so many bytes; "" when fewer come.
  std::string exactly(std::size_t bytes) {
    while (in_.size() < bytes)
      if (!more())
        return {};
    return take(bytes);
  }
  /// All that comes until the peer closes.
  std::string rest() {
    while (more()) {
    }
    return std::exchange(in_, {});
  }
  /// Whether the peer ends the stream without another byte.
  bool closed() { return in_.empty() && !more() && in_.empty() && ended_; }

private:
  static sockaddr loopback(std::uint8_t last, std::uint16_t port) {
    sockaddr_in of{};
    of.sin_family = AF_INET;
    of.sin_port = htons(port);
    of.sin_addr.s_addr = htonl(INADDR_LOOPBACK - 1 + last);
    sockaddr generic{};
    std::memcpy(&generic, &of, sizeof of);
    return generic;
  }

  std::string take(std::size_t bytes) {
    auto out = in_.substr(0, bytes);
    in_.erase(0, bytes);
    return out;
  }

  bool more() {
    std::array<char, 16'384> part{};
    const auto n = ::recv(socket_, part.data(), part.size(), 0);
    ended_ = n == 0;
    if (n > 0)
      in_.append(part.data(), static_cast<std::size_t>(n));
    return n > 0;
  }

  int socket_ = -1;
  bool connected_ = false;
  bool ended_ = false;
  std::string in_;
};

}  // namespace troupe::testing
