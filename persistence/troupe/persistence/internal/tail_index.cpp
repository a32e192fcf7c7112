#include <troupe/persistence/internal/tail_index.hpp>

#include <algorithm>
#include <utility>

namespace troupe::internal {

tail_index::node* tail_index::find(std::string_view key) noexcept {
  return tails_.find(key);
}

std::optional<newest_change> tail_index::newest(std::string_view key) const noexcept {
  if (const auto* found = tails_.find(key))
    return found->value.newest;
  if (const auto* found = young_.find(key))
    return found->value;
  if (const auto* found = old_.find(key))
    return found->value;
  return {};
}

tail_index::node& tail_index::append(node* known, std::string_view key, const newest_change& what,
                                     bool by_state, std::uint64_t bytes_before) {
  const journal_place at{what.position, bytes_before};
  if (known == nullptr) {
    known = &tails_.insert(key);
    known->value.first = what.position;
    known->value.start = begin_tail(*known, at);
    known->value.by_state = by_state;
    for (auto* generation : {&young_, &old_})  // one truth for each entity
      if (auto* found = generation->find(key))
        generation->erase(*found);
  } else if (known->value.first <= folded_from_ && known->value.newest.position <= folded_to_) {
    later_.emplace(known, later_tail{what.position, begin_tail(*known, at), by_state});
  }
  if (!by_state) {
    known->value.by_state = false;
    if (const auto later = later_.find(known); later != later_.end())
      later->second.by_state = false;
  }
  known->value.newest = what;
  return *known;
}

void tail_index::take_back(node& entry, const newest_change& before) {
  const bool last = entry.value.newest.position == entry.value.first;
  if (before.position <= folded_to_)
    forget_later(entry);
  entry.value.newest = before;
  if (last)
    drop(entry, before);
}

void tail_index::materialised(node& entry, const newest_change& upto) {
  if (entry.value.newest == upto)
    return drop(entry, upto);
  forget_start(entry.value.start);
  const auto left = later_.at(&entry);
  later_.erase(&entry);
  entry.value.first = left.first;
  entry.value.start = left.start;
  entry.value.by_state = left.by_state;
}

void tail_index::begin_fold(std::uint64_t newest,
                            const std::function<bool(const node& oldest)>& next) {
  end_fold();  // one that was given up
  for (const auto& [whose, at] : starts_) {
    if (whose == nullptr)
      continue;
    if (!next(*whose))
      break;
    folded_from_ = at.position;
  }
  folded_to_ = newest;
}

void tail_index::end_fold() noexcept {
  folded_from_ = folded_to_ = 0;
  for (const auto& [entry, later] : later_)
    forget_start(later.start);
  later_.clear();
}

const journal_place* tail_index::oldest_without(
    const std::unordered_set<const node*>& covered) const noexcept {
  auto number = first_start_;
  for (const auto& [whose, at] : starts_) {
    if (whose != nullptr && (whose->value.start != number || !covered.contains(whose)))
      return &at;
    ++number;
  }
  return nullptr;
}

void tail_index::lengthened(std::uint64_t position, std::uint64_t by) noexcept {
  for (auto one = starts_.rbegin(); one != starts_.rend() && one->at.position > position; ++one)
    one->at.bytes_before += by;
}

void tail_index::remember(std::string_view key, const newest_change& newest) {
  if (auto* found = old_.find(key))
    old_.erase(*found);
  auto* young = young_.find(key);
  (young != nullptr ? *young : young_.insert(key)).value = newest;
  if (young_.size() < generation_)
    return;
  old_ = std::move(young_);
  young_.clear();
}

std::vector<const tail_index::node*> tail_index::sorted() const {
  std::vector<const node*> out;
  out.reserve(tails_.size());
  tails_.for_each([&](const node& entry) { out.push_back(&entry); });
  std::sort(out.begin(), out.end(),
            [](const node* a, const node* b) { return a->key() < b->key(); });
  return out;
}

void tail_index::drop(node& entry, const newest_change& newest) {
  remember(entry.key(), newest);
  forget_start(entry.value.start);
  forget_later(entry);  // another may come to stand there
  tails_.erase(entry);
}

std::uint64_t tail_index::begin_tail(const node& entry, const journal_place& at) {
  starts_.push_back({&entry, at});
  return first_start_ + starts_.size() - 1;
}

void tail_index::forget_start(std::uint64_t number) noexcept {
  starts_[number - first_start_].whose = nullptr;
  while (!starts_.empty() && starts_.back().whose == nullptr)
    starts_.pop_back();
  for (; !starts_.empty() && starts_.front().whose == nullptr; ++first_start_)
    starts_.pop_front();
}

void tail_index::forget_later(const node& entry) noexcept {
  if (const auto found = later_.find(&entry); found != later_.end()) {
    forget_start(found->second.start);
    later_.erase(found);
  }
}

}  // namespace troupe::internal
