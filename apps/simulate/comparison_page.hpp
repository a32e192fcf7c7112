#pragma once

#include <troupe/state/commands.hpp>

#include "simulate/driver.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace troupe::simulate {

/// What one system did in one round.
struct measured {
  facts settings;
  double per_s = 0;                                 ///< intents answered, with many in flight
  double busy_p99_us = 0;                           ///< meanwhile
  double alone_per_s = 0;                           ///< with one in flight
  double p50_us = 0, p99_us = 0;                    ///< at a steady rate, from when each was due
  std::optional<double> memory_bytes, store_bytes;  ///< at the end
};

struct compared {
  std::string target;
  durability level = durability::durable;
  std::vector<measured> rounds{};
  std::string not_run{};  ///< why; else empty
};

struct comparison_page {
  std::string profile;
  std::uint64_t sessions = 0;
  double seconds = 0;
  std::size_t rounds = 0, in_flight = 0;
  double steady_per_s = 0;
  facts machine;
  std::vector<compared> all;
};

/// For a terminal.
[[nodiscard]] std::string render_table(const comparison_page& page);
/// Markdown with hardware, versions, settings, medians and spread, and what is worse than a peer.
[[nodiscard]] std::string render_page(const comparison_page& page);
/// Every round of every system.
[[nodiscard]] std::string render_comparison_json(const comparison_page& page);

}  // namespace troupe::simulate
