#pragma once

#include <troupe/runtime/entity_handle.hpp>

#include <chrono>
#include <memory>

namespace troupe {

/// One thread's look at one entity, again and again: the committed state with every change that was
/// answered before, as `entity_handle::read` answers it. While nothing was committed a look costs
/// nanoseconds, whatever other threads read or write.
///
///     auto look = chat.reader();
///     while (look.get(attempts).value_or(0) < 3) ...
///
/// For one thread at a time; each thread takes its own. It keeps one snapshot alive, the last it
/// saw, and must not outlive the runtime.
class state_reader {
public:
  using snapshot = entity_handle::snapshot;

  explicit state_reader(entity_handle of);
  state_reader(state_reader&&) noexcept;
  state_reader& operator=(state_reader&&) noexcept;
  ~state_reader();

  /// Good until the next look. Blocks only where the entity sleeps and must be woken. Errors: those
  /// of `entity_handle::read`.
  const expected<snapshot>& read(std::chrono::milliseconds deadline = std::chrono::seconds{30});

  /// As `entity_handle::get`.
  template <class T>
  expected<T> get(const key<T>& which) {
    const auto& state = read();
    return state ? troupe::get(**state, which, now()) : tl::unexpected(state.error());
  }

private:
  struct impl;
  [[nodiscard]] timestamp now() const;

  std::unique_ptr<impl> impl_;
};

}  // namespace troupe
