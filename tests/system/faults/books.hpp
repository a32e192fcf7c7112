#pragma once

#include <troupe/messages/messages.hpp>
#include <troupe/persistence/journal_store.hpp>

#include <array>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

/// What the campaigns of faults write, and what must be there afterwards. What an entity holds is a
/// function of its revision alone, whatever was refused on the way, so that a store is compared
/// with nothing but the revisions that were acknowledged.
namespace troupe::faults {

inline constexpr std::size_t entity_count = 30;

/// Plain numbers, so that they can stand in memory that two processes share.
struct books {
  std::array<std::uint64_t, entity_count> acked{};  ///< newest revision that was acknowledged
  std::array<std::uint64_t, entity_count>
      begun{};  ///< newest that may be there: an unknown outcome
};

[[nodiscard]] entity_ref entity_of(std::size_t entity);
[[nodiscard]] std::string payload_of(std::size_t entity, std::uint64_t revision);

/// A batch of 1 to 12 changes behind what was acknowledged.
[[nodiscard]] std::vector<commit_request> next_batch(std::mt19937_64& random, const books& from);

/// The entity of a request of ours.
[[nodiscard]] std::size_t entity_of(const commit_request& request);

/// How a store differs from the books.
struct difference {
  std::string silent{};  ///< the first that nobody was told of: lost, too much, or other bytes
  std::string named{};   ///< the first `damaged` or `newer_format` that a call answered
};

/// Reads all: every entity, the list, the journal. Stops at nothing.
[[nodiscard]] difference compare(journal_store& store, const books& with);

/// Temporary directories of this process are in memory where there is plenty: what a campaign says
/// does not depend on how long a disk takes to flush.
void use_memory();

/// Bounds that a short run meets.
[[nodiscard]] journal_options run_options();

}  // namespace troupe::faults
