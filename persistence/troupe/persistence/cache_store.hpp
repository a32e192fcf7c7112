#pragma once

#include <troupe/messages/cache_messages.hpp>

#include <cstdint>
#include <filesystem>
#include <memory>

namespace troupe {

struct cache_store_options {
  /// Address space, and the most that the file takes; then: everything is thrown away. Four times
  /// what the cache may hold is room for any mixture of sizes; see docs/on-disk-format.md.
  std::uint64_t map_bytes = 1ULL << 30;
  bool detached = true;  ///< a thread of its own; false only under a test scheduler
};

inline constexpr std::size_t load_slice_entries = 256;    // of one `load`; then: the next
inline constexpr std::size_t load_slice_bytes = 1 << 20;  // of one `load`, about; then: the next

/// What the result cache keeps over a restart, in a directory and an LMDB environment of its own.
/// It may be lost at any time and the rest of Troupe does not mind: what is damaged, of another
/// version or has no room is thrown away as a whole, with a line in the log, and the next begins
/// empty. Two starts that ended while it was loaded count as damage.
///
/// Owner: one thread at a time.
class cache_store {
public:
  /// Opens the subdirectory `cache` of a data directory, or makes it. The journal, where there is
  /// one, is opened before: it closes the data directory to others. Errors: `busy` (in use by
  /// another process, which is named), `damaged` (a symbolic link where the directory belongs),
  /// `store_full`, `store_failed`: there is nothing to throw away, so there is no store.
  static expected<cache_store> open(const std::filesystem::path& data_directory,
                                    const cache_store_options& options);

  cache_store(cache_store&&) noexcept;
  cache_store& operator=(cache_store&&) noexcept;
  ~cache_store();

  /// Writes and erases in one transaction with one sync. Errors: `store_failed`: it could not be
  /// done, nor could everything be thrown away.
  expected<void> write(const save_cached& what);

  /// The next entries behind a position in the order of writing. Nothing more is to come where a
  /// record was damaged: everything was thrown away.
  loaded_cached load(std::uint64_t after);

  [[nodiscard]] cache_store_stats stats() const;

private:
  class impl;
  explicit cache_store(std::unique_ptr<impl> self);

  std::unique_ptr<impl> impl_;
};

/// Starts the actor that owns the store; it is closed when the actor ends: end it explicitly, after
/// the cache.
cache_store_actor spawn_cache_store(caf::actor_system& system, cache_store store,
                                    const cache_store_options& options = {});

}  // namespace troupe
