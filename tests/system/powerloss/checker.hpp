#pragma once

#include "plan.hpp"

#include <cstdint>
#include <filesystem>
#include <string>
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
        expected_{plan_},
        snapshots_(expected_.entities.size()) {}

  /// Answers the number of commits in the store, or what is wrong: the store opens; the journal is
  /// what was written, record by record; it ends with a whole commit within the bounds; each entity
  /// is listed and loads with every byte it must have. `go_on` also commits, materialises, reopens
  /// and compares again.
  expected<std::uint64_t> check(const std::filesystem::path& store, const bounds& within,
                                bool go_on);

private:
  /// The number of commits in the store, or what is wrong.
  expected<std::uint64_t> commits_in(journal_store& store, const bounds& within);
  std::string compare_entities(journal_store& store, std::uint64_t commits);
  std::string compare_entity(const stored_entity& stored, std::size_t entity,
                             std::uint64_t sequence);
  std::string go_on(const std::filesystem::path& path, journal_store store, std::uint64_t commits);

  std::vector<step> plan_;
  expectation expected_;
  std::vector<std::vector<std::string>> snapshots_;  ///< as they must be, made when first needed
};

}  // namespace troupe::power
