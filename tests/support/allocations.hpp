#pragma once

#include <cstddef>

namespace troupe::testing {

/// While it lives, notes what this thread takes from operator new (which allocations.cpp replaces).
class allocation_watch {
public:
  allocation_watch() noexcept;
  ~allocation_watch();
  allocation_watch(const allocation_watch&) = delete;
  allocation_watch& operator=(const allocation_watch&) = delete;

  [[nodiscard]] std::size_t largest() const noexcept;
  [[nodiscard]] std::size_t total() const noexcept;
  [[nodiscard]] std::size_t count() const noexcept;
};

}  // namespace troupe::testing
