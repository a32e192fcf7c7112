#pragma once

#include <cstddef>
#include <filesystem>

namespace troupe::bench {

struct store_scenarios {
  std::filesystem::path dir;   ///< empty; on the disk that is measured
  std::size_t turns = 50'000;  ///< of each write amplification
  std::size_t long_turns = 10'000;
  std::size_t sessions = 1'000'000;  ///< of the large store
  int rounds = 5;
};

/// Bytes written to disk for each byte of payload.
void measure_write_amplification(const store_scenarios& how);

/// Opening a store and answering the first read, by the number of sessions in it; and waking one
/// session of ten turns.
void measure_reopening(const store_scenarios& how);

/// What a look-up of a journal record costs with the check of its pages.
void measure_lookups(const store_scenarios& how);

/// What it costs to fold the journal into snapshots, and how long one slice takes.
void measure_folding(const store_scenarios& how);

}  // namespace troupe::bench
