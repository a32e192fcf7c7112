#pragma once

#include "http/client.hpp"
#include "troupe/replay_report.hpp"
#include "troupe/replay_target.hpp"

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace troupe::cli {

inline constexpr std::size_t default_parallel = 64;

struct replay_options {
  std::filesystem::path file;
  std::optional<std::filesystem::path> data{};  ///< embedded; else a temporary directory
  std::optional<http::endpoint> node{};         ///< over HTTP instead
  std::string prefix{};                         ///< of every session's id
  std::size_t parallel = default_parallel;
  std::chrono::seconds reconnect{0};  ///< over HTTP: how long a node may be away
  bool resume = false;                ///< over HTTP: an earlier replay may have written a part
  bool verify_only = false;
  bool json = false;
};

/// `troupe replay`: writes recorded conversations through the runtime, reads them back and
/// compares. Answers the exit status. On the main thread.
int replay(const replay_options& options);

/// All messages of all of them.
[[nodiscard]] std::vector<std::size_t> message_counts(std::span<const conversation> told);

/// Writes what the plan hands out, with a progress bar on stderr, until Ctrl-C.
write_result write_with_progress(replay_target& target, std::span<const conversation> told,
                                 replay_plan& plan);

/// Compares with a progress bar, until Ctrl-C.
expected<comparison> compare_with_progress(replay_target& target,
                                           std::span<const conversation> told,
                                           std::span<const std::optional<std::size_t>> counts,
                                           extra_items extra);

}  // namespace troupe::cli
