#pragma once

/// Every message and actor interface of the result cache, on one page. As in messages.hpp: messages
/// stay inside one process, and a handler answers with the result its signature names or with a
/// `caf::error` that carries a `troupe::error`.

#include <troupe/messages/messages.hpp>
#include <troupe/state/cache.hpp>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace troupe {

/// Keeps a result, wholly in place of what the key had. No `ttl`: the cache's default.
struct set_cached {
  cache_id id;
  cache_content content;
  std::optional<std::chrono::milliseconds> ttl{};
};

/// Asks behind every message that was sent before; `result_cache::get` needs no message.
struct get_cached {
  cache_id id;
};
struct cached_output {
  std::optional<value> output;
};

/// What a turn to compute ends with. `kept`, where it is given, is called once the result can be
/// read from the cache or was refused.
struct computed_result {
  cache_content content;
  std::optional<std::chrono::milliseconds> ttl{};
  completion<void> kept{};
};

/// The turn to compute one result while others wait for it: call it once, with the result or with
/// the error that all of them get. Dropped, it wakes them with `outcome_unknown`.
using computation = completion<computed_result>;

/// Asks for a result, or for the turn to compute it.
struct compute_cached {
  cache_id id;
};
struct compute_answer {
  value output{};                     ///< kept, or computed by somebody else meanwhile
  std::optional<computation> turn{};  ///< nobody has it: whoever asked computes
};

/// Removes entries of one namespace: one by its key, those with a label, or all.
struct cache_invalidation {
  struct everything {};
  struct labelled {
    cache_label label{};
    std::string text;
  };

  std::string name_space;
  std::variant<cache_key, labelled, everything> what;
};
struct invalidated {
  std::size_t count = 0;
};

/// No namespace: the whole cache. Of one namespace, `unsaved`, `invalidations`, `computations` and
/// `waits` are not told; its counts begin anew when it was empty.
struct get_cache_stats {
  std::optional<std::string> name_space{};
};

/// Counted since the start, but for what the first six and the last two say of this moment.
struct result_cache_stats {
  std::size_t entries = 0;            ///< held, with those that expired and were not reached yet
  std::uint64_t bytes = 0;            ///< what they count against the limit, see `cache_cost`
  std::uint64_t memory = 0;           ///< taken from the allocator, free places of tables included
  double average_access_count = 0.0;  ///< hits of the entries held, since each was written
  std::size_t name_spaces = 0;
  std::uint64_t unsaved = 0;  ///< entries written or removed that disk does not know of yet
  std::uint64_t hits = 0;
  std::uint64_t misses = 0;
  std::uint64_t evicted_for_entries = 0;  ///< as the cache held as many as it may
  std::uint64_t evicted_for_bytes = 0;    ///< as the cache held as much as it may
  std::uint64_t evicted_for_quota = 0;    ///< as their namespace held what it may
  std::uint64_t expirations = 0;          ///< dropped because their time was over
  std::uint64_t invalidations = 0;        ///< entries removed by request
  std::uint64_t computations = 0;         ///< turns to compute given
  std::uint64_t waits = 0;                ///< requests that waited for somebody else's turn
  bool loading = false;                   ///< what the last run left is still on its way in
  bool saving = false;                    ///< what is written goes to disk, too

  [[nodiscard]] std::uint64_t evictions() const noexcept {
    return evicted_for_entries + evicted_for_bytes + evicted_for_quota;
  }
  [[nodiscard]] double hit_ratio() const noexcept {
    return hits + misses == 0 ? 0.0
                              : static_cast<double>(hits) / static_cast<double>(hits + misses);
  }
};

// Between the parts of the cache ------------------------------------------------------------------

/// From a host thread: what to do and whom to call with the answer.
struct host_set_cached {
  set_cached request;
  completion<void> done;
};
struct host_compute_cached {
  compute_cached request;
  completion<compute_answer> done;
};
struct host_invalidate_cached {
  cache_invalidation request;
  completion<invalidated> done;
};
struct host_drain_cache {
  completion<void> done;
};

