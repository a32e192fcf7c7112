#pragma once

/// A store actor for tests of other actors: its disk is a map that the test reads and writes, and
/// the test says when a commit returns and how.

#include <troupe/messages/messages.hpp>

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace troupe::testing {

/// What the test and the actor share; REQUIRES: the deterministic system, so that they never run at
/// once.
struct fake_disk {
  std::map<entity_ref, std::vector<std::string>> changes;
  bool hold = false;               ///< commits wait for a `release`
  std::optional<error> fail;       ///< the next commit that ends fails so
  bool land_anyway = false;        ///< ... and is on disk all the same
  std::uint64_t sequence_lie = 0;  ///< added to the sequence a load answers
  int loads = 0;
  int folds = 0;
  std::deque<std::pair<commit_set, caf::typed_response_promise<commit_receipt>>> held;
  std::uint64_t position = 0;
  bool note_senders = false;
  caf::actor last_set;                      ///< who sent the newest set, if that is noted ...
  std::map<entity_ref, caf::actor> actors;  ///< ... and who loaded an entity last

  /// All of a set or none of it.
  void finish(const commit_set& set, caf::typed_response_promise<commit_receipt>& promise) {
    const auto write = [&] {
      for (const auto& request : set.changes)
        changes[request.entity].push_back(request.payload);
    };
    if (auto why = std::exchange(fail, std::nullopt)) {
      if (std::exchange(land_anyway, false))
        write();
      return promise.deliver(to_caf(*why));
    }
    for (const auto& request : set.changes)
      if (request.sequence != changes[request.entity].size() + 1)
        return promise.deliver(to_caf({errc::store_failed, "the change does not follow"}));
    write();
    promise.deliver(commit_receipt{++position});
  }

  /// The oldest held commit ends; on the actor's own thread.
  void release_one() {
    auto [set, promise] = std::move(held.front());
    held.pop_front();
    finish(set, promise);
  }
};

class fake_store_behavior {
public:
  static inline const char* name = "troupe.fake_store";

  fake_store_behavior(store_actor::pointer self, std::shared_ptr<fake_disk> disk)
      : self_{self},
        disk_{std::move(disk)} {}

  store_actor::behavior_type make_behavior() {
    return {[this](const commit_request& request) { return take({{request}}); },
            [this](const commit_set& set) {
              if (disk_->note_senders)
                disk_->last_set = caf::actor_cast<caf::actor>(self_->current_sender());
              return take(set);
            },
            [this](const load_request& request) -> caf::result<stored_entity> {
              ++disk_->loads;
              if (disk_->note_senders)
                disk_->actors[request.entity] =
                    caf::actor_cast<caf::actor>(self_->current_sender());
              while (!disk_->held.empty())  // a load sees every change that was sent before it
                disk_->release_one();
              const auto& stored = disk_->changes[request.entity];
              return stored_entity{{{}, {}, stored}, stored.size() + disk_->sequence_lie, {}};
            },
            [](const list_request&) { return listing{}; },
            [](const read_changes&) { return change_slice{}; },
            [](const materialise_one&) {},
            [this](materialise_all) { ++disk_->folds; },
            [this](get_store_stats) -> caf::result<store_stats> {
              if (!disk_->held.empty())
                disk_->release_one();
              return store_stats{.position = disk_->position};
            }};
  }

private:
  caf::result<commit_receipt> take(const commit_set& set) {
    auto promise = self_->make_response_promise<commit_receipt>();
    if (disk_->hold)
      disk_->held.emplace_back(set, promise);
    else
      disk_->finish(set, promise);
    return promise;
  }

  store_actor::pointer self_;
  std::shared_ptr<fake_disk> disk_;
};

/// Lets the oldest held commit end. A promise must be kept by its own actor, so this is a message,
/// too.
inline void release(const store_actor& store) {
  compat::anon_send(store, get_store_stats{});
}

inline store_actor spawn_fake_store(caf::actor_system& system, std::shared_ptr<fake_disk> disk) {
  return system.spawn<caf::stateful_actor<fake_store_behavior, store_actor::base>>(std::move(disk));
}

}  // namespace troupe::testing
