#pragma once

#include <troupe/messages/cache_messages.hpp>

#include <caf/actor_system.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>

namespace troupe {

enum class cache_policy : std::uint8_t { lru, s3_fifo };

struct result_cache_options {
  /// Of all namespaces together, divided among the shards. A `hash_seed` of 0: a random one.
  cache_limits limits{};
  cache_policy policy = cache_policy::lru;

  /// Of entries that are set without one; none: they never expire.
  std::optional<std::chrono::milliseconds> default_ttl{};

  /// What one namespace may hold; then: its own entries go. Divided among the shards, too.
  std::map<std::string, cache_limits> quotas{};
  std::optional<cache_limits> default_quota{};  ///< of namespaces that are not named above

  /// A power of two, at most 256; 0: as many as leave each some hundred entries and 16 MiB of the
  /// limits and of every quota, at most 16. One entry is at most as large as a shard's part.
  std::size_t shards = 0;

  std::size_t compress_from = 16 << 10;  ///< bytes of an output; 0: none is compressed
  bool content_invalidation = true;      ///< false: content hashes are not kept
  std::chrono::milliseconds sweep_interval{5'000};
  std::chrono::milliseconds save_interval{500};

  std::function<timestamp()> now{};  ///< empty: the system's clock, up to 4 ms late
  cache_store_actor store{};         ///< what survives a restart; none: nothing does
};

/// What `check_content` found.
struct content_check {
  std::string content_hash;  ///< of the files as they are
  bool changed = false;      ///< it is not the known one
  std::size_t removed = 0;   ///< entries made from the known content
};

/// The result cache: a handle to share. Any thread may call anything.
///
/// A hit is answered on the calling thread in well under a microsecond; the rest goes through the
/// mailbox of the shard that has the key. Promises: a reader never sees a value that has expired,
/// nor one whose invalidation was answered; nor does a later start. A set is seen by everybody once
/// it was answered. Of one shard, the order of eviction is that of the policy exactly.
///
/// Forms with `done` call it once, on a thread of the actor system (it must not block) or, when the
/// answer is at hand, on the caller's. Forms that block must not be called by actors and answer
/// `outcome_unknown` after the deadline. Errors: see `cache_actor`.
class result_cache {
public:
  /// Empty; only to be assigned to.
  result_cache() = default;

  /// The kept output, or a miss.
  [[nodiscard]] std::optional<value> get(const cache_id& id) const;

  /// All that is known of an entry; no trace of it is left.
  [[nodiscard]] std::optional<cache_entry> inspect(const cache_id& id) const;

  /// Keeps a result for `ttl` from now (none: the default; `milliseconds::max()`: for ever), wholly
  /// in place of what the key had. A large output is compressed on this thread; that of a message,
  /// by the shard's actor.
  void set(set_cached request, std::function<void(expected<void>)> done) const;
  expected<void> set(set_cached request,
                     std::chrono::milliseconds deadline = std::chrono::seconds{30}) const;

  /// The kept output; or `compute` is called on this thread, or the result is awaited of whoever
  /// computes it already. An error is not kept and is the answer of all who wait. What `compute`
  /// throws is `internal`. A result that cannot be kept is an answer all the same. `compute` must
  /// not ask for the key it computes.
  expected<value> get_or_compute(const cache_id& id,
                                 const std::function<expected<computed_result>()>& compute,
                                 std::chrono::milliseconds deadline = std::chrono::minutes{
                                     10}) const;

  /// As above: who is to compute is given the turn by `start`, on a thread of the actor system, and
  /// calls it when the result is there. `done` is called once, for him too.
  void get_or_compute(const cache_id& id, std::function<void(computation)> start,
                      std::function<void(expected<value>)> done) const;

  /// Removes entries and says how many; what is written meanwhile may go, too. While the entries of
  /// the last run are loaded, it is answered when they are.
  void invalidate(cache_invalidation what, std::function<void(expected<invalidated>)> done) const;
  expected<invalidated> invalidate(cache_invalidation what,
                                   std::chrono::milliseconds deadline = std::chrono::seconds{
                                       30}) const;

  /// Invalidates when files change: hashes them and, when that is not `known`, removes what was
  /// made from `known`. Blocks while files are read. Errors: those of `content_hash_of_files`.
  expected<content_check> check_content(const std::string& name_space, const std::string& known,
                                        std::span<const std::filesystem::path> files,
                                        std::chrono::milliseconds deadline = std::chrono::seconds{
                                            30}) const;

  /// Of one namespace or of all.
  [[nodiscard]] result_cache_stats stats(const std::optional<std::string>& name_space = {}) const;

  /// The cache to other actors, and, for those who ask much, the shard of one key.
  [[nodiscard]] cache_actor actor() const;
  [[nodiscard]] cache_entry_actor actor_of(const cache_key& key) const;

  /// Refuses what is to be written from now on and calls back when all is saved.
  void drain(std::function<void(expected<void>)> done) const;
  /// Ends the actors without waiting; nothing is found any more. Again is harmless.
  void end() const;
  /// Drains, at most for the deadline, ends and waits for the end.
  void close(std::chrono::milliseconds deadline = std::chrono::seconds{30}) const;

  class impl;  ///< internal
  explicit result_cache(std::shared_ptr<impl> self) : impl_{std::move(self)} {}

private:
  std::shared_ptr<impl> impl_;
};

/// Starts the cache's actors. They end with `close` or with the last handle, which must not outlive
/// the actor system. The store's actor is the caller's to end, after that.
result_cache spawn_result_cache(caf::actor_system& system, result_cache_options options);

/// SHA-256 over the files' paths, sizes and bytes in the order of the paths, as hexadecimal text:
/// what a result was made from. A path given twice counts once; the order given does not matter.
/// Errors, which name the file: `not_found`, `store_failed` (it cannot be read), `busy` (it changed
/// meanwhile).
expected<std::string> content_hash_of_files(std::span<const std::filesystem::path> files);

}  // namespace troupe
