#pragma once

#include "model.hpp"

#include <string>

namespace troupe::testing {

/// What the first query is that the model and the state answer differently, with both answers;
/// empty when all agree. Sums that the state keeps are taken anew from what it holds.
[[nodiscard]] std::string disagreement(const model::entity& expected, const entity_state& found,
                                       const entity_ref& ref, timestamp now,
                                       const policy& inherited);

/// What is wrong with `diff(a, b)`: applied by hand to all that `a` holds it has to give `b`.
[[nodiscard]] std::string fault_of_diff(const entity_state& a, const entity_state& b);

}  // namespace troupe::testing
