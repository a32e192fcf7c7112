#include <troupe/persistence/internal/tail_index.hpp>

#include <algorithm>
#include <functional>
#include <utility>

namespace troupe::internal {

tail_index::node* tail_index::find(std::string_view key) noexcept {
  const auto found = tails_.find(key);
  return found == tails_.end() ? nullptr : &*found;
}

std::optional<newest_change> tail_index::newest(std::string_view key) const noexcept {
  if (const auto found = tails_.find(key); found != tails_.end())
    return found->second.newest();
  if (const auto found = young_.find(key); found != young_.end())
    return found->second;
  if (const auto found = old_.find(key); found != old_.end())
    return found->second;
  return {};
}

tail_index::node& tail_index::append(node* known, std::string_view key, const newest_change& what) {
  if (known == nullptr) {
    known = &*tails_.try_emplace(std::string{key}).first;
    for (auto* generation : {&young_, &old_})  // one truth for each entity
      if (const auto found = generation->find(key); found != generation->end())
        generation->erase(found);
  }
  known->second.positions.push_back(what.position);
  known->second.sequence = what.sequence;
  return *known;
}

void tail_index::take_back(node& entry, const newest_change& before) {
  entry.second.positions.pop_back();
  entry.second.sequence = before.sequence;
  if (entry.second.positions.empty())
    drop(entry, before);
}

void tail_index::materialised(node& entry) {
  drop(entry, entry.second.newest());
}

void tail_index::remember(std::string_view key, const newest_change& newest) {
  if (const auto found = old_.find(key); found != old_.end())
    old_.erase(found);
  young_.insert_or_assign(std::string{key}, newest);
  if (young_.size() < generation_)
    return;
  old_ = std::move(young_);
  young_.clear();
}

std::vector<const tail_index::node*> tail_index::sorted() const {
  std::vector<const node*> out;
  out.reserve(tails_.size());
  for (const auto& entry : tails_)
    out.push_back(&entry);
  std::sort(out.begin(), out.end(),
            [](const node* a, const node* b) { return a->first < b->first; });
  return out;
}

void tail_index::drop(node& entry, const newest_change& newest) {
  remember(entry.first, newest);
  tails_.erase(tails_.find(std::string_view{entry.first}));
}

}  // namespace troupe::internal