/// A turn ended.
struct finish_computation {
  cache_id id;
  std::uint64_t turn = 0;
  expected<computed_result> result{};
};

/// A shard to itself: a slice of what is to go, and the time to tell disk.
struct sweep_cache {
  bool timed = false;  ///< by the timer, not to go on
};
struct flush_cache {};

/// An entry on its way to disk or back, with a packed output as it is.
struct saved_result {
  std::string name_space;
  saved_entry saved;
};

/// From disk to the shard that has these keys, the longest written first. `last`: nothing more
/// comes.
struct restore_cached {
  std::vector<saved_result> entries;
  bool last = false;
};

/// Writes and erases in one transaction.
struct save_cached {
  std::vector<saved_result> written;
  std::vector<cache_key> erased;
};

/// Reads on behind `after` (0: from the first), in the order of writing.
struct load_cached {
  std::uint64_t after = 0;
};
struct loaded_cached {
  std::vector<saved_result> entries;
  std::uint64_t last = 0;  ///< to go on behind
  bool more = false;
};

struct get_cache_store_stats {};
struct cache_store_stats {
  std::uint64_t file_bytes = 0;  ///< of the data file
  std::uint64_t commits = 0;     ///< transactions since the start
  std::uint64_t resets = 0;      ///< times everything was thrown away since the start
};

}  // namespace troupe

#define TROUPE_LOCAL_MESSAGE(type) CAF_ALLOW_UNSAFE_MESSAGE_TYPE(type)
TROUPE_LOCAL_MESSAGE(troupe::set_cached)
TROUPE_LOCAL_MESSAGE(troupe::get_cached)
TROUPE_LOCAL_MESSAGE(troupe::cached_output)
TROUPE_LOCAL_MESSAGE(troupe::compute_cached)
TROUPE_LOCAL_MESSAGE(troupe::compute_answer)
TROUPE_LOCAL_MESSAGE(troupe::cache_invalidation)
TROUPE_LOCAL_MESSAGE(troupe::invalidated)
TROUPE_LOCAL_MESSAGE(troupe::get_cache_stats)
TROUPE_LOCAL_MESSAGE(troupe::result_cache_stats)
TROUPE_LOCAL_MESSAGE(troupe::host_set_cached)
TROUPE_LOCAL_MESSAGE(troupe::host_compute_cached)
TROUPE_LOCAL_MESSAGE(troupe::host_invalidate_cached)
TROUPE_LOCAL_MESSAGE(troupe::host_drain_cache)
TROUPE_LOCAL_MESSAGE(troupe::finish_computation)
TROUPE_LOCAL_MESSAGE(troupe::sweep_cache)
TROUPE_LOCAL_MESSAGE(troupe::flush_cache)
TROUPE_LOCAL_MESSAGE(troupe::restore_cached)
TROUPE_LOCAL_MESSAGE(troupe::save_cached)
TROUPE_LOCAL_MESSAGE(troupe::load_cached)
TROUPE_LOCAL_MESSAGE(troupe::loaded_cached)
TROUPE_LOCAL_MESSAGE(troupe::get_cache_store_stats)
TROUPE_LOCAL_MESSAGE(troupe::cache_store_stats)
#undef TROUPE_LOCAL_MESSAGE

