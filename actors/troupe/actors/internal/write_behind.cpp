#include <troupe/actors/internal/write_behind.hpp>

#include <utility>

namespace troupe::internal {

void write_behind::written(std::shared_ptr<const std::string> name_space, const cache_key& key,
                           bool on_disk) {
  const auto [at, fresh] = changes_.try_emplace(key);
  if (fresh)
    at->second = order_.insert(order_.end(), {{std::move(name_space), key}, on_disk});
}

void write_behind::removed(const removed_entry& what) {
  const auto [at, fresh] = changes_.try_emplace(what.key);
  if (fresh) {
    at->second = order_.insert(order_.end(), {what, true});
  } else if (!at->second->on_disk) {
    order_.erase(at->second);
    changes_.erase(at);
  }
}

std::optional<removed_entry> write_behind::take() {
  if (order_.empty())
    return std::nullopt;
  auto out = std::move(order_.front().what);
  changes_.erase(out.key);
  order_.pop_front();
  return out;
}

void write_behind::clear() {
  order_.clear();
  changes_.clear();
}

}  // namespace troupe::internal
