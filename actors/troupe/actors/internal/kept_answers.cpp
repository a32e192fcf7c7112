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
  if (!kept_)
    kept_ = std::make_unique<tables>();
  kept_->by_time.emplace_back(answer.at, id);
  kept_->answers.insert_or_assign(std::move(id),
                                  entry{answer.asked.body_hash, answer.at, answer.answer});
}

expected<const outcome*> kept_answers::find(const idempotency& asked, timestamp now) {
  forget_expired(now);
  if (!kept_)
    return nullptr;
  const auto found = kept_->answers.find(answer_id(asked));
  if (found == kept_->answers.end() || expired(found->second.at, now)) {
    if (kept_->answers.size() >= max_kept_answers)
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
  if (!kept_)
    return;
  std::erase_if(kept_->answers, [&](const auto& x) { return x.second.answer.revision > revision; });
}

void kept_answers::forget_expired(timestamp now) {
  if (!kept_)
    return;
  auto& [answers, by_time] = *kept_;
  for (; !by_time.empty() && expired(by_time.front().first, now); by_time.pop_front()) {
    const auto found = answers.find(by_time.front().second);
    if (found != answers.end() && expired(found->second.at, now))
      answers.erase(found);
  }
  if (by_time.empty())
    kept_.reset();
}

}  // namespace troupe::internal
