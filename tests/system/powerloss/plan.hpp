#pragma once

#include <troupe/messages/messages.hpp>
#include <troupe/persistence/journal_store.hpp>
#include <troupe/state/decide.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

/// What a workload does to the store, and what must be there afterwards: a pure function of its
/// name and seed, so that the process that writes and the one that checks agree without talking.
/// The states are those that `decide` makes, and the store folds them as the product does.
namespace troupe::power {

enum class workload {
  append,    ///< batches of 1 to 64 changes over 40 sessions, values up to some overflow pages
  truncate,  ///< checkpoints, undo, kept revisions, answers; folded and freed between the commits
  fork,      ///< entities of all kinds forked, merged, deleted and created again, also in sets
};
inline constexpr workload all_workloads[] = {workload::append, workload::truncate, workload::fork};

[[nodiscard]] std::string_view to_string(workload which) noexcept;

struct step {
  enum class what {
    commit,
    materialise,
    materialise_one,
    begin_fold,  ///< of the next slice, which commits and all else go on beside
    end_fold,    ///< of the one that was begun, if any
    compact,
    reopen
  } is = what::commit;
  std::vector<commit_request> requests{};  ///< of a commit: all of them succeed
  entity_ref entity{};                     ///< of `materialise_one`
};

/// An entity right behind one of its changes.
struct moment {
  std::shared_ptr<const entity_state> state = std::make_shared<entity_state>();
  std::vector<std::uint64_t> kept{};  ///< revisions that are promised then, itself included
};

/// One entity, through all its lives. No revision is used twice.
struct history {
  struct answered {
    std::size_t moment;
    std::string key;
    outcome answer;
  };
  entity_ref ref;
  std::vector<moment> moments{moment{}};  ///< the first is that of no change
  std::vector<answered> answers{};        ///< in their order

  [[nodiscard]] const entity_state* at(std::uint64_t revision) const;
};

struct plan {
  struct record {
    std::uint64_t position;
    const commit_request* request;
  };
  struct commit {
    std::uint64_t position = 0;          ///< of its last record
    std::vector<std::size_t> moments{};  ///< of each entity, after it
  };

  std::vector<step> steps;
  std::vector<history> entities;
  std::vector<record> journal;  ///< in commit order; those of a set have one position
  std::vector<commit> commits;  ///< after so many commits; the first is that of none
};

[[nodiscard]] plan make_plan(workload which, std::uint64_t seed, std::size_t commits);

/// Small bounds, so that a short run meets them: slices of a few snapshots, sequences forgotten,
/// the journal freed but for its newest records.
[[nodiscard]] journal_options small_bounds();

}  // namespace troupe::power
