#include <troupe/persistence/internal/bytes.hpp>
#include <troupe/persistence/internal/journal_impl.hpp>

#include <algorithm>
#include <chrono>
#include <unordered_set>

namespace troupe {

using internal::chunk_list;
using internal::record;
using internal::record_type;

namespace {

constexpr std::uint64_t page_bytes = 4'096;  // each value written may copy a page of its tree
constexpr int most_forgotten = 1'000;        // answers, by one slice; then: the next goes on

std::string time_key(timestamp at, std::string_view answer) {
  return internal::be64(static_cast<std::uint64_t>(at.ms)).append(answer);
}

}  // namespace

/// One entity's tail, folded.
struct journal_store::impl::folded {
  internal::tail_index::node* entry;
  internal::namespace_hash hash;
  entity_kind kind;
  folded_entity what;
  std::vector<std::string> chunks;  // that were read

  [[nodiscard]] std::string_view key() const { return entry->key(); }
  [[nodiscard]] std::uint64_t bytes() const {
    std::uint64_t out = what.parts.header.size() + what.parts.body.size();
    for (auto i = chunks.size(); i < what.parts.chunks.size(); ++i)
      out += what.parts.chunks[i].size();
    for (const auto& one : what.answers)
      out += one.answer.size();
    return out;
  }
  /// Pages that may be copied: one for each value written.
  [[nodiscard]] std::uint64_t pages() const {
    return 8 + what.parts.chunks.size() - std::min(chunks.size(), what.parts.chunks.size())
           + 2 * what.answers.size();
  }
};

/// Everything that one transaction writes: positions (watermark, to] are covered then.
struct journal_store::impl::slice {
  std::vector<folded> entities;
  std::uint64_t to = 0;
  std::uint64_t journal_bytes = 0;
  std::uint64_t written_bytes = 0;
  std::uint64_t pages = 0;
};

expected<void> journal_store::impl::fold_one(lmdb::transaction& txn,
                                             internal::tail_index::node& entry, slice& out) {
  const auto key = entry.key();
  auto stored = read_entity(txn, key, &entry.value);
  if (!stored)
    return unexpected{stored.error()};
  folded one{.entry = &entry, .hash = {}, .kind = entity_kind::session, .what = {}, .chunks = {}};
  std::copy_n(key.begin(), one.hash.size(), one.hash.begin());
  one.kind = static_cast<entity_kind>(static_cast<unsigned char>(key[one.hash.size()]));
  auto what = fold(one.kind, stored->parts);
  if (!what)
    return unexpected{what.error()};
  if (what->parts.body.size() > internal::max_payload_bytes / 2
      || what->parts.header.size() > internal::max_payload_bytes / 2)
    return fail(errc::too_large, "a snapshot has at most 512 MiB");
  one.what = *std::move(what);
  one.chunks = std::move(stored->parts.chunks);
  out.written_bytes += one.bytes();
  out.pages += one.pages();
  out.entities.push_back(std::move(one));
  return {};
}

/// Reads from the watermark on until the slice is full. An entity is folded at its first record,
/// over its whole tail, so that its later records cost nothing more.
expected<journal_store::impl::slice> journal_store::impl::fold_slice() {
  slice out{.entities = {}, .to = watermark};
  std::unordered_set<const void*> seen;
  const auto begun = std::chrono::steady_clock::now();
  const bool timed = options.slice_time.count() != 0;
  bool late = false;
  // What a slice replaces is free two transactions later, so a small one finds room where a large
  // one does not.
  const auto slice_bytes = env.short_of_room() ? options.slice_bytes / 16 : options.slice_bytes;
  auto txn = lmdb::transaction::read(env);
  lmdb::cursor journal{txn, dbs.journal};
  for (auto at = journal.seek(internal::be64(watermark + 1)); at; at = journal.next()) {
    const auto here = out.to + 1;
    const auto work = out.journal_bytes + out.written_bytes + at->value.size();
    if (out.to != watermark && (work > slice_bytes || late))
      break;
    // An entity that cannot be folded stops the watermark in front of its record, after what can be
    // done before it.
    const auto stop_at = [&](const error& what) -> expected<slice> {
      if (out.to != watermark)
        return std::move(out);
      return unexpected{what};
    };
    if (internal::get_be64(at->key) != here)
      return stop_at({errc::damaged, "journal record " + std::to_string(here) + " is missing"});
    const auto changes = read_changes(here, at->value);
    if (!changes)
      return stop_at(changes.error());
    const auto before = out.entities.size();
    for (const auto& change : *changes) {
      auto* entry = index.find(internal::entity_key(change.name_space, change.kind, change.id));
      if (entry == nullptr || entry->value.first > here || !seen.insert(entry).second)
        continue;
      if (auto done = fold_one(txn, *entry, out); !done) {
        out.entities.erase(out.entities.begin() + static_cast<std::ptrdiff_t>(before),
                           out.entities.end());
        return stop_at({done.error().code, "cannot fold " + std::string{change.id}
                                               + " at journal record " + std::to_string(here) + ": "
                                               + done.error().message});
      }
    }
    if (timed && out.entities.size() != before)
      late = std::chrono::steady_clock::now() - begun > options.slice_time;
    out.journal_bytes += at->value.size();
    out.to = here;
  }
  return out;
}

/// What is folded and the watermark in one transaction: a crash leaves both or none.
expected<void> journal_store::impl::write_slice(slice& what) {
  env.reserve(what.written_bytes + what.pages * page_bytes);
  auto txn = lmdb::transaction::write(env);
  const auto logs_before = logs;
  const auto write = [&]() -> expected<void> {
    for (const auto& one : what.entities)
      if (auto done = write_folded(txn, one); !done)
        return fail(done.error().code, "cannot write " + std::string{one.key().substr(17)} + ": "
                                           + done.error().message);
    using namespace internal;
    write_number(txn, dbs.meta, meta_key::watermark, what.to);
    write_number(txn, dbs.meta, meta_key::covered, covered + what.journal_bytes);
    write_number(txn, dbs.meta, meta_key::logs, logs);
    finish(txn);
    return {};
  };
  try {
    if (auto done = write(); !done) {
      logs = logs_before;
      return done;
    }
  } catch (...) {
    logs = logs_before;
    throw;
  }
  for (const auto& one : what.entities)
    index.materialised(*one.entry);
  watermark = what.to;
  covered += what.journal_bytes;
  tail_bytes -= what.journal_bytes;
  return {};
}

/// The new body and record, and what of the old ones is promised still.
expected<void> journal_store::impl::write_folded(lmdb::transaction& txn, const folded& one) {
  const auto key = one.key();
  const auto prefix = internal::parts_of(key);
  const auto& parts = one.what.parts;
  const auto newest = one.entry->value.newest;
  auto before = read_known(txn, key, internal::verify::checksum);
  if (!before)
    return unexpected{before.error()};
  const auto old = read_body(txn, dbs.snapshots, key);
  if (!old)
    return unexpected{old.error()};
  const auto versions = versions_of(txn, key);
  if (!versions)
    return unexpected{versions.error()};
  const record name{.epoch = epoch,
                    .sequence = newest.sequence,
                    .name_space = one.hash,
                    .kind = one.kind,
                    .id = key.substr(one.hash.size() + 1),
                    .payload = {}};

  std::vector<chunk_list> left, dropped;

  // Which older bodies stay.
  auto bodies = *versions;
  if (*old)
    bodies.push_back((**old).revision);
  internal::kept_versions kept{.revisions = {}, .base = newest.sequence};
  if (parts.live) {
    auto pins = one.what.pins;
    const auto pin = internal::find_number(txn, dbs.pins, key);
    if (!pin)
      return unexpected{pin.error()};
    if (*pin)
      pins.insert(std::upper_bound(pins.begin(), pins.end(), **pin), **pin);
    const auto from = std::max(one.what.keep_from, before->head.base);
    kept = internal::plan_versions(bodies, newest.sequence, one.what.first_revision, from,
                                   one.what.kept_back, pins);
    // A pinned revision in front of the new base, without a body of its own yet, gets one.
    for (const auto revision : pins) {
      if (revision < std::max(before->head.base + 1, one.what.first_revision)
          || revision >= kept.base || std::binary_search(bodies.begin(), bodies.end(), revision))
        continue;
      auto stored = read_at(txn, key, revision);
      if (!stored)
        return unexpected{stored.error()};
      const auto made = fold(one.kind, stored->parts);
      if (!made)
        return unexpected{made.error()};
      auto& head = before->head;
      const auto chunks = internal::place_chunks(
          txn, dbs, made->parts.chunks, {*old ? (**old).chunks : chunk_list{}, {}}, head, logs);
      if (!chunks)
        return unexpected{chunks.error()};
      auto what = name;
      what.sequence = revision;
      write_body(txn, dbs.versions, prefix + internal::be64(revision), what, encode(*chunks),
                 made->parts.body);
      kept.revisions.push_back(revision);
      left.push_back(*chunks);
    }
    std::sort(kept.revisions.begin(), kept.revisions.end());
  } else {
    txn.erase(dbs.pins, key);
  }

  // The new one.
  auto head = std::move(before->head);
  head.position = newest.position;
  head.base = kept.base;
  head.first_revision = one.what.first_revision;
  const internal::known_chunks known{*old ? (**old).chunks : chunk_list{}, one.chunks};
  const auto chunks = internal::place_chunks(txn, dbs, parts.chunks, known, head, logs);
  if (!chunks)
    return unexpected{chunks.error()};
  left.push_back(*chunks);

  // The old ones.
  const auto stays = [&](std::uint64_t revision) {
    return std::binary_search(kept.revisions.begin(), kept.revisions.end(), revision);
  };
  if (*old) {
    const auto revision = (**old).revision;
    if (stays(revision)) {
      auto what = name;
      what.sequence = revision;
      write_body(txn, dbs.versions, prefix + internal::be64(revision), what, encode((**old).chunks),
                 (**old).body);
    }
    (stays(revision) ? left : dropped).push_back((**old).chunks);
  }
  for (const auto revision : *versions) {
    const auto version = read_body(txn, dbs.versions, prefix + internal::be64(revision));
    if (!version)
      return unexpected{version.error()};
    (stays(revision) ? left : dropped).push_back((**version).chunks);
    if (!stays(revision))
      txn.erase(dbs.versions, prefix + internal::be64(revision));
  }
  if (first > 1) {
    lmdb::cursor changes{txn, dbs.changes};
    for (auto at = changes.seek(prefix);
         at && at->key.starts_with(prefix)
         && internal::get_be64(at->key.substr(prefix.size())) <= kept.base;
         at = changes.next())
      changes.erase();
  }
  if (parts.live) {
    if (auto done = internal::drop_chunks(txn, dbs, dropped, left); !done)
      return done;
  } else {
    if (auto done = internal::release_logs(txn, dbs, head.logs); !done)
      return done;
    head.logs.clear();
    head.owns_log = false;
  }
  write_body(txn, dbs.snapshots, key, name, encode(*chunks), parts.body);
  write_known(txn, key, name, head, parts.header);
  return write_answers(txn, key, name, one.what.answers);
}

expected<void> journal_store::impl::write_answers(
    lmdb::transaction& txn, std::string_view entity_key, const record& name,
    const std::vector<folded_entity::answered>& answers) {
  timestamp now{};
  for (const auto& answer : answers) {
    now = std::max(now, answer.at);
    const auto key = internal::parts_of(entity_key) + answer.id;
    auto what = name;
    what.type = record_type::answer;
    what.sequence = answer.revision;
    what.payload = answer.answer;
    if (const auto old = txn.get(dbs.answers, key)) {  // its time was over and the key used again
      const auto stored = internal::decode_record(key, *old, record_type::answer);
      const auto answered = stored ? decode_answer(stored->payload) : unexpected{stored.error()};
      if (!answered)
        return fail(answered.error().code, "an answer: " + answered.error().message);
      txn.erase(dbs.answer_times, time_key(answered->at, key));
    }
    internal::encode_record(txn.reserve(dbs.answers, key, internal::encoded_size(what)), key, what);
    txn.put(dbs.answer_times, time_key(answer.at, key), "");
  }
  if (now.ms != 0)
    forget_answers(txn, now);
  return {};
}

/// Those whose time is over by the newest change.
void journal_store::impl::forget_answers(lmdb::transaction& txn, timestamp now) {
  lmdb::cursor times{txn, dbs.answer_times};
  int left = most_forgotten;
  for (auto at = times.first(); at && left > 0; at = times.next(), --left) {
    const auto made = static_cast<std::int64_t>(internal::get_be64(at->key));
    if (made + answers_kept_ms > now.ms)
      return;
    const std::string key{at->key.substr(8)};
    times.erase();
    txn.erase(dbs.answers, key);
  }
}

expected<bool> journal_store::impl::materialise() {
  if (watermark == position)
    return false;
  auto next = fold_slice();
  if (!next)
    return unexpected{next.error()};
  if (auto done = write_slice(*next); !done)
    return unexpected{done.error()};
  return watermark != position;
}

expected<void> journal_store::impl::materialise(const entity_ref& entity) {
  auto* entry = index.find(
      internal::entity_key(name_spaces.hash_of(entity.name_space), entity.kind, entity.id));
  if (entry == nullptr)
    return {};
  slice one{.entities = {}, .to = watermark};
  {
    auto txn = lmdb::transaction::read(env);
    if (auto done = fold_one(txn, *entry, one); !done)
      return fail(done.error().code,
                  "cannot fold " + to_string(entity) + ": " + done.error().message);
  }
  return write_slice(one);
}

}  // namespace troupe
