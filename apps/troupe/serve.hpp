#pragma once

#include <troupe/state/expected.hpp>

#include "api/admission.hpp"
#include "api/quotas.hpp"
#include "http/limits.hpp"
#include "http/tls.hpp"
#include "troupe/agent_flags.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace troupe {

/// What a look at the settings of a running node finds.
struct settings_now {
  std::string log_level{};
  std::vector<std::string> changed{};  ///< names of others: they ask for a restart
};

struct serve_options {
  std::filesystem::path data;
  std::string host = "127.0.0.1";                ///< without access tokens: loopback only
  std::uint16_t port = 7717;                     ///< 0 picks a free one
  std::uint64_t journal_tail_bytes = 64 << 20;   ///< then: folded into snapshots
  std::uint64_t journal_kept_bytes = 256 << 20;  ///< then: the oldest is freed
  std::uint64_t quota_bytes = 0;                 ///< then: 507 to what adds; 0: the disk
  std::uint64_t reserve_bytes = 16 << 20;        ///< of quota and disk, kept for what frees
  std::size_t max_live = 100'000;                ///< then: the least lately used hibernate
  std::chrono::milliseconds idle{600'000};       ///< unused so long, a session hibernates; 0: never
  bool allow_remote_fs = false;
  std::chrono::milliseconds drain_notice{0};        ///< goes on, saying 503 at /readyz
  std::chrono::milliseconds drain_timeout{10'000};  ///< then: connections are cut
  agent_settings agents{};
  /// Asked on SIGHUP; empty: all stays.
  std::function<expected<settings_now>()> settings_again{};
  struct address {
    std::string host;
    std::uint16_t port = 0;
  };
  std::optional<address> admin{};        ///< for operators; none: they come by the other
  std::filesystem::path backups{};       ///< where they go; empty: none are made over HTTP
  std::optional<http::tls_files> tls{};  ///< on both addresses; none: in the clear
  std::size_t unknown_connections = http::limits{}.unknown_connections;  ///< of one address
  std::size_t user_connections = http::limits{}.peer_connections;
  api::admission_limits limits{};
  api::quota_limits quota{};
};

/// Reads the files that the options name. Errors: `invalid_value`, in words.
expected<void> check_files(const serve_options& options);

/// Runs a node until SIGTERM or SIGINT: prints `listening on http://HOST:PORT` on standard output,
/// then answers. Access tokens are those in `tokens` beside the store; a change of them counts
/// within a second, or at once on SIGHUP, which also has the log level and the certificate read
/// anew. On the signal /readyz says 503 for the notice; then it stops accepting, finishes what is
/// in flight, folds the journal and answers 0. One more signal, a second after the last or later,
/// ends the notice, and the process when that is over. Else the exit code of the error, which is
/// printed.
///
/// REQUIRES: called on the main thread while no other runs, since it blocks both signals for all
/// threads to come.
int serve(const serve_options& options);

}  // namespace troupe
