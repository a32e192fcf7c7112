#pragma once

#include <cstdint>
#include <string_view>

/// Makes the n-th call of a kind fail, of those that the recorder stands in front of (below its
/// directory). One plan at a time; of a process that asks for none, nothing fails.
namespace troupe::faults {

enum class call : std::uint8_t { open, read, write, sync, resize };
inline constexpr call all_calls[] = {call::open, call::read, call::write, call::sync, call::resize};

[[nodiscard]] std::string_view to_string(call which) noexcept;

struct plan {
  call which = call::open;
  std::uint64_t nth = 0;  ///< of the calls of this kind since `arm`: 1, 2, 3 ...
  int code = 0;           ///< of the system; 0: the call does half of what it is asked for
  bool sticky = false;    ///< all from there on
  bool swallow = false;   ///< a lie: nothing is done and success is answered
};

void arm(const plan& what) noexcept;
void disarm() noexcept;

/// Since `arm`.
[[nodiscard]] std::uint64_t calls(call which) noexcept;
[[nodiscard]] bool struck() noexcept;

/// What is to happen to this call, which is counted.
struct fate {
  bool fails = false;
  bool halved = false;
  bool swallowed = false;
  int code = 0;
};
[[nodiscard]] fate next(call which) noexcept;

/// For a process that is started with the recorder before the C library: `TROUPE_FAULT` is
/// "write 12 5 once" or "sync 40 5 sticky", the second number a code of the system;
/// `TROUPE_FAULT_FS` the number of a file system that `fstatfs` is to tell.
void read_environment() noexcept;
[[nodiscard]] std::uint64_t file_system() noexcept;  ///< 0: the true one

}  // namespace troupe::faults
