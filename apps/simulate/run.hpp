#pragma once

#include "simulate/generator.hpp"
#include "simulate/result.hpp"
#include "simulate/target.hpp"

namespace troupe::simulate {

/// The workload that a name or a file says, with what the command line says instead. Errors:
/// `not_found`, and those of `parse_workload`.
[[nodiscard]] expected<workload> choose_workload(const std::string& profile);

/// Fills the target with the sessions that are there before. Seconds; errors: the first refusal.
[[nodiscard]] expected<double> fill(driver& to, record& books, const generator& wants,
                                    bool with_display);

/// One whole run: fills, loads with faults, reads everything back and checks it. Errors: what keeps
/// it from beginning.
[[nodiscard]] expected<run_result> run(const workload& what, const run_options& options,
                                       const std::filesystem::path& data);

/// Loads at rising speeds until the limit of `options` is broken, then looks between.
[[nodiscard]] knee_result find_knee(driver& to, record& books, generator& wants,
                                    const run_options& options);

/// Reads every subject of the books back and checks it.
[[nodiscard]] check_result check_all(driver& to, const record& books, event_check* events);

}  // namespace troupe::simulate
