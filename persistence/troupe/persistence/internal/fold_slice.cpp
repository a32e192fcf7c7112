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
  for (const auto& change : stored->parts.changes)
    out.read_bytes += change.size();
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
  read_bytes += one.read_bytes;
  written_bytes += one.bytes();
  pages += one.pages();
  entities.push_back(std::move(one));
}

fold_slice::fold_slice(lmdb::environment& env, const databases& dbs, const fold_function& fold,
                       bounds within, std::uint64_t number, std::vector<picked> picks)
    : env_{env},
      dbs_{dbs},
      fold_{fold},
      within_{within},
      number_{number},
      picks_{std::move(picks)} {
  txn_.emplace(lmdb::transaction::read_beside(env_));
}

void fold_slice::run() noexcept {
  try {
    const auto still = env_.hold_map();
    result_ = fold_picked();
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
  folded_slice out;
  const auto begun = std::chrono::steady_clock::now();
  for (auto& [key, tail, live] : picks_) {
    auto made = fold_tail(*txn_, dbs_, fold_, key, tail, std::move(live));
    if (!made && out.entities.empty())
      return fail(made.error().code, "cannot fold " + std::string{split_entity_key(key).id}
                                         + " at journal record " + std::to_string(tail.first) + ": "
                                         + made.error().message);
    if (!made)
      break;
    out.add(*std::move(made));
    const bool late =
        within_.time.count() != 0 && std::chrono::steady_clock::now() - begun > within_.time;
    if (late || out.read_bytes + out.written_bytes >= within_.bytes)
      break;
  }
  return out;
}

}  // namespace troupe::internal
