#pragma once

/// What result_cache_bench compares: the result cache, an LRU behind a mutex, Redis and memcached
/// over a unix socket. Each keeps 2 KB under the number of a key.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

namespace troupe::bench {

inline constexpr std::size_t value_bytes = 2'000;

/// One thread's way in.
class session {
public:
  virtual ~session() = default;
  virtual bool get(std::uint64_t key) = 0;
  virtual void set(std::uint64_t key) = 0;
  /// May return before it is done; up to 64 are on their way.
  virtual void set_64(std::uint64_t key) { set(key); }
  /// Waits for all that are.
  virtual void finish() {}
};

class subject {
public:
  virtual ~subject() = default;
  [[nodiscard]] virtual std::string name() const = 0;
  /// Empty, for so many entries. False: it is not there to be run.
  virtual bool start(std::size_t capacity) = 0;
  virtual std::unique_ptr<session> connect() = 0;
  virtual void stop() = 0;
};

/// std::list and std::unordered_map behind one std::mutex.
std::unique_ptr<subject> mutex_lru();
/// `redis-server`, `memcached` of the PATH, started in `directory` and ended again; one request at
/// a time on each connection but while sets fill it.
std::unique_ptr<subject> redis(const std::filesystem::path& directory);
std::unique_ptr<subject> memcached(const std::filesystem::path& directory);

}  // namespace troupe::bench
