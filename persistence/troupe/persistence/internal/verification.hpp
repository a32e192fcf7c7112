#pragma once

#include <troupe/persistence/internal/data_directory.hpp>
#include <troupe/persistence/internal/entity_record.hpp>
#include <troupe/persistence/internal/layout.hpp>
#include <troupe/persistence/internal/lmdb.hpp>
#include <troupe/persistence/internal/record.hpp>
#include <troupe/persistence/internal/write_ahead_log.hpp>
#include <troupe/persistence/verify.hpp>

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <vector>

namespace troupe::internal {

[[nodiscard]] std::string name_of(const record& what);

/// One reading of a whole store, from its pages to its invariants; see `verify_store`.
class verification {
public:
  verification(const data_directory& directory, const verify_options& options)
      : directory_{directory},
        options_{options} {}

  expected<verify_report> run();

private:
  /// What was seen of one entity.
  struct entity {
    std::uint64_t record = 0;        // its sequence; 0: there is none
    std::uint64_t snapshot = 0;      // likewise
    std::uint64_t newest = 0;        // the newest change in the journal; 0: none
    std::uint64_t position = 0;      // of that
    std::set<std::uint64_t> kept{};  // changes that the journal has no more
    std::uint64_t oldest = 0;        // change in the journal; 0: none
    entity_head head{};
  };

  void fault(std::string what);

  /// What a damaged page cuts short is a fault of this part, not of the others.
  template <class F>
  void part(const char* name, F read) {
    try {
      read();
    } catch (const lmdb::failure& what) {
      if (what.kind() != lmdb::failure_kind::damaged)
        throw;
      fault(std::string{"the "} + name + " cannot be read to the end: " + what.what());
    }
  }

  // verification.cpp
  expected<void> read_records();
  void read_numbers(lmdb::transaction& txn);
  void read_name_spaces(lmdb::transaction& txn);
  void read_journal(lmdb::transaction& txn);
  expected<void> read_log();
  void read_change(std::uint64_t here, std::string_view key, std::string_view bytes);
  void read_mark(lmdb::transaction& txn);

  // verification_entities.cpp
  void read_entities(lmdb::transaction& txn);
  void read_bodies(lmdb::transaction& txn);
  void read_versions(lmdb::transaction& txn);
  void read_kept_changes(lmdb::transaction& txn);
  void read_pins(lmdb::transaction& txn);
  void read_chunks(lmdb::transaction& txn);
  void read_logs(lmdb::transaction& txn);
  void read_answers(lmdb::transaction& txn);
  void compare_entities();

  /// The record, its checksum, its place and its namespace verified; else nothing and a fault.
  std::optional<record> checked(std::string_view what, const lmdb::entry& at,
                                std::string_view entity_key, record_type type);
  void list_chunks(std::string_view what, const record& body, const entity& of);
  void check_name_space(const record& what, const std::string& where);

  const data_directory& directory_;
  verify_options options_;
  verify_report report_;
  databases dbs_;
  bool journal_read_ = false;
  std::string log_;                    // the file
  std::vector<logged_record> logged_;  // what of it goes behind the journal
  std::set<std::string> name_spaces_;
  std::unordered_map<std::string, entity> entities_;
  std::map<std::uint64_t, std::uint64_t> log_uses_;  // by the entities' records
  std::set<std::tuple<std::uint64_t, std::uint64_t, std::uint32_t>> listed_;  // log, number, check
  std::uint64_t watermark_ = 0;
  std::uint64_t first_ = 1;
  std::uint64_t covered_ = 0;
};

}  // namespace troupe::internal
