#pragma once

#include <troupe/actors/live_entity.hpp>
#include <troupe/actors/striped_mutex.hpp>

#include <array>
#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <unordered_set>

namespace troupe {

/// Which entities are live. The supervisor alone changes it; any thread reads it. Sharded, so that
/// readers of different entities rarely meet.
class directory {
public:
  void insert(std::shared_ptr<live_entity> entity);
  void erase(const live_entity& entity);

  /// Null when the entity is not live.
  [[nodiscard]] std::shared_ptr<live_entity> find(const entity_ref& name) const;

  /// What it last published; null also when it is not live.
  [[nodiscard]] std::shared_ptr<const entity_state> read(const entity_ref& name) const;

  [[nodiscard]] std::size_t size() const;

  /// Requests on their way to the supervisor, which wakes entities and knows those that end. While
  /// there is one, those that follow it go the same way, so that none overtakes it.
  class detours {
  public:
    void begin() { under_way_.fetch_add(1, std::memory_order_relaxed); }
    /// It was answered, or stands in its actor's mailbox.
    void end() { under_way_.fetch_sub(1, std::memory_order_release); }
    [[nodiscard]] bool none() const { return under_way_.load(std::memory_order_acquire) == 0; }

  private:
    std::atomic<std::uint32_t> under_way_ = 0;
  };
  /// Of this entity, and by chance of a few others.
  [[nodiscard]] detours& detours_of(const entity_ref& name) {
    return detours_[hash{}(name) / shard_count % detours_.size()];
  }

private:
  using pointer = std::shared_ptr<live_entity>;
  struct hash {
    using is_transparent = void;
    std::size_t operator()(const entity_ref& name) const noexcept {
      return std::hash<entity_ref>{}(name);
    }
    std::size_t operator()(const pointer& entity) const noexcept { return (*this)(entity->name()); }
  };
  struct equal {
    using is_transparent = void;
    bool operator()(const pointer& a, const pointer& b) const { return a == b; }
    bool operator()(const pointer& a, const entity_ref& b) const { return a->name() == b; }
    bool operator()(const entity_ref& a, const pointer& b) const { return a == b->name(); }
  };
  static constexpr std::size_t shard_count = 64;
  struct shard {
    mutable internal::striped_mutex mutex;
    std::unordered_set<pointer, hash, equal> live;
  };
  [[nodiscard]] const shard& shard_of(const entity_ref& name) const {
    return shards_[hash{}(name) % shard_count];
  }
  [[nodiscard]] shard& shard_of(const entity_ref& name) {
    return shards_[hash{}(name) % shard_count];
  }

  std::array<shard, shard_count> shards_;
  std::array<detours, 1'024> detours_;
};

}  // namespace troupe
