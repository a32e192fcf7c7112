#pragma once

#include "simulate/driver.hpp"
#include "simulate/faults.hpp"
#include "simulate/load.hpp"
#include "simulate/workload.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace troupe::simulate {

/// One load of a search for the knee.
struct knee_step {
  double speed = 0;
  double per_s = 0;  ///< that were due
  double answered_per_s = 0;
  std::uint64_t p99_ns = 0;
  std::uint64_t failed = 0;
  bool kept = false;  ///< the limit was
};

struct knee_result {
  double p99_limit_ms = 0;
  std::optional<knee_step> best{};  ///< the highest rate that kept the limit
  std::vector<knee_step> steps{};   ///< in the order they were made
};

/// What reading everything back showed.
struct check_result {
  std::uint64_t subjects = 0, items = 0;
  std::uint64_t violations = 0;
  std::vector<std::string> first;        ///< some, in words
  std::optional<std::uint64_t> changes;  ///< in the stream of events, where there is one
  double seconds = 0;
  bool complete = true;
};

/// A run of `troupe simulate`, as it is told to people and programs.
struct run_result {
  workload what;
  std::uint64_t seed = 0;
  double speed = 1, duration_s = 0;
  facts target{};
  facts machine{};
  double fill_s = 0;  ///< of the sessions that were there before
  std::optional<load_result> load{};
  std::optional<knee_result> knee{};
  std::vector<fault_report> faults{};
  std::optional<check_result> check{};
  std::uint64_t unknown = 0;  ///< intents without a valid answer
  bool interrupted = false;

  /// Nothing is violated, nothing was cut short and no fault failed to be done.
  [[nodiscard]] bool good() const noexcept;
};

/// "linux 6.1, 2 cores, Intel ..." as pairs; the build, too.
[[nodiscard]] facts machine_facts();

[[nodiscard]] std::string render_table(const run_result& result);

/// One JSON object by docs/simulation-result.schema.json.
[[nodiscard]] std::string render_json(const run_result& result);

}  // namespace troupe::simulate
