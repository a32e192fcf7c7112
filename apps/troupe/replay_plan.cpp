#include "troupe/replay_plan.hpp"

#include <algorithm>
#include <utility>

namespace troupe::cli {

replay_plan::replay_plan(const std::vector<std::size_t>& lengths) {
  tracks_.reserve(lengths.size());
  for (const auto length : lengths) {
    tracks_.push_back({.length = length, .offset = static_cast<std::size_t>(total_)});
    total_ += length;
  }
  times_.resize(static_cast<std::size_t>(total_));
}

void replay_plan::begin_behind(std::size_t conversation, std::size_t stored) {
  auto& t = tracks_[conversation];
  total_ += t.first;
  t.first = t.stored = std::min(stored, t.length);
  total_ -= t.first;
}

std::optional<std::size_t> replay_plan::next_conversation() {
  if (stopped_)
    return std::nullopt;
  const auto next = next_.fetch_add(1);
  if (next >= tracks_.size())
    return std::nullopt;
  return next;
}

std::optional<std::size_t> replay_plan::next_message(std::size_t conversation) const {
  const auto& t = tracks_[conversation];
  if (stopped_ || t.stored == t.length)
    return std::nullopt;
  return t.stored;
}

void replay_plan::created(std::size_t conversation) {
  tracks_[conversation].created = true;
}

void replay_plan::acknowledged(std::size_t conversation, clock::time_point sent,
                               clock::time_point now) {
  auto& t = tracks_[conversation];
  times_[t.offset + t.stored++] = now - sent;
  for (auto newest = newest_.load(); newest < now.time_since_epoch();) {
    if (newest_.compare_exchange_weak(newest, now.time_since_epoch()))
      break;
  }
  ++done_;
}

void replay_plan::fail(std::size_t conversation, error why) {
  const std::lock_guard lock{mutex_};
  if (!failed_)
    failed_ = failure{conversation, std::move(why)};
  stopped_ = true;
}

std::optional<replay_plan::failure> replay_plan::failed() const {
  const std::lock_guard lock{mutex_};
  return failed_;
}

std::optional<std::size_t> replay_plan::stored(std::size_t conversation) const {
  const auto& t = tracks_[conversation];
  return t.created ? std::optional{t.stored} : std::nullopt;
}

std::vector<std::chrono::nanoseconds> replay_plan::latencies() const {
  std::vector<std::chrono::nanoseconds> out;
  out.reserve(times_.size());
  for (const auto& t : tracks_) {
    for (auto i = t.first; i < t.stored; ++i)
      out.push_back(times_[t.offset + i]);
  }
  std::sort(out.begin(), out.end());
  return out;
}

std::chrono::nanoseconds percentile(const std::vector<std::chrono::nanoseconds>& times,
                                    unsigned percent) {
  if (times.empty())
    return {};
  const auto rank = (times.size() * percent + 99) / 100;
  return times[std::clamp<std::size_t>(rank, 1, times.size()) - 1];
}

}  // namespace troupe::cli
