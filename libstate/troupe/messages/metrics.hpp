#pragma once

/// Everything that the runtime measures, on one page. The numbers stand in the CAF metric registry
/// of its actor system, so a host's own exporter shows them too; `metrics_text` writes the registry
/// in Prometheus' text format. Names there: `troupe_` and the name below with `_` for `-`, then the
/// unit, then `_total` of what only grows.

#include <caf/fwd.hpp>
#include <caf/telemetry/counter.hpp>
#include <caf/telemetry/gauge.hpp>
#include <caf/telemetry/histogram.hpp>

#include <string>

namespace troupe {

/// One runtime counts alone in its actor system; several in one system count together.
struct metrics {
  using count = caf::telemetry::int_counter;
  using level = caf::telemetry::int_gauge;

  /// Those of a system; made at the first call.
  static metrics of(caf::actor_system& system);

  // The supervisor's.
  level* live = nullptr;          ///< live-entities: with an actor
  count* activations = nullptr;   ///< activations: actors that were started
  count* hibernations = nullptr;  ///< hibernations: for want of use, or beyond `max_live`
  count* crashes = nullptr;       ///< crashes: of scope actors; each wakes again when asked for
  count* restarts = nullptr;      ///< restarts: activations of what crashed a short while before
  count* quarantines = nullptr;   ///< quarantines: entities that crashed too often
  count* reaps = nullptr;         ///< reaps: entities that a cleanup deleted

  // The store's.
  count* commits = nullptr;         ///< commits: transactions with changes
  count* changes = nullptr;         ///< changes: committed
  count* failed_commits = nullptr;  ///< failed-commits: requests that were refused, or in doubt
  caf::telemetry::dbl_histogram* commit_time = nullptr;   ///< commit-time, seconds
  caf::telemetry::int_histogram* commit_batch = nullptr;  ///< commit-batch: changes in one
  count* slices = nullptr;                                ///< snapshot-slices: written
  count* folds = nullptr;       ///< snapshots: entities that slices folded
  count* live_folds = nullptr;  ///< live-snapshots: of these from their state in memory
  caf::telemetry::dbl_histogram* slice_time = nullptr;  ///< snapshot-slice-time, seconds

  // Read when somebody looks.
  level* in_flight = nullptr;          ///< requests-in-flight: of the host's, without an answer
  level* in_flight_bytes = nullptr;    ///< request, bytes: what these carry
  level* refused = nullptr;            ///< refused-requests, as a total: beyond the limits of these
  level* event_lag = nullptr;          ///< event-lag, bytes: committed and not yet at subscribers
  level* stored = nullptr;             ///< stored-entities: at least, sleeping and deleted ones too
  level* journal_tail = nullptr;       ///< journal-tail, bytes: replayed at the next start
  level* journal_covered = nullptr;    ///< journal-covered, bytes: kept though snapshots have it
  level* store_bytes = nullptr;        ///< store, bytes: pages of the data file that were used
  level* cache_entries = nullptr;      ///< cache-entries
  level* cache_bytes = nullptr;        ///< cache, bytes
  level* cache_hits = nullptr;         ///< cache-hits, as a total
  level* cache_misses = nullptr;       ///< cache-misses, as a total
  level* cache_evictions = nullptr;    ///< cache-evictions, as a total
  level* cache_expirations = nullptr;  ///< cache-expirations, as a total
};

/// The registry of a system in Prometheus' text format, version 0.0.4.
[[nodiscard]] std::string metrics_text(caf::actor_system& system);

}  // namespace troupe
