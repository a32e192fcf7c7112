#pragma once

#include "plan.hpp"

#include <cstdint>
#include <filesystem>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace troupe::power {

/// What a store must hold after a crash: at least the acknowledged commits, at most those begun.
struct bounds {
  std::uint64_t acked = 0;
  std::uint64_t begun = 0;
};

/// Opens stores with the product's own code and compares all they hold with a plan.
class checker {
public:
  checker(workload which, std::uint64_t seed, std::size_t commits)
      : plan_{make_plan(which, seed, commits)},
        known_(plan_.entities.size()),
        known_past_(plan_.entities.size()) {}

  /// Answers the number of commits in the store, or what is wrong: the store opens; what is left of
  /// the journal is what was written, record by record; it ends with a whole commit within the
  /// bounds; each entity is listed and loads as what it was then, with the answers it gave, and its
  /// oldest promised revision, those that are pinned and one more load too. `thorough` also looks
  /// at every promised revision and every header, verifies the file page by page, commits, folds,
  /// frees, reopens, and compares and verifies again.
  expected<std::uint64_t> check(const std::filesystem::path& store, const bounds& within,
                                bool thorough);

private:
  /// The number of commits in the store, or what is wrong.
  expected<std::uint64_t> commits_in(journal_store& store, const bounds& within);
  std::string compare_journal(journal_store& store, std::uint64_t position);
  std::string compare_entities(journal_store& store, std::uint64_t commits, bool all_revisions);
  std::string compare_listing(journal_store& store, std::uint64_t commits);
  std::string compare_headers(journal_store& store, std::uint64_t commits);
  std::string compare_now(const stored_entity& stored, std::size_t entity, std::size_t moment);
  std::string compare_past(journal_store& store, std::size_t entity, std::size_t moment, bool all);
  std::string go_on(const std::filesystem::path& path, journal_store store, std::uint64_t commits);

  static std::string compare_state(const stored_entity& stored, const entity_state& want);
  static std::string compare_answers(const stored_entity& stored, const history& of,
                                     std::size_t moment);

  plan plan_;
  /// What was right before, by entity: a hash of its bytes, and the moment or revision it was of.
  using known = std::set<std::pair<std::size_t, std::uint64_t>>;
  std::vector<known> known_, known_past_;
  std::uint64_t turn_ = 0;
};

}  // namespace troupe::power
