#pragma once

/// `troupe serve` as a process of its own, and a socket to it.

#include "http/client.hpp"
#include "support/child_process.hpp"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace troupe::testing {

/// A node over a directory, with the ports that it printed. Ends with the object.
class served_node {
public:
  served_node(std::string binary, std::string store, std::vector<std::string> more = {})
      : binary_{std::move(binary)},
        store_{std::move(store)},
        more_{std::move(more)} {
    start();
  }

  /// Again on the port it had.
  void start() {
    std::vector<std::string> words{
        binary_,  "--log-level", "off",      "serve",
        "--data", store_,        "--listen", "127.0.0.1:" + std::to_string(clients_)};
    words.insert(words.end(), more_.begin(), more_.end());
    process_ = std::make_unique<child_process>(words);
    while (const auto line = process_->read_line()) {
      const auto port = static_cast<std::uint16_t>(std::stoi(line->substr(line->rfind(':') + 1)));
      if (line->starts_with("operators: "))
        operators_ = port;
      else
        clients_ = port;
      if (line->starts_with("listening on "))
        return;
    }
    throw std::runtime_error{"the node did not start: exit code "
                             + std::to_string(process_->wait())};
  }

  void signal(int which) const { ::kill(process_->pid(), which); }
  /// The exit code, or 128 + signal.
  int stop(int which = SIGTERM) { return process_->kill(which); }

  [[nodiscard]] std::uint16_t port() const { return clients_; }
  [[nodiscard]] std::uint16_t operators_port() const { return operators_; }
  [[nodiscard]] const std::string& store() const { return store_; }
  [[nodiscard]] http::client client() const {
    return {"127.0.0.1", clients_, std::chrono::seconds{20}};
  }
  [[nodiscard]] pid_t pid() const { return process_->pid(); }
  /// Bytes of memory that is its own and resident.
  [[nodiscard]] std::size_t memory() const {
    std::ifstream in{"/proc/" + std::to_string(process_->pid()) + "/status"};
    for (std::string line; std::getline(in, line);)
      if (line.starts_with("RssAnon:"))
        return std::stoul(line.substr(8)) * 1024;
    return 0;
  }

private:
  std::string binary_, store_;
  std::vector<std::string> more_;
  std::uint16_t clients_ = 0, operators_ = 0;
  std::unique_ptr<child_process> process_;
};

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

  /// What comes up to and with `mark`; "" when it does not come.
  std::string until(std::string_view mark) {
    std::size_t at = 0;
    while ((at = in_.find(mark)) == std::string::npos)
      if (!more())
        return {};
    auto out = in_.substr(0, at + mark.size());
    in_.erase(0, out.size());
    return out;
  }
  /// All that comes until the peer closes.
  std::string rest() {
    while (more()) {
    }
    return std::exchange(in_, {});
  }

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

  bool more() {
    std::array<char, 16'384> part{};
    const auto n = ::recv(socket_, part.data(), part.size(), 0);
    if (n > 0)
      in_.append(part.data(), static_cast<std::size_t>(n));
    return n > 0;
  }

  int socket_ = -1;
  bool connected_ = false;
  std::string in_;
};

}  // namespace troupe::testing
