#pragma once

#include "checker.hpp"
#include "plan.hpp"

#include <vector>

namespace troupe::simulation {

/// The entities of a simulation: those of the plan, of every kind.
[[nodiscard]] std::vector<entity_ref> entities_of(const plan& how);

/// A random command to one of them, as clients choose who saw what is on disk: mostly sensible,
/// also what must be refused. With `freed` to that one, which the client has just deleted. It can
/// be found again on disk (`checker::begin`).
[[nodiscard]] command any_command(dice& luck, const plan& how, checker& seen,
                                  const entity_ref* freed = nullptr);

/// A random set of such commands, reads and guards among them; also of nothing else.
[[nodiscard]] change_set any_set(dice& luck, const plan& how, checker& seen);

}  // namespace troupe::simulation
