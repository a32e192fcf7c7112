#pragma once

#include "simulate/options.hpp"

namespace troupe::simulate {

/// `troupe simulate compare`. Answers the exit status.
int compare(const compare_options& options);

}  // namespace troupe::simulate
