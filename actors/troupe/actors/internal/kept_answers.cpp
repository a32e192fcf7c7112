#include <troupe/actors/internal/kept_answers.hpp>

#include <utility>

namespace troupe::internal {

namespace {

bool expired(timestamp at, timestamp now) {
  return at.ms + answers_kept_ms <= now.ms;
}

}  // namespace

void kept_answers::remember(const kept_answer& answer) {
  auto id = answer_id(answer.asked);
  by_time_.emplace_back(answer.at, id);
  answers_.insert_or_assign(std::move(id), entry{answer.asked.body_hash, answer.at, answer.answer});
}

expected<const outcome*> kept_answers::find(const idempotency& asked, timestamp now) {
  forget_expired(now);
  const auto found = answers_.find(answer_id(asked));
  if (found == answers_.end() || expired(found->second.at, now)) {
    if (answers_.size() >= max_kept_answers)
      return tl::unexpected(
          error{.code = errc::quota_exceeded,
                .message = "this entity answered 65,536 commands with an idempotency key in the "
                           "last 24 hours, which is as many as it remembers; send none, or wait",
                .limit = max_kept_answers});
    return nullptr;
  }
  if (found->second.body_hash != asked.body_hash)
    return fail(errc::idempotency_mismatch,
                "this idempotency key was used for another request in the last 24 hours");
  return &found->second.answer;
}

void kept_answers::forget_after(std::uint64_t revision) {
  std::erase_if(answers_, [&](const auto& x) { return x.second.answer.revision > revision; });
}

void kept_answers::forget_expired(timestamp now) {
  for (; !by_time_.empty() && expired(by_time_.front().first, now); by_time_.pop_front()) {
    const auto found = answers_.find(by_time_.front().second);
    if (found != answers_.end() && expired(found->second.at, now))
      answers_.erase(found);
  }
}

}  // namespace troupe::internal
