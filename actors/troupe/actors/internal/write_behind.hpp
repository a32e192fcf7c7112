#pragma once

/// What disk does not know of yet. Not installed.

#include <troupe/actors/internal/cache_shard.hpp>

#include <cstddef>
#include <cstring>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>

namespace troupe::internal {

struct hash_of_key {
  std::size_t operator()(const cache_key& key) const noexcept {
    std::size_t out;  // SHA-256 has mixed them
    std::memcpy(&out, key.digest.bytes.data() + 16, sizeof out);
    return out;
  }
};

/// Keys whose entries were written or left since they were last saved, in the order of their first
/// change: so many saves on, whatever was changed before is on disk, which is what an answer waits
/// for. What came and left meanwhile is not among them, so however much comes and goes, they are
/// no more than the keys that the cache and the disk have. One owner.
class write_behind {
public:
  /// `on_disk`: an older entry of this key may be there.
  void written(std::shared_ptr<const std::string> name_space, const cache_key& key, bool on_disk);
  void removed(const removed_entry& what);

  /// The next key to save; it is no longer among them.
  std::optional<removed_entry> take();

  [[nodiscard]] std::size_t size() const noexcept { return changes_.size(); }
  void clear();

private:
  struct change {
    removed_entry what;
    bool on_disk = true;
  };
  using order = std::list<change>;

  order order_;
  std::unordered_map<cache_key, order::iterator, hash_of_key> changes_;
};

}  // namespace troupe::internal
