#pragma once

/// What an operator asks of the store's actor, beside the page of messages.hpp. As there, none
/// leaves the process.

#include <troupe/messages/messages.hpp>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace troupe {

/// An entity from elsewhere, as its snapshot.
struct adopted_entity {
  entity_ref entity;
  std::uint64_t sequence = 0;  ///< the revision that the snapshot holds, at least 1
  std::string snapshot;        ///< `encode(state)`
};

/// Entities that were never stored become part of the store: all or none.
struct adopt_entities {
  std::vector<adopted_entity> entities;
};
struct adopted {
  std::uint64_t entities = 0;
};

/// Takes away what is left of an entity that was deleted.
struct erase_entity {
  entity_ref entity;
};
struct erasure {
  std::uint64_t revision = 0;  ///< of the deletion, which stays known
  std::uint64_t changes = 0;   ///< in the journal, that said something until now
  std::uint64_t answers = 0;   ///< to idempotency keys
};

/// Copies the store while it goes on. `goes_on` is asked now and then, on another thread; false
/// gives up.
struct make_backup {
  std::filesystem::path to;
  bool compacting = false;  ///< leaves free pages out: smaller, and slower to make
  std::function<bool()> goes_on{};
};
struct backup_made {
  std::uint64_t entities = 0;
  std::uint64_t records = 0;   ///< of the journal
  std::uint64_t position = 0;  ///< newest commit position
  std::uint64_t bytes = 0;     ///< of its data file
};

/// Folds what came before into snapshots and frees what they cover but for so many bytes of it, in
/// slices between the commits.
struct free_room {
  std::uint64_t kept_bytes = 0;
};

}  // namespace troupe

#define TROUPE_LOCAL_MESSAGE(type) CAF_ALLOW_UNSAFE_MESSAGE_TYPE(type)
TROUPE_LOCAL_MESSAGE(troupe::adopt_entities)
TROUPE_LOCAL_MESSAGE(troupe::adopted)
TROUPE_LOCAL_MESSAGE(troupe::erase_entity)
TROUPE_LOCAL_MESSAGE(troupe::erasure)
TROUPE_LOCAL_MESSAGE(troupe::make_backup)
TROUPE_LOCAL_MESSAGE(troupe::backup_made)
TROUPE_LOCAL_MESSAGE(troupe::free_room)
#undef TROUPE_LOCAL_MESSAGE

// Ids are fixed by their order: append, never reorder. Room is left for those of the pages before.
CAF_BEGIN_TYPE_ID_BLOCK(troupe_store, caf::first_custom_type_id + 400)
  CAF_ADD_TYPE_ID(troupe_store, (troupe::adopt_entities))
  CAF_ADD_TYPE_ID(troupe_store, (troupe::adopted))
  CAF_ADD_TYPE_ID(troupe_store, (troupe::erase_entity))
  CAF_ADD_TYPE_ID(troupe_store, (troupe::erasure))
  CAF_ADD_TYPE_ID(troupe_store, (troupe::make_backup))
  CAF_ADD_TYPE_ID(troupe_store, (troupe::backup_made))
  CAF_ADD_TYPE_ID(troupe_store, (troupe::free_room))
CAF_END_TYPE_ID_BLOCK(troupe_store)

namespace troupe {

/// The store's actor as an operator sees it. Errors: those of the function of the same name of
/// `store`.
using maintained_store_actor =
    store_actor::extend<caf::result<adopted>(adopt_entities), caf::result<erasure>(erase_entity),
                        caf::result<backup_made>(make_backup), caf::result<store_stats>(free_room)>;

}  // namespace troupe
