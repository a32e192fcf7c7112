#pragma once

#include <cstddef>

namespace troupe {

/// What one untrusted document may cost; each is checked before memory is taken for it.
struct limits {
  std::size_t bytes = 1 << 20;     ///< then: `too_large`
  std::size_t depth = 64;          ///< nested arrays and maps; then: `too_deep`
  std::size_t elements = 200'000;  ///< values and keys together; then: `too_many_elements`
};

}  // namespace troupe
