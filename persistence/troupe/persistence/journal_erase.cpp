#include <troupe/persistence/internal/bytes.hpp>
#include <troupe/persistence/internal/journal_impl.hpp>
#include <troupe/state/codec.hpp>

/// What folding a deletion leaves: the journal's records and the answers to idempotency keys.
namespace troupe {

using internal::record;
using internal::record_type;

namespace {

constexpr std::uint64_t pages_of_a_record = 4;  // that one put may copy

/// The same change, of which only a deletion is told still; nothing, where that is all it says.
expected<std::optional<std::string>> redacted(std::string_view payload) {
  auto read = decode_change(payload);
  if (!read)
    return unexpected{read.error()};
  const auto before = read->events.size();
  std::erase_if(read->events,
                [](const event& e) { return !std::holds_alternative<entity_deleted>(e); });
  if (read->events.size() == before && !read->asked_by && read->extra.view().is_null())
    return std::nullopt;
  read->asked_by.reset();
  read->extra = {};
  return encode(*read);
}

std::string encoded(std::string_view key, const record& what) {
  std::string out(internal::encoded_size(what), '\0');
  internal::encode_record(out.data(), key, what);
  return out;
}

}  // namespace

/// Of the entity's changes that the journal keeps, newest first.
expected<std::vector<std::uint64_t>> journal_store::impl::positions_of(lmdb::transaction& txn,
                                                                       std::string_view key,
                                                                       std::uint64_t newest) {
  std::vector<std::uint64_t> out;
  for (auto at = newest; at != 0 && at >= first;) {
    const auto change = internal::find_change(txn, dbs, at, key);
    if (!change)
      return unexpected{change.error()};
    out.push_back(at);
    at = change->previous;
  }
  return out;
}

/// The record without what it says of the entity; empty: it says nothing.
expected<std::string> journal_store::impl::redacted_record(std::uint64_t at, std::string_view bytes,
                                                           std::string_view key) {
  const auto changes = internal::changes_in(at, bytes);
  if (!changes)
    return unexpected{changes.error()};
  const auto position_key = internal::be64(at);
  std::string payload;
  std::optional<std::string> said;
  for (auto change : *changes) {
    std::optional<std::string> less;
    if (internal::entity_key(change.name_space, change.kind, change.id) == key) {
      auto made = redacted(change.payload);
      if (!made)
        return unexpected{made.error()};
      less = said = *std::move(made);
    }
    if (less)
      change.payload = *less;
    payload += encoded(position_key, change);
  }
  if (!said)
    return std::string{};
  if (internal::type_of(bytes) != record_type::set)
    return payload;
  auto outer = internal::decode_record(position_key, bytes, record_type::set);
  if (!outer)
    return unexpected{outer.error()};
  outer->payload = payload;
  return encoded(position_key, *outer);
}

expected<std::uint64_t> journal_store::impl::erase_answers(lmdb::transaction& txn,
                                                           std::string_view key) {
  const auto prefix = internal::parts_of(key);
  std::vector<std::string> times;
  {
    lmdb::cursor answers{txn, dbs.answers};
    for (auto at = answers.seek(prefix); at && at->key.starts_with(prefix); at = answers.next()) {
      const auto stored = internal::decode_record(at->key, at->value, record_type::answer);
      const auto answered = stored ? decode_answer(stored->payload) : unexpected{stored.error()};
      if (!answered)
        return fail(answered.error().code, "an answer: " + answered.error().message);
      times.push_back(internal::be64(static_cast<std::uint64_t>(answered->at.ms)).append(at->key));
      answers.erase();
    }
  }
  for (const auto& one : times)
    txn.erase(dbs.answer_times, one);
  return times.size();
}

expected<erasure> journal_store::impl::erase(const entity_ref& entity) {
  if (auto done = materialise(entity); !done)
    return unexpected{done.error()};
  const auto key =
      internal::entity_key(name_spaces.hash_of(entity.name_space), entity.kind, entity.id);
  std::vector<std::pair<std::uint64_t, std::string>> rewritten;
  erasure out;
  std::uint64_t bytes = 0;
  {
    auto txn = lmdb::transaction::read(env);
    const auto known = read_known(txn, key, internal::verify::checksum);
    if (!known)
      return unexpected{known.error()};
    if (known->revision == 0)
      return fail(errc::not_found, to_string(entity) + " was never written");
    const auto header = header_of(txn, entity.kind, key, nullptr);
    if (!header)
      return unexpected{header.error()};
    if (header->live())
      return fail(errc::already_exists, to_string(entity) + " lives: delete it first");
    out.revision = known->revision;
    const auto positions = positions_of(txn, key, known->head.position);
    if (!positions)
      return unexpected{positions.error()};
    for (const auto at : *positions) {
      auto made = redacted_record(at, *txn.get(dbs.journal, internal::be64(at)), key);
      if (!made)
        return unexpected{made.error()};
      if (made->empty())
        continue;
      bytes += made->size();
      rewritten.emplace_back(at, *std::move(made));
    }
  }
  out.changes = rewritten.size();
  env.reserve(bytes + (rewritten.size() + 1) * pages_of_a_record * 4'096 + wal.bytes());
  // A crash in between must not find a mark that tells of a record as it was.
  if (mark_)
    if (auto done = mark_->write({position, 0, false}); !done)
      return unexpected{done.error()};
  auto now_covered = covered, now_tail = tail_bytes;
  std::vector<std::pair<std::uint64_t, std::uint64_t>> lengthened;  // of the tail: where, by what
  {
    auto txn = begin_write();
    forget_fold();  // which counted the records as they were
    for (const auto& [at, value] : rewritten) {
      const auto position_key = internal::be64(at);
      const auto longer = value.size() - txn.get(dbs.journal, position_key)->size();  // or shorter
      (at <= watermark ? now_covered : now_tail) += longer;
      if (at > watermark)
        lengthened.emplace_back(at, longer);
      txn.put(dbs.journal, position_key, value);
    }
    const auto answers = erase_answers(txn, key);
    if (!answers)
      return unexpected{answers.error()};
    out.answers = *answers;
    internal::write_number(txn, dbs.meta, internal::meta_key::covered, now_covered);
    finish(txn);
  }
  for (const auto& [at, longer] : lengthened)
    index.lengthened(at, longer);
  journalled += now_tail - tail_bytes;
  covered = now_covered;
  tail_bytes = now_tail;
  wal.truncate();  // which held the changes as they were, too
  if (mark_)
    if (auto done = write_mark(false); !done)
      return unexpected{done.error()};
  return out;
}

}  // namespace troupe
