#pragma once

#include <troupe/messages/messages.hpp>
#include <troupe/persistence/journal_store.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

/// What a workload does to the store, and what must be there afterwards: a pure function of its
/// name and seed, so that the process that writes and the one that checks agree without talking.
namespace troupe::power {

enum class workload {
  append,       ///< batches of 1 to 64 changes over 40 sessions, values up to some overflow pages
  materialise,  ///< the same with slices of snapshots between the commits
  lifecycle,    ///< entities of all kinds created, deleted and created again; large snapshots
};
inline constexpr workload all_workloads[] = {workload::append, workload::materialise,
                                             workload::lifecycle};

[[nodiscard]] std::string_view to_string(workload which) noexcept;

struct step {
  enum class what { commit, materialise, reopen } is = what::commit;
  std::vector<commit_request> requests{};  ///< of a commit: all of them succeed
};

[[nodiscard]] std::vector<step> make_plan(workload which, std::uint64_t seed, std::size_t commits);

/// Small bounds, so that a short run meets them: slices of a few snapshots, sequences forgotten.
[[nodiscard]] journal_options small_bounds();

/// An entity's state in the campaign: what was applied, as a chain of checksums, and filler whose
/// size depends on the kind and on whether the entity is deleted.
struct state {
  std::uint64_t sequence = 0;
  std::uint64_t chain = 0;
  bool deleted = false;
};

[[nodiscard]] state applied(state to, std::string_view payload);
[[nodiscard]] std::string to_snapshot(entity_kind kind, const state& of);

/// The store's `fold_function`. Errors: `damaged`, when the snapshot is not one of `to_snapshot`.
expected<std::string> fold(entity_kind kind, std::string_view snapshot,
                           const std::vector<std::string>& changes);

/// The state that a snapshot (empty: none) holds, every byte of it verified.
expected<state> read_snapshot(entity_kind kind, std::string_view snapshot);

/// The commits of a plan, as the journal and the entities must show them.
struct expectation {
  struct change {
    const commit_request* request;
    std::size_t entity;  ///< index into `entities`
  };
  struct entity {
    entity_ref ref;
    std::vector<state> states{};                   ///< by sequence; the first is that of no change
    std::vector<const commit_request*> changes{};  ///< by sequence - 1
  };

  explicit expectation(const std::vector<step>& plan);  ///< which outlives this

  std::vector<change> journal;      ///< by position - 1
  std::vector<std::uint64_t> ends;  ///< position after each number of commits; the first is 0
  std::vector<entity> entities;
  std::unordered_map<entity_ref, std::size_t> index;
};

}  // namespace troupe::power
