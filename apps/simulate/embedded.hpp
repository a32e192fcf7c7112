#pragma once

#include "simulate/driver.hpp"

#include <filesystem>
#include <memory>

namespace troupe::simulate {

struct embedded_options {
  std::filesystem::path data;
  std::size_t max_live = 100'000;
  std::uint64_t idle_ms = 600'000;
  std::uint64_t quota_bytes = 0;  ///< 0: the disk's
  std::size_t slow_subscribers = 0;
};

/// The runtime in this process.
class embedded_driver : public driver {
public:
  /// Errors: as `runtime::open`.
  static expected<std::unique_ptr<embedded_driver>> open(const workload& what,
                                                         embedded_options options);
  /// From here on the runtime's clock is so much ahead of the system's, or behind.
  virtual void jump_clock(std::int64_t ms) = 0;
};

}  // namespace troupe::simulate
