#include <troupe/persistence/internal/bytes.hpp>
#include <troupe/persistence/internal/chunk_store.hpp>
#include <troupe/persistence/internal/verification.hpp>

#include <algorithm>

namespace troupe::internal {

namespace {

constexpr std::size_t entity_prefix = sizeof(namespace_hash) + 1;

std::string shown(std::string_view key) {
  return key.size() > entity_prefix ? std::string{key.substr(entity_prefix)} : "a key too short";
}

/// The entity's key in front of `bytes` more and a zero; empty when the key is no such.
std::string_view entity_part(std::string_view key, std::size_t bytes) {
  if (key.size() <= entity_prefix + 1 + bytes || key[key.size() - bytes - 1] != '\0')
    return {};
  return key.substr(0, key.size() - bytes - 1);
}

}  // namespace

void verification::check_name_space(const record& what, const std::string& where) {
  if (!name_spaces_.contains({what.name_space.data(), what.name_space.size()}))
    fault(where + ": the name of its namespace is missing");
}

std::optional<record> verification::checked(std::string_view what, const lmdb::entry& at,
                                            std::string_view key, record_type type) {
  const auto out = decode_record(at.key, at.value, type);
  const auto where = std::string{what} + " of ";
  if (!out) {
    fault(where + shown(at.key) + ": " + out.error().message);
    return {};
  }
  check_name_space(*out, where + name_of(*out));
  if (entity_key(out->name_space, out->kind, out->id) == key)
    return *out;
  fault(where + name_of(*out) + ": it stands under another key, " + shown(at.key));
  return {};
}

void verification::read_entities(lmdb::transaction& txn) {
  lmdb::cursor all{txn, dbs_.entities};
  for (auto at = all.first(); at; at = all.next()) {
    const auto what = checked("the record", *at, at->key, record_type::entity);
    if (!what)
      continue;
    auto payload = what->payload;
    const auto head = take_head(payload);
    if (!head) {
      fault("the record of " + name_of(*what) + ": " + head.error().message);
      continue;
    }
    auto& of = entities_[std::string{at->key}];
    of.record = what->sequence;
    of.head = *head;
    for (const auto log : head->logs)
      ++log_uses_[log];
    if (head->base > what->sequence)
      fault("the record of " + name_of(*what) + ": its base is behind its revision");
  }
}

/// Every chunk a body lists stands in a log that its entity holds.
void verification::list_chunks(std::string_view what, const record& body, const entity& of) {
  auto payload = body.payload;
  const auto chunks = take_chunks(payload);
  if (!chunks)
    return fault(std::string{what} + " of " + name_of(body) + ": " + chunks.error().message);
  for (std::size_t i = 0; i < chunks->size(); ++i) {
    const auto [log, check] = (*chunks)[i];
    listed_.emplace(log, i, check);
    if (std::find(of.head.logs.begin(), of.head.logs.end(), log) == of.head.logs.end())
      fault(std::string{what} + " of " + name_of(body) + ": chunk " + std::to_string(i)
            + " stands in log " + std::to_string(log) + ", which it does not hold");
  }
}

void verification::read_bodies(lmdb::transaction& txn) {
  lmdb::cursor all{txn, dbs_.snapshots};
  for (auto at = all.first(); at; at = all.next()) {
    ++report_.snapshots;
    const auto what = checked("snapshot", *at, at->key, record_type::snapshot);
    if (!what)
      continue;
    auto& of = entities_[std::string{at->key}];
    of.snapshot = what->sequence;
    list_chunks("snapshot", *what, of);
  }
}

void verification::read_versions(lmdb::transaction& txn) {
  lmdb::cursor all{txn, dbs_.versions};
  for (auto at = all.first(); at; at = all.next()) {
    const auto key = entity_part(at->key, 8);
    const auto what = checked("a version", *at, key, record_type::snapshot);
    if (!what)
      continue;
    const auto& of = entities_[std::string{key}];
    list_chunks("a version", *what, of);
    if (what->sequence != get_be64(at->key.substr(at->key.size() - 8))
        || what->sequence >= of.record)
      fault("a version of " + name_of(*what) + ": revision " + std::to_string(what->sequence)
            + " does not stand where it belongs");
  }
}

void verification::read_kept_changes(lmdb::transaction& txn) {
  lmdb::cursor all{txn, dbs_.changes};
  for (auto at = all.first(); at; at = all.next()) {
    const auto key = entity_part(at->key, 8);
    const auto what = checked("a kept change", *at, key, record_type::change);
    if (!what)
      continue;
    auto& of = entities_[std::string{key}];
    if (what->sequence != get_be64(at->key.substr(at->key.size() - 8)))
      fault("a kept change of " + name_of(*what) + " does not stand where it belongs");
    else
      of.kept.insert(what->sequence);
  }
}

void verification::read_pins(lmdb::transaction& txn) {
  lmdb::cursor all{txn, dbs_.pins};
  for (auto at = all.first(); at; at = all.next())
    if (!find_number(txn, dbs_.pins, std::string{at->key}))
      fault("the pin of " + shown(at->key) + " does not match its checksum");
}

void verification::read_chunks(lmdb::transaction& txn) {
  lmdb::cursor all{txn, dbs_.chunks};
  for (auto at = all.first(); at; at = all.next()) {
    ++report_.chunks;
    if (at->key.size() != 16) {
      fault("a chunk has a key of another length");
      continue;
    }
    const auto second = get_be64(at->key.substr(8));
    const chunk_ref ref{get_be64(at->key), static_cast<std::uint32_t>(second)};
    const auto number = second >> 32;
    if (const auto bytes = read_chunk(txn, dbs_, ref, number); !bytes)
      fault(bytes.error().message);
    report_.unused_chunks += listed_.erase({ref.log, number, ref.check}) == 0 ? 1 : 0;
  }
  for (const auto& [log, number, check] : listed_)
    fault("chunk " + std::to_string(number) + " of log " + std::to_string(log) + " is missing");
}

void verification::read_logs(lmdb::transaction& txn) {
  lmdb::cursor all{txn, dbs_.logs};
  for (auto at = all.first(); at; at = all.next()) {
    const auto uses = find_number(txn, dbs_.logs, std::string{at->key});
    const auto log = at->key.size() == 8 ? get_be64(at->key) : 0;
    const auto counted = log_uses_.find(log);
    const auto seen = counted == log_uses_.end() ? 0 : counted->second;
    if (!uses || !*uses || **uses != seen)
      fault("log " + std::to_string(log) + " is used by " + std::to_string(seen)
            + " entities and says otherwise");
    log_uses_.erase(log);
  }
  for (const auto& [log, uses] : log_uses_)
    fault("log " + std::to_string(log) + " is used and not counted");
}

void verification::read_answers(lmdb::transaction& txn) {
  std::set<std::string, std::less<>> answers;
  lmdb::cursor all{txn, dbs_.answers};
  for (auto at = all.first(); at; at = all.next())
    if (checked("an answer", *at, entity_part(at->key, 16), record_type::answer))
      answers.emplace(at->key);
  lmdb::cursor times{txn, dbs_.answer_times};
  for (auto at = times.first(); at; at = times.next())
    if (at->key.size() <= 8 || answers.erase(std::string{at->key.substr(8)}) == 0)
      fault("a time is kept of an answer that is not");
  for (const auto& left : answers)
    fault("an answer of " + shown(left) + " has no time to be forgotten at");
}

/// What the parts say of one entity.
void verification::compare_entities() {
  for (const auto& [key, of] : entities_) {
    if (of.record != of.snapshot)
      fault(shown(key) + ": its record is at revision " + std::to_string(of.record)
            + ", its snapshot at " + std::to_string(of.snapshot));
    // Every change behind the base is kept, in the journal or by itself.
    const auto end = of.oldest == 0 ? of.record + 1 : std::min(of.oldest, of.record + 1);
    for (auto at = std::max(of.head.base + 1, of.head.first_revision); at < end; ++at)
      if (!of.kept.contains(at)) {
        fault(shown(key) + ": change " + std::to_string(at) + " is promised and missing");
        break;
      }
  }
}

}  // namespace troupe::internal
