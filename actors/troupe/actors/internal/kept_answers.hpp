#pragma once

#include <troupe/state/folding.hpp>

#include <cstdint>
#include <list>
#include <memory>
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

private:
  struct entry {
    std::string body_hash;
    timestamp at;
    outcome answer;
  };

  struct tables {
    std::unordered_map<std::string, entry> answers{};        // by `answer_id`
    std::list<std::pair<timestamp, std::string>> by_time{};  // as they were remembered
  };

  void forget_expired(timestamp now);

  std::unique_ptr<tables> kept_;  // null while there is none, as for most entities
};

}  // namespace troupe::internal
