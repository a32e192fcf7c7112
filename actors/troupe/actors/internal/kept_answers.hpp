#pragma once

#include <troupe/state/folding.hpp>

#include <cstdint>
#include <list>
#include <string>
#include <unordered_map>

namespace troupe::internal {

inline constexpr std::size_t max_kept_answers = 65'536;  // of one entity; then: quota_exceeded

/// What one entity answered to commands with an idempotency key in the last 24 hours.
class kept_answers {
public:
  void remember(const kept_answer& answer);

  /// The first answer to the command, or null when it is new. Errors: `idempotency_mismatch` (the
  /// key was used for another request), `quota_exceeded` (as many keys as may be are in use).
  expected<const outcome*> find(const idempotency& asked, timestamp now);

  /// Those behind a revision were never made.
  void forget_after(std::uint64_t revision);

  [[nodiscard]] bool empty() const noexcept { return answers_.empty(); }

private:
  struct entry {
    std::string body_hash;
    timestamp at;
    outcome answer;
  };

  void forget_expired(timestamp now);

  std::unordered_map<std::string, entry> answers_;        // by `answer_id`
  std::list<std::pair<timestamp, std::string>> by_time_;  // as they were remembered
};

}  // namespace troupe::internal
