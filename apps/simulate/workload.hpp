#pragma once

#include <troupe/state/commands.hpp>
#include <troupe/state/expected.hpp>

#include "simulate/random.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace troupe::simulate {

/// A tool and how often it is the one that is called, beside the others.
struct tool_share {
  std::string name;
  double share = 1;
  friend bool operator==(const tool_share&, const tool_share&) = default;
};

/// What a population does, as a file says it (docs/simulation.md has the file). Times are those of
/// the population; a run may let them pass faster. All means are per what the table's name says.
struct workload {
  std::string name;
  std::string about;
  durability level = durability::durable;

  /// [arrival]: how visits begin. A visit is one sitting of one user at one session.
  double visits_per_s = 1;
  double burst_every_s = 0;  ///< 0: none
  double burst_for_s = 1;
  double burst_factor = 1;     ///< the rate is so many times as high
  double daily_swing = 0;      ///< 0.6: from 40 % at midnight to 160 % at noon
  double day_begins_at_h = 9;  ///< the hour that a run begins at

  /// [population]: what is there.
  std::uint64_t sessions = 1'000;   ///< before the run begins
  std::uint64_t items_in_each = 4;  ///< of these
  std::uint64_t users = 100;
  std::uint64_t teams = 0;
  std::uint64_t workflows = 0;
  std::uint64_t cache_keys = 1'000;
  double popularity = 0.99;  ///< exponent of Zipf's law: of users, cache keys, who comes back
  double returning = 0.5;    ///< share of visits to a session that is there

  /// [visit]
  double turns = 5;
  quantiles think_s{{1, 4, 8, 15, 30, 90}};  ///< between an answer and the next question
  quantiles agent_s{{0.2, 0.6, 1, 2, 5}};    ///< between two steps of the agent
  double reconnects = 0;  ///< reads of all of a session at the beginning, as a client does that
                          ///< lost its connection

  /// [turn]
  double tool_calls = 0.5;
  double history_reads = 1;
  std::uint64_t history_items = 20;
  double state_writes = 0.5;
  double state_reads = 0.5;
  double usage = 1;
  double checkpoints = 0.02;
  double forks = 0.01;
  double cache_lookups = 0.2;  ///< a miss is followed by a write
  double user_writes = 0;
  double team_messages = 0;
  double workflow_steps = 0;  ///< node started or finished, each a change

  /// [items]: bytes of text
  quantiles user_bytes{{8, 40, 90, 180, 500, 2'000}};
  quantiles assistant_bytes{{20, 150, 350, 700, 1'500, 4'000}};
  quantiles tool_bytes{{20, 120, 400, 1'200, 3'000, 8'000}};
  quantiles cache_bytes{{200, 1'000, 2'000, 4'000, 16'000}};
  std::vector<tool_share> tools{{"search", 3}, {"fetch", 2}, {"calculate", 1}};

  friend bool operator==(const workload&, const workload&) = default;
};

/// As a file says it.
[[nodiscard]] const char* level_name(durability level);

/// Reads a file. Errors: `malformed` with line and column where it is no TOML; `unknown_field`,
/// `wrong_type`, `invalid_value` with the table and key as a path ("/turn/forks").
[[nodiscard]] expected<workload> parse_workload(std::string_view toml);

/// A file that reads back as the same workload.
[[nodiscard]] std::string to_toml(const workload& what);

/// The built-in ones, each a file inside the program.
[[nodiscard]] std::vector<workload> built_in_profiles();

/// Errors: `not_found`, with the names that there are.
[[nodiscard]] expected<workload> built_in_profile(std::string_view name);

}  // namespace troupe::simulate
