#pragma once

/// What every peer of the comparison does: appends turns of the same bytes to the same sessions,
/// each acknowledged only when it is on disk, with a number of requests in flight.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace troupe::bench {

using clock_type = std::chrono::steady_clock;

struct workload {
  std::filesystem::path dir;  ///< empty and on the disk that is measured; the peer's alone
  std::size_t in_flight = 1;
  double seconds = 1;
  std::size_t sessions = 10'000;
  std::size_t payload_bytes = 600;
};

struct result {
  std::vector<float> latencies_us;  ///< of each acknowledged append
  double seconds = 0;
  double cpu_seconds = 0;     ///< user and system, of all that took part
  std::uint64_t commits = 0;  ///< transactions, where the peer tells
  std::string not_run;        ///< why there is no result; else empty

  [[nodiscard]] double per_second() const {
    return seconds > 0 ? static_cast<double>(latencies_us.size()) / seconds : 0;
  }
};

struct peer {
  const char* name;
  const char* durability;  ///< what an acknowledgement of it says
  std::function<result(const workload&)> run;
};

/// As many bytes as the workload says, which no disk or program can make fewer.
[[nodiscard]] std::string payload_of(const workload& work);
[[nodiscard]] std::vector<std::string> session_ids(const workload& work);
/// User and system time of this process and of the children it has waited for.
[[nodiscard]] double cpu_seconds();
[[nodiscard]] double seconds_since(clock_type::time_point start);

[[nodiscard]] result unavailable(std::string why);

result raw_sequential(const workload& work);
result raw_per_session(const workload& work);
result sqlite_sequential(const workload& work);
result sqlite_per_session(const workload& work);
result redis(const workload& work);
result redis_pipelined(const workload& work);
result store_actor_alone(const workload& work);
result whole_runtime(const workload& work);

}  // namespace troupe::bench
