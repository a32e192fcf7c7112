#pragma once

#include <troupe/persistence/internal/lmdb.hpp>
#include <troupe/persistence/internal/record.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

/// The databases of a store and the small things in them: the numbers of `meta` and the names of
/// namespaces.
namespace troupe::internal {

inline constexpr std::uint64_t oldest_store_format = 3;
inline constexpr std::uint64_t current_store_format = 3;

namespace meta_key {
inline constexpr std::string_view format = "format";
inline constexpr std::string_view watermark =
    "watermark";                                        ///< newest position that snapshots cover
inline constexpr std::string_view first = "first";      ///< oldest position that is kept
inline constexpr std::string_view covered = "covered";  ///< bytes of records up to the watermark
inline constexpr std::string_view epoch = "epoch.0";    ///< of shard 0
inline constexpr std::string_view logs = "logs";        ///< newest number of a log of chunks
}  // namespace meta_key

struct databases {
  lmdb::dbi meta = 0;
  lmdb::dbi name_spaces = 0;
  lmdb::dbi journal = 0;       ///< by position
  lmdb::dbi entities = 0;      ///< by entity
  lmdb::dbi snapshots = 0;     ///< by entity: the newest body
  lmdb::dbi versions = 0;      ///< by entity and revision: older bodies that are kept
  lmdb::dbi changes = 0;       ///< by entity and revision: kept ones that the journal has freed
  lmdb::dbi pins = 0;          ///< by entity: the revision that its parent merged last
  lmdb::dbi chunks = 0;        ///< by log, number, checksum
  lmdb::dbi logs = 0;          ///< by log: how many entities use it
  lmdb::dbi answers = 0;       ///< by entity and key
  lmdb::dbi answer_times = 0;  ///< by time, entity and key
};

/// Creates the databases and the first numbers of an empty store.
void create_layout(lmdb::environment& env);

/// Finds the databases of a store; they stay valid while it is open.
/// Errors: `damaged` (LMDB, but no Troupe store), `newer_format`.
expected<databases> find_layout(lmdb::environment& env);

/// A number of `meta`, with its checksum verified.
/// Errors: `damaged`.
expected<std::uint64_t> read_number(lmdb::transaction& txn, lmdb::dbi meta, std::string_view key);

/// As `read_number`, where nothing stands too.
expected<std::optional<std::uint64_t>> find_number(lmdb::transaction& txn, lmdb::dbi db,
                                                   std::string_view key);

void write_number(lmdb::transaction& txn, lmdb::dbi meta, std::string_view key,
                  std::uint64_t number);

/// Namespace names and their hashes, both ways; remembers some thousand. A name is written in the
/// transaction of its first record.
class name_space_table {
public:
  /// The hash, of a name that was written or not.
  const namespace_hash& hash_of(const std::string& name);

  /// Writes the name in this transaction unless it is on disk. `committed` tells that it is there
  /// now, `aborted` that it is not.
  const namespace_hash& store(lmdb::transaction& txn, const databases& dbs,
                              const std::string& name);
  void committed();
  /// Whether it is known to be on disk.
  [[nodiscard]] bool is_stored(const std::string& name) const;
  /// Whether it is there, which is remembered.
  bool find_stored(lmdb::transaction& txn, const databases& dbs, const std::string& name);
  void aborted() { fresh_.clear(); }

  /// Null when it is not remembered.
  [[nodiscard]] const std::string* known_name_of(const namespace_hash& hash) const;

  /// Errors: `damaged` (no such name is on disk, or it does not match its hash).
  expected<std::string> name_of(lmdb::transaction& txn, const databases& dbs,
                                const namespace_hash& hash);

private:
  struct known {
    namespace_hash hash{};
    bool stored = false;
  };

  known& find(const std::string& name);
  const std::string& remember(const namespace_hash& hash, std::string_view name);

  std::unordered_map<std::string, known> by_name_;
  std::unordered_map<std::string, std::string> by_hash_;
  std::vector<std::string> fresh_;
};

}  // namespace troupe::internal
