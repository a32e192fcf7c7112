#pragma once

#include <troupe/state/change.hpp>
#include <troupe/state/commands.hpp>
#include <troupe/state/decide.hpp>

#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

/// Time travel: kept revisions, what differs between two, checkpoints, merging a fork.
namespace troupe {

// Differences
// ------------------------------------------------------------------------------------------------

struct difference {
  std::string path{};  ///< JSON pointer: "/state/KEY", "/items/SEQ", "/todos/ID", ...
  std::optional<value> before{};
  std::optional<value> after{};
  friend bool operator==(const difference&, const difference&) = default;
};

/// What differs between two states, sections in their order, then items. Cost follows the
/// difference where both share structure, as revisions of one entity and forks do.
[[nodiscard]] std::vector<difference> diff(const entity_state& before, const entity_state& after);

/// The events that give `from` the content of `to`; sections that do not revert stay.
[[nodiscard]] std::vector<event> steps_between(const entity_state& from, const entity_state& to,
                                               timestamp now);

// Merging
// ------------------------------------------------------------------------------------------------

struct conflict {
  std::string path{};
  std::optional<value> base{}, ours{}, theirs{};
  friend bool operator==(const conflict&, const conflict&) = default;
};

struct merge_plan {
  std::vector<event> steps{};         ///< apply them to `ours`
  std::vector<conflict> conflicts{};  ///< where both changed the same differently
};

/// Three-way merge. Entries by key; items that `theirs` has beyond `base` follow ours with new
/// numbers and their own times. With a strategy, `steps` decide the conflicts too; with `refuse`
/// they leave them out.
[[nodiscard]] merge_plan plan_merge(const entity_state& base, const entity_state& ours,
                                    const entity_state& theirs, merge_strategy strategy,
                                    timestamp now);

/// The revision of `fork` that the next merge into `parent` starts from: the one merged last, or
/// its first.
[[nodiscard]] std::uint64_t merge_base(const entity_state& parent, const entity_ref& fork,
                                       const entity_state& fork_state);

/// [{"path","base"?,"ours"?,"theirs"?}], as `error::details` has it: the first 100, and of them
/// values up to 4 KiB.
[[nodiscard]] std::string to_json(const std::vector<conflict>& conflicts);

// Checkpoints
// ------------------------------------------------------------------------------------------------

struct checkpoint {
  std::string id{};
  std::string name{};
  std::uint64_t revision = 0;  ///< the pinned one
  timestamp at{};
  std::vector<std::string> tags{};
  value metadata = value::map({});
  bool automatic = false;
  friend bool operator==(const checkpoint&, const checkpoint&) = default;
};

/// Newest first.
[[nodiscard]] std::vector<checkpoint> checkpoints_of(const entity_state& state);
[[nodiscard]] std::optional<checkpoint> find_checkpoint(const entity_state& state,
                                                        std::string_view id);

// Kept revisions
// ------------------------------------------------------------------------------------------------

/// Which revisions are promised: the current one, what is pinned (checkpoints, bases of forks), and
/// of the others the newest `last` that are not older than `max_age_ms`.
struct retention {
  std::uint64_t last = default_keep_revisions;
  std::optional<std::uint64_t> max_age_ms{};
};
[[nodiscard]] retention retention_of(const entity_state& state, const policy& inherited = {});

/// One entity's kept revisions in memory; they share what they have in common, so that a kept one
/// costs its change. One owner.
class timeline final : public kept_revisions {
public:
  explicit timeline(entity_state first, timestamp at = {}) { push(std::move(first), at); }

  /// The next state and the time of the change that made it, which bounds how long it is kept.
  /// REQUIRES: a newer revision than `current`'s.
  void push(entity_state next, timestamp at) { kept_.push_back({std::move(next), at}); }
  [[nodiscard]] const entity_state& current() const noexcept { return kept_.back().state; }
  [[nodiscard]] const entity_state* at(std::uint64_t revision) const override;
  [[nodiscard]] std::vector<std::uint64_t> revisions() const;

  /// Drops what is not promised. Checkpoints, and the revision that a fork began with, are known
  /// from the current state; `pins` are what other entities stand on: revisions that live forks
  /// began at, and of a fork the one that its parent merged last (`merge_base`).
  void prune(const retention& keep, timestamp now, std::span<const std::uint64_t> pins = {});

private:
  struct kept {
    entity_state state;
    timestamp since;
  };
  std::deque<kept> kept_;  // by ascending revision, never empty
};

}  // namespace troupe
