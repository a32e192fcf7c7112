#pragma once

#include <cstdio>
#include <cstdlib>
#include <source_location>
#include <string_view>

namespace troupe::fuzz {

/// An invariant: when it does not hold, says which and aborts, which libFuzzer and the replay both
/// count as a finding.
inline void require(bool holds, std::string_view invariant,
                    std::source_location at = std::source_location::current()) {
  if (holds)
    return;
  std::fprintf(stderr, "%s:%u: does not hold: %.*s\n", at.file_name(), at.line(),
               static_cast<int>(invariant.size()), invariant.data());
  std::abort();
}

}  // namespace troupe::fuzz