// Ids are fixed by their order: append, never reorder. The block of messages.hpp has the hundred
// before.
CAF_BEGIN_TYPE_ID_BLOCK(troupe_cache, caf::first_custom_type_id + 100)
  CAF_ADD_TYPE_ID(troupe_cache, (troupe::set_cached))
  CAF_ADD_TYPE_ID(troupe_cache, (troupe::get_cached))
  CAF_ADD_TYPE_ID(troupe_cache, (troupe::cached_output))
  CAF_ADD_TYPE_ID(troupe_cache, (troupe::compute_cached))
  CAF_ADD_TYPE_ID(troupe_cache, (troupe::compute_answer))
  CAF_ADD_TYPE_ID(troupe_cache, (troupe::cache_invalidation))
  CAF_ADD_TYPE_ID(troupe_cache, (troupe::invalidated))
  CAF_ADD_TYPE_ID(troupe_cache, (troupe::get_cache_stats))
  CAF_ADD_TYPE_ID(troupe_cache, (troupe::result_cache_stats))
  CAF_ADD_TYPE_ID(troupe_cache, (troupe::host_set_cached))
  CAF_ADD_TYPE_ID(troupe_cache, (troupe::host_compute_cached))
  CAF_ADD_TYPE_ID(troupe_cache, (troupe::host_invalidate_cached))
  CAF_ADD_TYPE_ID(troupe_cache, (troupe::host_drain_cache))
  CAF_ADD_TYPE_ID(troupe_cache, (troupe::finish_computation))
  CAF_ADD_TYPE_ID(troupe_cache, (troupe::sweep_cache))
  CAF_ADD_TYPE_ID(troupe_cache, (troupe::flush_cache))
  CAF_ADD_TYPE_ID(troupe_cache, (troupe::restore_cached))
  CAF_ADD_TYPE_ID(troupe_cache, (troupe::save_cached))
  CAF_ADD_TYPE_ID(troupe_cache, (troupe::load_cached))
  CAF_ADD_TYPE_ID(troupe_cache, (troupe::loaded_cached))
  CAF_ADD_TYPE_ID(troupe_cache, (troupe::get_cache_store_stats))
  CAF_ADD_TYPE_ID(troupe_cache, (troupe::cache_store_stats))
CAF_END_TYPE_ID_BLOCK(troupe_cache)

namespace troupe {

/// The cache to other actors: hands a request on to the shard that has the key, or to all of them
/// and adds up what they answer. Errors: `too_large` (more than a shard or the namespace's quota
/// may hold), `too_many_elements` (tags), `invalid_value` (a ttl that is not positive), `bad_id`
/// (of the namespace), `quota_exceeded` (one namespace too many), `not_supported` (content hashes
/// are switched off), `store_failed` (removed from memory, but disk could not be told), `draining`.
using cache_actor =
    caf::typed_actor<caf::result<void>(set_cached), caf::result<cached_output>(get_cached),
                     caf::result<compute_answer>(compute_cached),
                     caf::result<invalidated>(cache_invalidation),
                     caf::result<result_cache_stats>(get_cache_stats), caf::result<void>(drain)>;

/// The shard that has a key, without the one in front. Errors: as above.
using cache_entry_actor =
    caf::typed_actor<caf::result<void>(set_cached), caf::result<cached_output>(get_cached),
                     caf::result<compute_answer>(compute_cached)>;

/// Owns the entries of one part of the keys: alone writes, removes, sweeps. An invalidation is
/// answered when no reader can find the entries any more, nor a later start. Errors: as above.
using cache_shard_actor =
    caf::typed_actor<caf::result<void>(set_cached), caf::result<cached_output>(get_cached),
                     caf::result<compute_answer>(compute_cached),
                     caf::result<invalidated>(cache_invalidation), caf::result<void>(drain),
                     caf::result<void>(host_set_cached), caf::result<void>(host_compute_cached),
                     caf::result<void>(host_invalidate_cached), caf::result<void>(host_drain_cache),
                     caf::result<void>(finish_computation), caf::result<void>(restore_cached),
                     caf::result<void>(sweep_cache), caf::result<void>(flush_cache)>;

/// Owns the cache's files. Answers a save after its transaction was synced. Throws everything away
/// that it cannot read or has no room for; only where even that fails it answers an error:
/// `store_failed`.
using cache_store_actor =
    caf::typed_actor<caf::result<void>(save_cached), caf::result<loaded_cached>(load_cached),
                     caf::result<cache_store_stats>(get_cache_store_stats)>;

}  // namespace troupe
