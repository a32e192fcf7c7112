#include <troupe/actors/directory.hpp>

#include <utility>

namespace troupe {

void published_state::publish(std::shared_ptr<const entity_state> state) {
  {
    const std::lock_guard lock{mutex_};
    state_.swap(state);
  }
  // What was published before ends here, outside the lock: it may be the last owner of a long
  // history.
}

std::shared_ptr<const entity_state> published_state::read() const {
  if (!read_.load(relaxed))
    read_.store(true, relaxed);
  const std::lock_guard lock{mutex_};
  return state_;
}

std::size_t directory::index_of(const entity_ref& entity) const {
  return std::hash<entity_ref>{}(entity) % shards_.size();
}

void directory::insert(const entity_ref& entity, std::shared_ptr<const published_state> state) {
  auto& in = shards_[index_of(entity)];
  const std::unique_lock lock{in.mutex};
  in.live.insert_or_assign(entity, std::move(state));
}

void directory::erase(const entity_ref& entity) {
  auto& in = shards_[index_of(entity)];
  const std::unique_lock lock{in.mutex};
  in.live.erase(entity);
}

std::shared_ptr<const published_state> directory::find(const entity_ref& entity) const {
  const auto& in = shards_[index_of(entity)];
  const std::shared_lock lock{in.mutex};
  const auto at = in.live.find(entity);
  return at == in.live.end() ? nullptr : at->second;
}

std::size_t directory::size() const {
  std::size_t out = 0;
  for (const auto& s : shards_) {
    const std::shared_lock lock{s.mutex};
    out += s.live.size();
  }
  return out;
}

}  // namespace troupe
