#include <troupe/persistence/internal/bytes.hpp>
#include <troupe/persistence/internal/entity_reading.hpp>
#include <troupe/persistence/internal/fold_slice.hpp>

#include <algorithm>
#include <utility>

namespace troupe::internal {

std::uint64_t folded_tail::bytes() const {
  std::uint64_t out = what.parts.header.size() + what.parts.body.size();
  for (const auto& one : chunks)
    out += one.stands ? 0 : one.bytes.size();
  for (const auto& one : what.answers)
    out += one.answer.size();
  return out;
}

std::uint64_t folded_tail::pages() const {
  const auto written = std::ranges::count(chunks, false, &unplaced_chunk::stands);
  return 8 + static_cast<std::uint64_t>(written) + 2 * what.answers.size();
}

namespace {

expected<void> fold_what_is_stored(lmdb::transaction& txn, const databases& dbs,
                                   const fold_function& fold, folded_tail& out) {
  const auto stored = read_entity(txn, dbs, out.key, &out.tail);
  if (!stored)
    return unexpected{stored.error()};
  auto what = fold(split_entity_key(out.key).kind, stored->parts);
  if (!what)
    return unexpected{what.error()};
  out.upon = stored->sequence - stored->parts.changes.size();
  out.what = *std::move(what);
  out.chunks = unplaced(out.what.parts.chunks, stored->parts.chunks);
  return {};
}

/// False: its first chunks are not those that stand, so that somebody was wrong about the state.
expected<bool> fold_what_is_live(lmdb::transaction& txn, const databases& dbs,
                                 std::shared_ptr<const entity_state> live, folded_tail& out) {
  auto standing = read_standing(txn, dbs.snapshots, out.key);
  if (!standing)
    return unexpected{standing.error()};
  auto what = fold_state(std::move(live));
  auto chunks = unplaced_behind(what.parts.chunks, standing->chunks);
  if (!chunks)
    return false;
  out.upon = standing->revision;
  out.live = true;
  out.what = std::move(what);
  out.chunks = *std::move(chunks);
  return true;
}

}  // namespace

expected<folded_tail> fold_tail(lmdb::transaction& txn, const databases& dbs,
                                const fold_function& fold, std::string_view key,
                                const tail_entry& tail, std::shared_ptr<const entity_state> live) {
  folded_tail out{.key = std::string{key}, .tail = tail, .what = {}, .chunks = {}};
  expected<bool> done = false;
  if (live)
    done = fold_what_is_live(txn, dbs, std::move(live), out);
  if (!done)
    return unexpected{done.error()};
  if (!*done)
    if (auto read = fold_what_is_stored(txn, dbs, fold, out); !read)
      return unexpected{read.error()};
  if (out.what.parts.body.size() > max_payload_bytes / 2
      || out.what.parts.header.size() > max_payload_bytes / 2)
    return fail(errc::too_large, "a snapshot has at most 512 MiB");
  return out;
}

void folded_slice::add(folded_tail one) {
  written_bytes += one.bytes();
  pages += one.pages();
  entities.push_back(std::move(one));
}

fold_slice::fold_slice(lmdb::environment& env, const databases& dbs, const fold_function& fold,
                       bounds within, std::uint64_t number, std::uint64_t watermark,
                       std::deque<walked_change> ahead)
    : env_{env},
      dbs_{dbs},
      fold_{fold},
      within_{within},
      number_{number},
      watermark_{watermark},
      walked_{std::move(ahead)},
      walked_to_{walked_.empty() ? watermark : walked_.back().position} {
  for (const auto& one : walked_)
    walked_bytes_ += one.record_bytes;
  txn_.emplace(lmdb::transaction::read_beside(env_));
  if (walked_.empty())
    walk_on();
}

void fold_slice::run() noexcept {
  try {
    const auto still = env_.hold_map();
    result_ = fold_picked();
    try {
      walk_on();
    } catch (const lmdb::failure& what) {  // of what is ahead: told when it is next
      if (what.kind() == lmdb::failure_kind::fatal)
        throw;
    }
  } catch (...) {
    thrown_ = std::current_exception();
  }
  picks_.clear();  // states that are old by now end here, and not where commits are made
  txn_.reset();
}

expected<folded_slice>& fold_slice::result() {
  if (thrown_)
    std::rethrow_exception(thrown_);
  return result_;
}

expected<folded_slice> fold_slice::fold_picked() {
  folded_slice out{.to = watermark_};
  const auto begun = std::chrono::steady_clock::now();
  const bool timed = within_.time.count() != 0;
  bool late = false;
  std::optional<error> fault;
  auto pick = picks_.begin();
  std::size_t done = 0;
  while (done < end_ && !fault) {
    const auto here = walked_[done].position;
    const auto bytes = walked_[done].record_bytes;
    if (out.to != watermark_
        && (late || out.journal_bytes + out.written_bytes + bytes > within_.bytes))
      break;
    const auto before = out.entities.size();
    auto next = done;
    for (; next < walked_.size() && walked_[next].position == here && !fault; ++next) {
      if (pick == picks_.end() || pick->change != next)
        continue;
      const auto& key = walked_[next].key;
      auto made = fold_tail(*txn_, dbs_, fold_, key, pick->tail, std::move(pick->live));
      ++pick;
      if (made)
        out.add(*std::move(made));
      else
        fault = {made.error().code, "cannot fold " + std::string{split_entity_key(key).id}
                                        + " at journal record " + std::to_string(here) + ": "
                                        + made.error().message};
    }
    if (fault) {
      out.entities.erase(out.entities.begin() + static_cast<std::ptrdiff_t>(before),
                         out.entities.end());
      break;
    }
    if (timed && out.entities.size() != before)
      late = std::chrono::steady_clock::now() - begun > within_.time;
    out.journal_bytes += bytes;
    walked_bytes_ -= bytes;
    out.to = here;
    done = next;
  }
  walked_.erase(walked_.begin(), walked_.begin() + static_cast<std::ptrdiff_t>(done));
  if (out.to != watermark_)
    return out;
  if (!fault)
    fault = blocked_.value_or(
        error{errc::damaged, "journal record " + std::to_string(watermark_ + 1) + " is missing"});
  return unexpected{*std::move(fault)};
}

/// As far as a slice may read. What it ends at is told when nothing before it is left.
void fold_slice::walk_on() {
  if (walked_bytes_ >= within_.bytes)
    return;
  lmdb::cursor journal{*txn_, dbs_.journal};
  for (auto at = journal.seek(be64(walked_to_ + 1)); at && walked_bytes_ < within_.bytes;
       at = journal.next()) {
    const auto here = walked_to_ + 1;
    if (get_be64(at->key) != here) {
      blocked_ = {errc::damaged, "journal record " + std::to_string(here) + " is missing"};
      return;
    }
    const auto changes = changes_in(here, at->value);
    if (!changes) {
      blocked_ = changes.error();
      return;
    }
    auto bytes = at->value.size();
    for (const auto& change : *changes)
      walked_.push_back({here, std::exchange(bytes, 0), key_of(change)});
    walked_bytes_ += at->value.size();
    walked_to_ = here;
  }
}

}  // namespace troupe::internal
