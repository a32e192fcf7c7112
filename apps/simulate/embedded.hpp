#pragma once

#include <troupe/runtime/internal/faults.hpp>

#include "simulate/driver.hpp"
#include "simulate/faults.hpp"

#include <filesystem>
#include <memory>

namespace troupe::simulate {

struct embedded_options {
  std::filesystem::path data;
  std::size_t max_live = 100'000;
  std::uint64_t idle_ms = 600'000;
  std::uint64_t quota_bytes = 0;  ///< 0: the disk's
  std::size_t slow_subscribers = 0;
  /// Changes carry idempotency keys, and what a fault refuses is asked again.
  bool keyed = false;
  /// Around the store on disk and below its faults; empty: nothing. Tests plant lies with it.
  internal::store_wrapper around{};
};

/// The runtime in this process.
class embedded_driver : public driver {
public:
  /// Errors: as `runtime::open`.
  static expected<std::unique_ptr<embedded_driver>> open(const workload& what,
                                                         embedded_options options);
  /// clock, crash, fail-commit, slow-commits, slow-subscribers.
  [[nodiscard]] virtual fault_hooks hooks() = 0;
};

}  // namespace troupe::simulate
