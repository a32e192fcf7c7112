#pragma once

#include <doctest/doctest.h>

#include <cstdint>
#include <cstdlib>
#include <random>
#include <string>

namespace troupe::testing {

/// The seed of a campaign of random commands: TROUPE_SEED where it is set, else a new one. Printed,
/// so that a failure can be repeated.
inline std::uint64_t campaign_seed() {
  const char* given = std::getenv("TROUPE_SEED");
  const auto out = given != nullptr ? std::stoull(given) : std::uint64_t{std::random_device{}()};
  MESSAGE("TROUPE_SEED=" << out);
  return out;
}

}  // namespace troupe::testing
