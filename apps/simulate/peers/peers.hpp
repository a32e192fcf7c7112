#pragma once

#include <troupe/state/expected.hpp>

#include "simulate/driver.hpp"
#include "simulate/workload.hpp"

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

/// Other systems that could hold the same, each behind the driver's interface and run as an expert
/// of it would: the same intents, sizes and class of durability. Servers are children of this
/// process, on a socket of their own, and end with their driver.
namespace troupe::simulate {

/// How safe an answer is that a peer gives; chosen by the workload's level.
/// durable: synced before the answer. relaxed: synced within a second. memory: never.
struct peer_options {
  std::filesystem::path data;    ///< empty, on the disk that is measured, the peer's alone
  std::size_t connections = 64;  ///< of those that have connections
};

/// Names that `open_peer` knows: maps, nothing, sqlite, redis, postgres, erlang.
[[nodiscard]] std::vector<std::string> peer_names();

/// Errors: `not_supported` with the reason: unknown, built without it, its server is not installed,
/// or it has no such level of durability.
[[nodiscard]] expected<std::unique_ptr<driver>> open_peer(std::string_view name,
                                                          const workload& what,
                                                          const peer_options& options);

[[nodiscard]] std::unique_ptr<driver> open_maps(const workload& what);
/// Answers at once and keeps nothing: what the harness itself can do.
[[nodiscard]] std::unique_ptr<driver> open_nothing();
[[nodiscard]] expected<std::unique_ptr<driver>> open_sqlite(const workload& what,
                                                            const peer_options& options);
[[nodiscard]] expected<std::unique_ptr<driver>> open_redis(const workload& what,
                                                           const peer_options& options);
[[nodiscard]] expected<std::unique_ptr<driver>> open_postgres(const workload& what,
                                                              const peer_options& options);
[[nodiscard]] expected<std::unique_ptr<driver>> open_erlang(const workload& what,
                                                            const peer_options& options);

}  // namespace troupe::simulate
