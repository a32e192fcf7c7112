#pragma once

#include <troupe/actors/event_hub.hpp>
#include <troupe/messages/messages.hpp>

#include "checker.hpp"
#include "plan.hpp"

#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace troupe::simulation {

/// Subscribers that come, take, leave and come back, over crashes of the node, and what they may
/// get: each change that is on disk and that they want, once and in order, none that is not, and no
/// gap, since the disk keeps all. One for a simulation; it tells the checker what is wrong.
class event_checker {
public:
  event_checker(checker& to, dice& luck, const plan& how);

  // What the disk does -------------------------------------------------------------------------

  /// Made in one step; told in the order of their positions.
  void landed(std::span<const commit_request> together, std::uint64_t position);
  /// What landed is answered as unknown, which a real store does only when it ends: who is
  /// subscribed now is not told of it, and has to come back.
  void in_doubt() { doubt_ = true; }
  /// From here on until the node ends, a stream may end with `store_failed`.
  void read_failed() { read_failed_ = true; }

  // What happens to subscribers ----------------------------------------------------------------

  void node_began(event_hub_actor hub, std::shared_ptr<commit_feed> feed);
  void node_crashed();
  /// One of them comes, takes some or leaves.
  void act();
  /// All come and take what is there. True: there was something to do.
  [[nodiscard]] bool take_all();
  /// Nothing runs any more, and all took what was there.
  void nothing_is_missing();

  std::uint64_t taken = 0, resumed = 0, cut_off = 0;

private:
  struct record {
    entity_ref entity;
    std::uint64_t position = 0;
    std::uint32_t part = 0, parts = 1;
    std::uint64_t revision = 0;
    std::string payload{};
    std::vector<std::string> events{};
    bool begins = false;                 // a life of its entity
    std::vector<std::string> parents{};  // before and after it, each with its kind
  };
  struct place {
    std::string cursor{};  // empty: none yet
    std::size_t next = 0;  // the first record that may follow
  };
  struct reader {
    std::size_t number = 0;
    subscribe_options options{};
    subscription stream{};
    bool connected = false;
    place at{};
    std::deque<place> before{};
  };

  void connect(reader& one);
  void leave(reader& one);
  void take(reader& one, std::size_t most);
  void got(reader& one, const event_delivery& what);
  void got(reader& one, const event_gap& gap);
  void ended(reader& one, const error& why);
  void after_doubt();
  [[nodiscard]] bool wants(const reader& one, const record& what) const;
  [[nodiscard]] std::size_t next_for(const reader& one) const;
  [[nodiscard]] bool may_not_know_parents(const reader& one) const;
  [[nodiscard]] std::string start_of(const reader& one) const;
  void violated(const reader& one, const std::string& what);

  checker& checker_;
  dice& luck_;
  std::vector<record> journal_;
  std::vector<reader> readers_;
  event_hub_actor hub_;
  std::shared_ptr<commit_feed> feed_;
  bool doubt_ = false, read_failed_ = false;
};

}  // namespace troupe::simulation
