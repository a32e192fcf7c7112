#include <troupe/persistence/internal/bytes.hpp>
#include <troupe/persistence/internal/journal_impl.hpp>

#include <algorithm>
#include <memory>
#include <unordered_set>
#include <utility>
#include <vector>

namespace troupe {

using internal::chunk_list;
using internal::record;
using internal::record_type;

namespace {

constexpr std::uint64_t page_bytes = 4'096;  // each value written may copy a page of its tree
constexpr int most_forgotten = 1'000;        // answers, by one slice; then: the next goes on
constexpr std::size_t most_looked_up = 512;  // live ones, for one slice; then: the next goes on

std::string time_key(timestamp at, std::string_view answer) {
  return internal::be64(static_cast<std::uint64_t>(at.ms)).append(answer);
}

}  // namespace

std::shared_ptr<const entity_state> journal_store::impl::state_behind(
    const internal::tail_index::node& tail, const state_lookup& live) const {
  if (!tail.value.by_state)
    return nullptr;
  const auto whose = internal::split_entity_key(tail.key());
  const auto* name_space = name_spaces.known_name_of(whose.name_space);
  if (name_space == nullptr)
    return nullptr;
  auto out = live({*name_space, whose.kind, std::string{whose.id}});
  return out && out->revision == tail.value.newest.sequence ? out : nullptr;
}

expected<std::unique_ptr<fold_job>> journal_store::impl::begin_fold(const state_lookup& live) {
  if (watermark == position)
    return nullptr;
  settle();
  // What a slice replaces is free two transactions later, so a small one finds room where a large
  // one does not.
  const auto slice_bytes = env.short_of_room() ? options.slice_bytes / 16 : options.slice_bytes;
  // Twice as many as fill the slice with tails of the mean length.
  const auto filling = 1 + 2 * slice_bytes * index.tails() / std::max<std::uint64_t>(tail_bytes, 1);
  const auto wanted = live ? std::min(most_looked_up, filling) : filling;
  std::vector<internal::fold_slice::picked> picks;
  index.begin_fold(position, [&](const internal::tail_index::node& oldest) {
    if (picks.size() == wanted)
      return false;
    picks.push_back(
        {std::string{oldest.key()}, oldest.value, live ? state_behind(oldest, live) : nullptr});
    return true;
  });
  folding_ = ++folds_;
  return std::make_unique<internal::fold_slice>(
      env, dbs, fold, internal::fold_slice::bounds{slice_bytes, options.slice_time}, folds_,
      std::move(picks));
}

void journal_store::impl::forget_fold() noexcept {
  folding_ = 0;
  index.end_fold();
}

expected<bool> journal_store::impl::end_fold(fold_job& job) {
  auto& slice = static_cast<internal::fold_slice&>(job);
  if (slice.number() != folding_)
    return watermark != position;
  struct ended {
    impl& self;
    ~ended() {
      self.folding_ = 0;
      self.index.end_fold();
    }
  } const whichever_way{*this};
  auto& made = slice.result();
  if (!made)
    return unexpected{made.error()};
  if (auto done = write_slice(*made); !done)
    return unexpected{done.error()};
  return watermark != position;
}

/// What is folded and the watermark in one transaction: a crash leaves both or none.
expected<void> journal_store::impl::write_slice(internal::folded_slice& what) {
  env.reserve(what.written_bytes + what.pages * page_bytes + wal.bytes());
  auto txn = begin_write();
  const auto logs_before = logs;
  // An entity that was materialised alone meanwhile has another tail, or none.
  std::vector<std::pair<internal::tail_index::node*, const internal::folded_tail*>> folds;
  std::unordered_set<const internal::tail_index::node*> whose;
  for (const auto& one : what.entities)
    if (auto* entry = index.find(one.key);
        entry != nullptr && entry->value.first == one.tail.first) {
      folds.emplace_back(entry, &one);
      whose.insert(entry);
    }
  const auto* oldest = index.oldest_without(whose);
  const auto covered_to = oldest != nullptr ? oldest->position - 1 : position;
  const auto left = oldest != nullptr ? journalled - oldest->bytes_before : 0;
  const auto write = [&]() -> expected<void> {
    for (const auto& [entry, one] : folds)
      if (auto done = write_folded(txn, *one); !done)
        return fail(done.error().code,
                    "cannot write " + one->key.substr(17) + ": " + done.error().message);
    using namespace internal;
    write_number(txn, dbs.meta, meta_key::watermark, covered_to);
    write_number(txn, dbs.meta, meta_key::covered, covered + (tail_bytes - left));
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
  watermark = covered_to;
  covered += tail_bytes - left;
  tail_bytes = left;
  for (const auto& [entry, one] : folds) {
    index.materialised(*entry, one->tail.newest);
    ++folded;
    folded_live += one->live ? 1 : 0;
  }
  return {};
}

/// The new body and record, and what of the old ones is promised still.
expected<void> journal_store::impl::write_folded(lmdb::transaction& txn,
                                                 const internal::folded_tail& one) {
  const std::string_view key = one.key;
  const auto prefix = internal::parts_of(key);
  const auto& parts = one.what.parts;
  const auto newest = one.tail.newest;
  auto before = read_known(txn, key, internal::verify::checksum);
  if (!before)
    return unexpected{before.error()};
  if (before->revision != one.upon)
    return fail(errc::store_failed, "it was folded upon revision " + std::to_string(one.upon)
                                        + " and its snapshot is at "
                                        + std::to_string(before->revision));
  const auto old = internal::read_body(txn, dbs.snapshots, key);
  if (!old)
    return unexpected{old.error()};
  const auto versions = versions_of(txn, key);
  if (!versions)
    return unexpected{versions.error()};
  const auto whose = internal::split_entity_key(key);
  const record name{.epoch = epoch,
                    .sequence = newest.sequence,
                    .name_space = whose.name_space,
                    .kind = whose.kind,
                    .id = whose.id,
                    .payload = {}};

  const auto stood = *old ? (**old).chunks : chunk_list{};
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
      const auto made = fold(name.kind, stored->parts);
      if (!made)
        return unexpected{made.error()};
      auto& head = before->head;
      const auto chunks = internal::place_chunks(txn, dbs, internal::unplaced(made->parts.chunks),
                                                 stood, head, logs);
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
  const auto chunks = internal::place_chunks(txn, dbs, one.chunks, stood, head, logs);
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
    const auto version = internal::read_body(txn, dbs.versions, prefix + internal::be64(revision));
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
  const auto job = begin_fold({});
  if (!job)
    return unexpected{job.error()};
  if (*job == nullptr)
    return false;
  (*job)->run();
  return end_fold(**job);
}

expected<void> journal_store::impl::materialise(const entity_ref& entity) {
  const auto key =
      internal::entity_key(name_spaces.hash_of(entity.name_space), entity.kind, entity.id);
  const auto* entry = index.find(key);
  if (entry == nullptr)
    return {};
  settle(key);
  internal::folded_slice one;
  {
    auto txn = lmdb::transaction::read(env);
    auto made = internal::fold_tail(txn, dbs, fold, entry->key(), entry->value, nullptr);
    if (!made)
      return fail(made.error().code,
                  "cannot fold " + to_string(entity) + ": " + made.error().message);
    one.add(*std::move(made));
  }
  return write_slice(one);
}

}  // namespace troupe
