#pragma once

#include <troupe/messages/messages.hpp>

#include <array>
#include <atomic>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <unordered_map>

namespace troupe {

/// The newest committed state of one live entity, as its actor last published it. Any thread may
/// read; only the actor publishes. Empty until the actor has loaded.
class published_state {
public:
  void publish(std::shared_ptr<const entity_state> state);
  [[nodiscard]] std::shared_ptr<const entity_state> read() const;

  /// Whether it was read since this was asked last.
  [[nodiscard]] bool read_lately() const { return read_.exchange(false, relaxed); }

private:
  static constexpr auto relaxed = std::memory_order_relaxed;

  mutable std::atomic<bool> read_ = false;
  mutable std::mutex mutex_;
  std::shared_ptr<const entity_state> state_;
};

/// Which entities are live, and what they last published. The supervisor alone changes it; any
/// thread reads it. Sharded, so that readers of different entities rarely meet.
class directory {
public:
  void insert(const entity_ref& entity, std::shared_ptr<const published_state> state);
  void erase(const entity_ref& entity);

  /// Nothing when the entity is not live.
  [[nodiscard]] std::shared_ptr<const published_state> find(const entity_ref& entity) const;

  [[nodiscard]] std::size_t size() const;

private:
  struct shard {
    mutable std::shared_mutex mutex;
    std::unordered_map<entity_ref, std::shared_ptr<const published_state>> live;
  };
  [[nodiscard]] std::size_t index_of(const entity_ref& entity) const;

  std::array<shard, 64> shards_;
};

}  // namespace troupe
