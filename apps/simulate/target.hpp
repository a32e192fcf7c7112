#pragma once

#include <troupe/state/expected.hpp>

#include "simulate/driver.hpp"
#include "simulate/faults.hpp"
#include "simulate/options.hpp"

#include <filesystem>
#include <memory>

namespace troupe::simulate {

/// A driver with what it stands on: its directory, its process.
class target {
public:
  virtual ~target() = default;
  [[nodiscard]] virtual driver& to() = 0;
  /// What may be broken in it while a load runs.
  [[nodiscard]] virtual fault_hooks hooks() { return {}; }
};

/// Starts or opens what `options.target` names. `data` is an empty directory for it. Errors:
/// `malformed` (no such target), `not_supported`; those of opening it.
[[nodiscard]] expected<std::unique_ptr<target>> open_target(const workload& what,
                                                            const run_options& options,
                                                            const std::filesystem::path& data);

}  // namespace troupe::simulate
