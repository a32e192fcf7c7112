#include <troupe/persistence/internal/bytes.hpp>
#include <troupe/persistence/internal/journal_impl.hpp>

#include <algorithm>
#include <ranges>

namespace troupe {

using internal::record;

/// One transaction on its way. What it did to the index is taken back unless it is committed.
struct journal_store::impl::batch {
  impl& self;
  lmdb::transaction txn;
  std::optional<lmdb::cursor> journal;
  std::vector<internal::tail_index::node*> appended;
  std::uint64_t bytes = 0;

  explicit batch(impl& owner) : self{owner}, txn{lmdb::transaction::write(owner.env)} {
    journal.emplace(txn, owner.dbs.journal);
  }
  batch(const batch&) = delete;
  batch& operator=(const batch&) = delete;
  ~batch() {
    self.name_spaces.aborted();
    for (auto* entry : appended | std::views::reverse)
      self.index.take_back(*entry);
  }

  void commit() {
    journal.reset();
    self.finish(txn);
    self.name_spaces.committed();
    self.position += appended.size();
    self.changes += appended.size();
    self.tail_bytes += bytes;
    ++self.commits;
    appended.clear();
  }
};

namespace {

expected<void> check_request(const commit_request& request) {
  const auto fits = [](const std::string& name) {
    return !name.empty() && name.size() <= max_id_bytes;
  };
  if (!fits(request.entity.id) || !fits(request.entity.name_space))
    return fail(errc::bad_id, "an id and a namespace have 1 to 256 bytes");
  if (request.payload.size() > internal::max_payload_bytes)
    return unexpected{
        error{errc::too_large, "a change has at most 1 GiB", {}, {}, internal::max_payload_bytes}};
  return {};
}

std::uint64_t bytes_of(std::span<const commit_request> requests, bool all) {
  std::uint64_t sum = 0;
  for (const auto& request : requests)
    if (all || !request.frees)
      sum += internal::record_header_bytes + request.entity.id.size() + request.payload.size();
  return sum;
}

expected<commit_receipt> no_room() {
  return fail(
      errc::store_full,
      "the store is full but for the reserve that deletions need; delete something, or give "
      "it a greater quota or disk");
}

}  // namespace

/// A damaged page on the way to an entity is no fault of the others in its batch.
expected<commit_receipt> journal_store::impl::append_alone(batch& to,
                                                           const commit_request& request) {
  try {
    return append(to, request);
  } catch (const lmdb::failure& what) {
    if (what.kind() != lmdb::failure_kind::damaged)
      throw;
    return fail(errc::damaged, to_string(request.entity) + ": " + what.what());
  }
}

/// The hot path: one append at the journal's end. Only an entity that nothing in memory knows is
/// looked up on disk.
expected<commit_receipt> journal_store::impl::append(batch& to, const commit_request& request) {
  if (auto fine = check_request(request); !fine)
    return unexpected{fine.error()};
  const auto& hash = name_spaces.store(to.txn, dbs, request.entity.name_space);
  const auto key = internal::entity_key(hash, request.entity.kind, request.entity.id);
  auto* known = index.find(key);
  std::uint64_t stored = 0;
  if (known != nullptr) {
    stored = known->second.sequence;
  } else if (const auto clean = index.sequence(key)) {
    stored = *clean;
  } else {
    const auto found = stored_sequence(to.txn, key, internal::verify::checksum);
    if (!found)
      return unexpected{found.error()};
    stored = *found;
  }
  if (request.sequence != stored + 1)
    return unexpected{error{errc::store_failed,
                            "change " + std::to_string(request.sequence) + " of "
                                + to_string(request.entity)
                                + " does not follow the stored revision " + std::to_string(stored)
                                + ": the write before it failed, or somebody else wrote",
                            {},
                            stored}};

  const record out{.type = internal::record_type::change,
                   .shard = 0,
                   .epoch = epoch,
                   .sequence = request.sequence,
                   .name_space = hash,
                   .kind = request.entity.kind,
                   .id = request.entity.id,
                   .payload = request.payload};
  const auto at = position + to.appended.size() + 1;
  const auto size = internal::encoded_size(out);
  const auto journal_key = internal::be64(at);
  internal::encode_record(to.journal->append(journal_key, size), journal_key, out);
  to.appended.push_back(&index.append(known, key, request.sequence, at));
  to.bytes += size;
  return commit_receipt{at};
}

std::vector<expected<commit_receipt>> journal_store::impl::commit(
    std::span<const commit_request> requests) {
  auto results = attempt(requests, lmdb::purpose::add);
  const bool full = std::ranges::all_of(
      results, [](const auto& x) { return !x && x.error().code == errc::store_full; });
  // What adds found no room in one piece, though there is enough: what frees goes on without it.
  const bool frees = std::ranges::any_of(requests, [](const auto& x) { return x.frees; });
  return full && frees && !failure ? attempt(requests, lmdb::purpose::free) : results;
}

std::vector<expected<commit_receipt>> journal_store::impl::attempt(
    std::span<const commit_request> requests, lmdb::purpose what_for) {
  std::vector<expected<commit_receipt>> results;
  results.reserve(requests.size());
  error why;
  try {
    env.reserve(bytes_of(requests, true), what_for);
    const bool room = what_for == lmdb::purpose::add && env.has_room(bytes_of(requests, false));
    if (what_for == lmdb::purpose::add && !room)
      env.reserve(bytes_of(requests, true));
    batch current{*this};
    for (const auto& request : requests)
      results.push_back(room || request.frees ? append_alone(current, request) : no_room());
    if (!current.appended.empty()) {
      current.commit();
      mark_in_time();
    }
    return results;
  } catch (const lmdb::failure& what) {
    if (failure)
      why = {errc::outcome_unknown, failure->message};
    else if (what.kind() == lmdb::failure_kind::fatal)
      why = stop(errc::store_failed, what.what());  // before the commit: nothing was written
    else
      why = {code_of(what), what.what()};
  }
  for (auto& result : results)
    if (result)
      result = unexpected{why};
  results.resize(requests.size(), unexpected{why});
  return results;
}

}  // namespace troupe
