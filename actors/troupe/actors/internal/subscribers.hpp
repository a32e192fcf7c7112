#pragma once

/// Who is subscribed to what. Not installed.

#include <troupe/actors/internal/event_queue.hpp>
#include <troupe/state/event_stream.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

namespace troupe::internal {

struct subscriber {
  std::uint64_t id = 0;
  std::shared_ptr<event_queue> queue;
  event_filter filter;
  stream_start from{};                                       ///< while it reads: behind this
  bool live = false;                                         ///< else it reads
  std::uint64_t at = 0;                                      ///< position from which on it is live
  std::uint64_t found = 0;                                   ///< by the look that found it last
  std::unordered_map<entity_ref, entity_parents> parents{};  ///< while it reads, of what it met
};

/// All of them by id, and those that are live by what they want. One owner; a subscriber stays
/// where it is until it is erased.
class subscribers {
public:
  subscriber& add(std::uint64_t id, std::shared_ptr<event_queue> queue, event_filter filter);
  [[nodiscard]] subscriber* find(std::uint64_t id);
  void erase(subscriber& one);
  void set_live(subscriber& one, bool live);
  [[nodiscard]] std::size_t size() const noexcept { return all_.size(); }

  /// Does any live one tell entities by their parents?
  [[nodiscard]] bool wants_parents() const noexcept { return !by_parent_.empty(); }

  /// Puts into `out` the live ones that may want a change of the entity at the position, each once.
  void find(const entity_ref& entity, const entity_parents& before, const entity_parents& after,
            std::uint64_t position, std::vector<subscriber*>& out);

  /// The visitor may erase none.
  template <class F>
  void for_each(F visit) {
    for (auto& [id, one] : all_)
      visit(one);
  }

private:
  template <class Key>
  using index = std::unordered_map<Key, std::vector<subscriber*>>;

  std::unordered_map<std::uint64_t, subscriber> all_;
  index<entity_ref> by_entity_;
  index<entity_ref> by_parent_;
  index<std::string> by_name_space_;  // all entities
  std::uint64_t looks_ = 0;
};

}  // namespace troupe::internal
