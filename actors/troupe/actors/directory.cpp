#include <troupe/actors/directory.hpp>

#include <mutex>
#include <shared_mutex>
#include <utility>

namespace troupe {

void directory::insert(std::shared_ptr<live_entity> entity) {
  auto& in = shard_of(entity->name());
  const std::unique_lock lock{in.mutex};
  in.live.insert(std::move(entity));
}

void directory::erase(const live_entity& entity) {
  auto& in = shard_of(entity.name());
  const std::unique_lock lock{in.mutex};
  if (const auto at = in.live.find(entity.name()); at != in.live.end() && at->get() == &entity)
    in.live.erase(at);
}

std::shared_ptr<live_entity> directory::find(const entity_ref& name) const {
  const auto& in = shard_of(name);
  const std::shared_lock lock{in.mutex};
  const auto at = in.live.find(name);
  return at == in.live.end() ? nullptr : *at;
}

std::shared_ptr<const entity_state> directory::read(const entity_ref& name) const {
  const auto& in = shard_of(name);
  const std::shared_lock lock{in.mutex};
  const auto at = in.live.find(name);
  return at == in.live.end() ? nullptr : (**at).read();
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
