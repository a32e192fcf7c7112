#pragma once

namespace troupe::cli {

/// While it lives, the first Ctrl-C (or SIGTERM) is a wish that `requested` tells, and the second
/// one ends the process. One at a time, on the main thread.
class interrupt_scope {
public:
  interrupt_scope();
  ~interrupt_scope();
  interrupt_scope(const interrupt_scope&) = delete;
  interrupt_scope& operator=(const interrupt_scope&) = delete;

  /// Any thread. Stays true when the scope has ended.
  [[nodiscard]] static bool requested() noexcept;
};

}  // namespace troupe::cli
