#pragma once

#include <troupe/state/codec.hpp>
#include <troupe/state/versions.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

/// How a store keeps an entity: a header that is listed, a body that is written anew each time, and
/// the complete chunks of its history, which never change and are written once.
namespace troupe {

/// One entity at one revision, in the parts it is stored in.
struct entity_parts {
  std::uint64_t revision = 0;
  bool live = false;                     ///< false: nothing before it is worth keeping
  std::string header;                    ///< `encode(header_of(state))`
  std::string body;                      ///< the state without its complete chunks
  std::vector<std::string_view> chunks;  ///< these, in their order; they live in `owner`
  std::shared_ptr<const void> owner;
};

/// The parts share the state's history.
[[nodiscard]] entity_parts split_entity(std::shared_ptr<const entity_state> state);

/// What stands on disk of one entity: the parts of some revision and the changes since.
struct stored_parts {
  std::string body;  ///< empty: there is none, the changes begin with its creation
  std::vector<std::string> chunks{};
  std::vector<std::string> changes{};  ///< `encode(change)` each
};

/// Errors: `damaged`, `newer_format`.
expected<entity_state> join_entity(const stored_parts& stored);

/// A command that carried an idempotency key, and what it was answered: kept for
/// `answers_kept_ms`.
struct kept_answer {
  idempotency asked;
  timestamp at{};  ///< of the change
  outcome answer{};
  friend bool operator==(const kept_answer&, const kept_answer&) = default;
};
inline constexpr std::int64_t answers_kept_ms = 24 * 3'600 * 1'000;

[[nodiscard]] std::string encode(const kept_answer& answer);
/// Errors: `damaged`, `newer_format`.
expected<kept_answer> decode_answer(std::string_view bytes);

/// Tells one principal's key from all others of its entity: 16 bytes of a SHA-256.
[[nodiscard]] std::string answer_id(const idempotency& asked);

/// What a store writes when it folds changes into the parts.
struct folded_entity {
  entity_parts parts;
  std::uint64_t first_revision = 0;
  std::uint64_t keep_from = 0;      ///< revisions from here on are promised ...
  std::uint64_t kept_back = 0;      ///< so many of them when there are as many
  std::vector<std::uint64_t> pins;  ///< ... and these: checkpoints, and what a fork began with
  struct answered {
    std::string id;  ///< `answer_id`
    std::uint64_t revision = 0;
    timestamp at{};
    std::string answer;  ///< `encode(kept_answer)`
  };
  std::vector<answered> answers;  ///< of the changes folded
};

/// Errors: as `join_entity`.
expected<folded_entity> fold_entity(const stored_parts& stored);

/// The same, of changes that all `folds_by_state`, from the state behind them: nothing is read.
[[nodiscard]] folded_entity fold_state(std::shared_ptr<const entity_state> state);

/// Whether the state behind a change tells all that a store keeps of it: it is no answer to an
/// idempotency key, and the chunks of the history that were complete before it stay as they are.
[[nodiscard]] bool folds_by_state(const change& what);

}  // namespace troupe
