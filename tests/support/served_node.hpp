#pragma once

/// `troupe serve` as a process of its own, and a socket to it.

#include "http/client.hpp"
#include "support/child_process.hpp"
#include "support/plain_socket.hpp"

#include <chrono>
#include <csignal>
#include <cstdint>
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

}  // namespace troupe::testing
