#pragma once

#include <troupe/state/expected.hpp>

#include "http/client.hpp"
#include "troupe/child_process.hpp"

#include <chrono>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

namespace troupe::simulate {

/// A node of our own: `troupe serve` of this same executable, on a free port of the loopback
/// interface. It is killed at the latest with its owner. Any thread.
class node_process {
public:
  /// Errors: `store_failed`, when it does not come to listen.
  static expected<std::unique_ptr<node_process>> start(const std::filesystem::path& data,
                                                       std::size_t max_live, std::uint64_t idle_s);

  [[nodiscard]] http::endpoint address() const;
  /// None while it is away.
  [[nodiscard]] std::optional<int> pid() const;

  /// SIGKILL, then a start on the same store. Seconds until it listened.
  expected<double> kill_and_restart();
  /// It stands still, as a machine that is moved or swaps.
  void pause(std::chrono::milliseconds how_long);
  /// No write of it succeeds beyond the first page of a file, as on a disk that is full; then they
  /// do again.
  expected<void> fill_disk(std::chrono::milliseconds how_long);

private:
  explicit node_process(std::vector<std::string> arguments) : arguments_{std::move(arguments)} {}
  expected<void> run();

  std::vector<std::string> arguments_;
  mutable std::mutex mutex_;
  std::unique_ptr<cli::child_process> child_;
  http::endpoint address_;
};

}  // namespace troupe::simulate
