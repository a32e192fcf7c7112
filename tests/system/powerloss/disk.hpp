#pragma once

#include "log.hpp"

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// What a disk may hold after a power loss, given what was asked of it: the durable part, and what
/// is pending, of which any subset may have arrived.
namespace troupe::power {

/// One call of the recorded process; views into the log.
struct entry {
  event what{};
  std::uint64_t file = 0;
  std::uint64_t offset = 0;
  std::string_view bytes;
};

/// The calls of a log. A synced write becomes two: the write, which a crash may tear, and the sync
/// of its blocks. Throws `std::runtime_error` when the log is cut or holds a call we do not model.
std::vector<entry> read_log(std::string_view log);

/// Something that arrives on the disk as a whole or not at all: new bytes inside one block, or (no
/// bytes) a greater file size.
struct unit {
  std::uint64_t offset = 0;  ///< of the bytes; else the size
  std::string_view bytes;

  [[nodiscard]] bool is_size() const { return bytes.empty(); }
  [[nodiscard]] std::uint64_t end() const { return offset + bytes.size(); }
};

/// One file. `fsync` makes all that is pending durable; `fdatasync` the bytes, and the size only as
/// far as they reach: it may leave a size pending that no written byte needs. A synced write makes
/// its own blocks durable and no other.
class file_model {
public:
  /// With what is on the disk from before.
  explicit file_model(std::uint64_t block_bytes, std::string durable = {})
      : block_bytes_{block_bytes},
        bytes_{std::move(durable)},
        size_{bytes_.size()},
        volatile_size_{size_} {}

  void write(std::uint64_t offset, std::string_view bytes);
  /// One that becomes shorter is so at once, and what was pending is gone: right for a file of
  /// which nothing is wanted any more.
  void resize(std::uint64_t size);
  void sync();
  void data_sync();
  void sync_blocks(std::uint64_t offset, std::uint64_t size);

  [[nodiscard]] const std::vector<unit>& pending() const { return pending_; }
  /// The durable bytes; behind them, up to `size`, are zeros.
  [[nodiscard]] const std::string& bytes() const { return bytes_; }
  [[nodiscard]] std::uint64_t size() const { return size_; }

  /// The units that became durable since this was asked last.
  [[nodiscard]] std::vector<unit> take_arrived();

private:
  template <class Predicate>
  void arrive(Predicate which);

  std::uint64_t block_bytes_;
  std::string bytes_;
  std::uint64_t size_ = 0;
  std::uint64_t volatile_size_ = 0;  ///< as the running process sees it
  std::vector<unit> pending_;        ///< in the order of the calls
  std::vector<unit> arrived_;
};

/// Paths and what is there: a file's number, or 0 for a directory.
using name_space_tree = std::map<std::string, std::uint64_t, std::less<>>;

/// The names. Changes arrive in their order, as on every journaling file system; the sync of a
/// directory makes the changes in it durable, and those before them. The sync of a file does not
/// promise its name.
class names_model {
public:
  explicit names_model(name_space_tree durable = {}) : durable_{std::move(durable)} {}

  void change(const entry& call);
  void sync_dir(std::string_view path);

  [[nodiscard]] std::size_t pending() const { return pending_.size(); }
  /// What is there when the first `arrived` of the pending changes arrived.
  [[nodiscard]] name_space_tree after(std::size_t arrived) const;

private:
  static void apply(name_space_tree& to, const entry& call);

  name_space_tree durable_;
  std::vector<entry> pending_;
};

}  // namespace troupe::power
