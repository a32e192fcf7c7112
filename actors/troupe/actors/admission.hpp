#pragma once

#include <troupe/state/change_set.hpp>
#include <troupe/state/expected.hpp>

#include <atomic>
#include <cstddef>
#include <utility>

namespace troupe {

/// What requests may hold at a time, from the call until the answer.
struct admission_limits {
  std::size_t requests = 4'096;     ///< then: `busy`, at once
  std::size_t bytes = 64ULL << 20;  ///< of what they carry; then: `busy`, at once
};

/// The door of a runtime: mailboxes have no bound, so what would wait too long in them is refused
/// before it is sent. A request that is alone is let in whatever it carries. Any thread may call
/// anything; nobody waits.
class admission {
public:
  explicit admission(admission_limits limits) : limits_{limits} {}

  /// Who was let in. Leaves when it goes, or before; one that nobody gave lets nothing in or out.
  class pass {
  public:
    pass() = default;
    pass(pass&& other) noexcept
        : from_{std::exchange(other.from_, nullptr)},
          bytes_{other.bytes_} {}
    pass& operator=(pass&&) = delete;
    ~pass() { leave(); }
    void leave() noexcept {
      if (auto* from = std::exchange(from_, nullptr))
        from->leave(bytes_);
    }

  private:
    friend class admission;
    pass(admission& from, std::size_t bytes) : from_{&from}, bytes_{bytes} {}
    admission* from_ = nullptr;
    std::size_t bytes_ = 0;
  };

  /// The pass must not outlive the door. Errors: `busy`, with `retry_after_ms`.
  [[nodiscard]] expected<pass> enter(std::size_t bytes);

  [[nodiscard]] std::size_t requests() const noexcept { return requests_.load(relaxed); }
  [[nodiscard]] std::size_t bytes() const noexcept { return bytes_.load(relaxed); }
  [[nodiscard]] std::size_t refused() const noexcept { return refused_.load(relaxed); }

private:
  static constexpr auto relaxed = std::memory_order_relaxed;

  void leave(std::size_t bytes) noexcept;
  [[nodiscard]] static error full(const char* what, std::size_t limit);

  const admission_limits limits_;
  std::atomic<std::size_t> requests_ = 0;
  std::atomic<std::size_t> bytes_ = 0;
  std::atomic<std::size_t> refused_ = 0;
};

/// What a request carries: its values and texts, and a little for each operation.
[[nodiscard]] std::size_t carried_bytes(const command& what);
[[nodiscard]] std::size_t carried_bytes(const change_set& what);

}  // namespace troupe
