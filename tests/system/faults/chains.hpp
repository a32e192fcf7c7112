#pragma once

#include <troupe/persistence/store.hpp>

#include <cstdint>
#include <string>
#include <string_view>

/// What an entity of the campaigns holds: a chain of digests over its changes, and bytes that
/// follow from it, cut into a body and chunks, so that every part of a store holds something to be
/// told.
namespace troupe::faults {

struct chain {
  std::uint64_t sequence = 0;
  std::uint64_t digest = 0;
};

[[nodiscard]] chain applied(chain to, std::string_view payload);

/// All that the store keeps of it: the body and the chunks, one behind the other.
[[nodiscard]] std::string text_of(entity_kind kind, const chain& of);
[[nodiscard]] std::string text_of(const stored_parts& stored);

/// The store's `fold_function`: keeps four revisions beside the newest, and pins each tenth.
/// Errors: `damaged`, when what it is given is not what it made.
expected<folded_entity> fold_chains(entity_kind kind, const stored_parts& stored);

}  // namespace troupe::faults
