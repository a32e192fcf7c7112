#pragma once

#include <troupe/messages/store_messages.hpp>
#include <troupe/runtime/runtime.hpp>
#include <troupe/state/transfer.hpp>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

/// What an operator does with a store while its runtime goes on. Any thread may call; callbacks run
/// on a runtime thread and must not block. Errors of all: `draining`, `store_full`, `store_failed`,
/// `damaged`.
namespace troupe {

struct import_request {
  std::string file;      ///< an export, see <troupe/state/transfer.hpp>
  bool msgpack = false;  ///< else JSON Lines
  import_limits limits{};
  /// Looks at each entity before any is stored, and may change its ref or refuse it and with it
  /// all; on a thread that nobody waits for. Empty: takes them as they are.
  std::function<expected<void>(exported_entity& what)> admit{};
};

/// The entities of an export become part of the store, all or none, with ids, numbers, times and
/// revisions as they were. No event tells of it: to a stream they are entities whose changes are
/// not kept. Errors: those of `import_jsonl`; of `admit`; `already_exists`, which names the first
/// that was in the store, deleted ones included.
void import_entities(runtime& node, import_request what,
                     std::function<void(expected<std::vector<entity_ref>>)> done);

/// What a deletion left of an entity goes, too: see `store::erase`. Errors: `not_found` (never
/// written), `already_exists` (it lives).
void erase_remains(runtime& node, const entity_ref& of,
                   std::function<void(expected<erasure>)> done);

/// A consistent copy in the new directory `to`, read back and synced before it appears there; given
/// up when the runtime closes. Errors: as `store::backup`.
void back_up(runtime& node, const std::filesystem::path& to, bool compacting,
             std::function<void(expected<backup_made>)> done);

/// Folds what was committed before into snapshots and frees the journal that they cover but for
/// `kept_bytes` of it: streams that are behind get a gap. The file does not shrink; what comes next
/// takes the room.
struct room_made {
  store_stats before{};
  store_stats after{};
};
void make_room(runtime& node, std::uint64_t kept_bytes,
               std::function<void(expected<room_made>)> done);

}  // namespace troupe
