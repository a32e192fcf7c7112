#pragma once

#include <doctest/doctest.h>

#include <cstdint>
#include <cstdlib>
#include <string>

namespace troupe::testing {

/// The seed of a campaign of random commands: TROUPE_SEED where it is set, else always the same.
/// Printed.
inline std::uint64_t campaign_seed() {
  const char* given = std::getenv("TROUPE_SEED");
  const auto out = given != nullptr ? std::stoull(given) : std::uint64_t{20'261'120};
  MESSAGE("TROUPE_SEED=" << out);
  return out;
}

}  // namespace troupe::testing
