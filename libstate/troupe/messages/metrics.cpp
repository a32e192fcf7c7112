#include <troupe/messages/metrics.hpp>

#include <caf/actor_system.hpp>
#include <caf/telemetry/collector/prometheus.hpp>
#include <caf/telemetry/metric_registry.hpp>

#include <array>

namespace troupe {

namespace {

constexpr const char* prefix = "troupe";

class family {
public:
  explicit family(caf::telemetry::metric_registry& registry) : registry_{registry} {}

  [[nodiscard]] metrics::count* count(const char* name, const char* help) {
    return registry_.counter_singleton(prefix, name, help, "1", true);
  }
  [[nodiscard]] metrics::level* level(const char* name, const char* help, const char* unit = "1") {
    return registry_.gauge_singleton(prefix, name, help, unit);
  }
  /// Counted elsewhere, and taken over when somebody looks.
  [[nodiscard]] metrics::level* total(const char* name, const char* help) {
    return registry_.gauge_singleton(prefix, name, help, "1", true);
  }
  [[nodiscard]] caf::telemetry::dbl_histogram* time(const char* name, const char* help) {
    std::array<double, 12> bounds{0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005,
                                  0.01,   0.025,   0.05,   0.1,   0.5,    2.5};
    return registry_.histogram_singleton<double>(prefix, name, bounds, help, "seconds");
  }
  [[nodiscard]] caf::telemetry::int_histogram* size(const char* name, const char* help) {
    std::array<std::int64_t, 11> bounds{1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024};
    return registry_.histogram_singleton<std::int64_t>(prefix, name, bounds, help);
  }

private:
  caf::telemetry::metric_registry& registry_;
};

}  // namespace

metrics metrics::of(caf::actor_system& system) {
  family in{system.metrics()};
  return {
      .live = in.level("live-entities", "Entities that have an actor."),
      .activations = in.count("activations", "Actors of entities that were started."),
      .hibernations = in.count("hibernations", "Entities put to sleep, idle or beyond max_live."),
      .crashes = in.count("crashes", "Actors of entities that crashed."),
      .restarts = in.count("restarts", "Actors of entities started again after a crash."),
      .quarantines = in.count("quarantines", "Entities left alone after too many crashes."),
      .reaps = in.count("reaps", "Entities that cleaning up deleted."),
      .commits = in.count("commits", "Transactions that made changes durable."),
      .changes = in.count("changes", "Changes that were made durable."),
      .failed_commits = in.count("failed-commits", "Changes that were refused or are in doubt."),
      .commit_time = in.time("commit-time", "Time of a transaction with its syncs."),
      .commit_batch = in.size("commit-batch", "Changes in one transaction."),
      .slices = in.count("snapshot-slices", "Slices of the journal folded into snapshots."),
      .folds = in.count("snapshots", "Entities that slices folded into snapshots."),
      .live_folds = in.count("live-snapshots", "Of these, those whose state was in memory."),
      .slice_time = in.time("snapshot-slice-time", "Time to write a slice; commits wait for it."),
      .in_flight = in.level("requests-in-flight", "Requests that are not answered yet."),
      .in_flight_bytes = in.level("request", "What requests in flight carry.", "bytes"),
      .refused = in.total("refused-requests", "Requests refused while too many were in flight."),
      .event_lag = in.level("event-lag", "Committed changes on their way to subscribers.", "bytes"),
      .stored =
          in.level("stored-entities", "Entities at least, sleeping and deleted ones included."),
      .journal_tail = in.level("journal-tail", "Journal that the next start replays.", "bytes"),
      .journal_covered = in.level("journal-covered", "Journal kept behind snapshots.", "bytes"),
      .store_bytes = in.level("store", "Used pages of the data file.", "bytes"),
      .cache_entries = in.level("cache-entries", "Results in the cache."),
      .cache_bytes = in.level("cache", "Memory of the results in the cache.", "bytes"),
      .cache_hits = in.total("cache-hits", "Results that were found."),
      .cache_misses = in.total("cache-misses", "Results that were not found."),
      .cache_evictions = in.total("cache-evictions", "Results that had to go for others."),
      .cache_expirations = in.total("cache-expirations", "Results whose time was over."),
  };
}

std::string metrics_text(caf::actor_system& system) {
  caf::telemetry::collector::prometheus collector;
  const auto text = collector.collect_from(system.metrics());
  std::string out{text.data(), text.size()};
  // CAF has no counter that is set, and Prometheus no gauge that only grows.
  constexpr std::string_view gauge = "_total gauge\n", counter = "_total counter\n";
  for (auto at = out.find(gauge); at != std::string::npos; at = out.find(gauge, at))
    out.replace(at, gauge.size(), counter);
  return out;
}

}  // namespace troupe
