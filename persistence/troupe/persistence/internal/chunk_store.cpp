#include <troupe/persistence/internal/bytes.hpp>
#include <troupe/persistence/internal/chunk_store.hpp>
#include <troupe/persistence/internal/crc32c.hpp>
#include <troupe/state/codec.hpp>
#include <troupe/state/internal/compression.hpp>

#include <algorithm>
#include <cstring>
#include <set>
#include <tuple>

namespace troupe::internal {

namespace {

// A chunk's value is one byte that says how it is written, then its bytes.
constexpr char plain_chunk = 0;
constexpr char zstd_chunk = 1;

std::string chunk_key(const chunk_ref& ref, std::size_t number) {
  return be64(ref.log) + be64(std::uint64_t{number} << 32 | ref.check);
}

unexpected damaged_chunk(const chunk_ref& ref, std::size_t number, std::string_view what) {
  return fail(errc::damaged, "chunk " + std::to_string(number) + " of log "
                                 + std::to_string(ref.log) + " " + std::string{what});
}

expected<std::string> unpack(std::string_view stored) {
  const auto bytes = stored.substr(std::min<std::size_t>(1, stored.size()));
  if (stored.starts_with(plain_chunk))
    return std::string{bytes};
  if (stored.starts_with(zstd_chunk))
    return decompressed(bytes, max_decoded_bytes);
  return fail(errc::damaged, "a chunk does not begin as one");
}

std::string pack(std::string_view bytes) {
  const auto shorter = compressed(std::string{bytes}, default_zstd_threshold);
  return std::string(1, shorter.size() == bytes.size() ? plain_chunk : zstd_chunk) + shorter;
}

/// False when other bytes of the same checksum stand there, or none that can be read.
bool write_chunk(lmdb::transaction& txn, const databases& dbs, const chunk_ref& ref,
                 std::size_t number, const unplaced_chunk& what) {
  const auto key = chunk_key(ref, number);
  if (const auto there = txn.get(dbs.chunks, key))
    return unpack(*there) == std::string{what.bytes};
  const auto write = [&](std::string_view packed) {
    std::memcpy(txn.reserve(dbs.chunks, key, packed.size()), packed.data(), packed.size());
  };
  write(what.packed.empty() ? pack(what.bytes) : what.packed);
  return true;
}

}  // namespace

expected<std::string> read_chunk(lmdb::transaction& txn, const databases& dbs, const chunk_ref& ref,
                                 std::size_t number) {
  const auto stored = txn.get(dbs.chunks, chunk_key(ref, number));
  if (!stored)
    return damaged_chunk(ref, number, "is missing");
  auto bytes = unpack(*stored);
  if (!bytes || crc32c(*bytes) != ref.check)
    return damaged_chunk(ref, number, "does not match its checksum");
  return bytes;
}

std::vector<unplaced_chunk> unplaced(std::span<const std::string_view> chunks) {
  std::vector<unplaced_chunk> out;
  out.reserve(chunks.size());
  for (const auto bytes : chunks)
    out.push_back({.bytes = bytes, .check = crc32c(bytes)});
  return out;
}

std::vector<unplaced_chunk> unplaced(std::span<const std::string_view> chunks,
                                     std::span<const std::string> read) {
  std::vector<unplaced_chunk> out;
  out.reserve(chunks.size());
  for (const auto bytes : chunks) {
    const auto i = out.size();
    if (i < read.size() && read[i] == bytes)
      out.push_back({.bytes = bytes, .stands = true});
    else
      out.push_back({.bytes = bytes, .check = crc32c(bytes), .packed = pack(bytes)});
  }
  return out;
}

std::optional<std::vector<unplaced_chunk>> unplaced_behind(std::span<const std::string_view> chunks,
                                                           const chunk_list& standing) {
  const auto stand = standing.size();
  if (stand > chunks.size() || (stand > 0 && standing.back().check != crc32c(chunks[stand - 1])))
    return {};
  std::vector<unplaced_chunk> out;
  out.reserve(chunks.size());
  for (const auto bytes : chunks.first(stand))
    out.push_back({.bytes = bytes, .stands = true});
  for (const auto bytes : chunks.subspan(stand))
    out.push_back({.bytes = bytes, .check = crc32c(bytes), .packed = pack(bytes)});
  return out;
}

expected<chunk_list> place_chunks(lmdb::transaction& txn, const databases& dbs,
                                  std::span<const unplaced_chunk> chunks, const chunk_list& known,
                                  entity_head& head, std::uint64_t& logs) {
  chunk_list out;
  out.reserve(chunks.size());
  const auto own_log = [&]() -> expected<std::uint64_t> {
    if (!head.owns_log) {
      const auto fresh = ++logs;
      if (auto done = hold_logs(txn, dbs, {&fresh, 1}); !done)
        return unexpected{done.error()};
      head.logs.insert(head.logs.begin(), fresh);
      head.owns_log = true;
    }
    return head.logs.front();
  };
  const auto stands_there = [&](std::size_t i) {
    if (chunks[i].stands)
      return true;
    return i < known.size() && known[i].check == chunks[i].check
           && write_chunk(txn, dbs, known[i], i, chunks[i]);
  };
  for (std::size_t i = 0; i < chunks.size(); ++i) {
    if (stands_there(i)) {
      out.push_back(known.at(i));
      continue;
    }
    const auto check = chunks[i].check;
    auto log = own_log();
    while (log && !write_chunk(txn, dbs, {*log, check}, i, chunks[i])) {
      head.owns_log = false;  // two contents of one checksum: they stand in two logs
      log = own_log();
    }
    if (!log)
      return unexpected{log.error()};
    out.push_back({*log, check});
  }
  return out;
}

expected<void> hold_logs(lmdb::transaction& txn, const databases& dbs,
                         std::span<const std::uint64_t> logs) {
  for (const auto log : logs) {
    const auto uses = find_number(txn, dbs.logs, be64(log));
    if (!uses)
      return fail(errc::damaged, "log " + std::to_string(log) + ": " + uses.error().message);
    write_number(txn, dbs.logs, be64(log), uses->value_or(0) + 1);
  }
  return {};
}

expected<void> release_logs(lmdb::transaction& txn, const databases& dbs,
                            std::span<const std::uint64_t> logs) {
  for (const auto log : logs) {
    const auto uses = find_number(txn, dbs.logs, be64(log));
    if (!uses || !*uses || **uses == 0)
      return fail(errc::damaged, "log " + std::to_string(log) + " is used, but not counted");
    if (**uses > 1) {
      write_number(txn, dbs.logs, be64(log), **uses - 1);
      continue;
    }
    txn.erase(dbs.logs, be64(log));
    lmdb::cursor chunks{txn, dbs.chunks};
    for (auto at = chunks.seek(be64(log)); at && get_be64(at->key) == log; at = chunks.next())
      chunks.erase();
  }
  return {};
}

expected<void> drop_chunks(lmdb::transaction& txn, const databases& dbs,
                           std::span<const chunk_list> dropped, std::span<const chunk_list> left) {
  const auto is_prefix = [](const chunk_list& a, const chunk_list& b) {
    return a.size() <= b.size() && std::equal(a.begin(), a.end(), b.begin());
  };
  using place = std::tuple<std::uint64_t, std::size_t, std::uint32_t>;
  std::set<place> gone;
  for (const auto& list : dropped) {
    if (std::any_of(left.begin(), left.end(), [&](const auto& x) { return is_prefix(list, x); }))
      continue;
    for (std::size_t i = 0; i < list.size(); ++i)
      gone.insert({list[i].log, i, list[i].check});
  }
  if (gone.empty())
    return {};
  for (const auto& list : left)
    for (std::size_t i = 0; i < list.size(); ++i)
      gone.erase({list[i].log, i, list[i].check});
  for (const auto& [log, number, check] : gone) {
    const auto uses = find_number(txn, dbs.logs, be64(log));
    if (!uses)
      return unexpected{uses.error()};
    if (*uses == 1)
      txn.erase(dbs.chunks, chunk_key({log, check}, number));
  }
  return {};
}

}  // namespace troupe::internal
