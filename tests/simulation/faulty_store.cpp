#include "faulty_store.hpp"

#include <troupe/state/codec.hpp>

#include "plant.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

namespace troupe::simulation {

namespace {

bool lies_of_its_own() {
  return planted("ack_before_write") || planted("half_a_change") || planted("sequence_gap")
         || planted("refused_and_written");
}

}  // namespace

faulty_store::fate faulty_store::next_fate() {
  if (node_->sound)
    return fate::written;
  if (luck_.percent(plan_.refused))
    return fate::refused;
  if (luck_.percent(plan_.unknown))
    return fate::unknown;
  return luck_.percent(plan_.stopped) ? fate::stopped : fate::written;
}

std::vector<expected<commit_receipt>> faulty_store::none(std::size_t requests, errc code) const {
  return std::vector<expected<commit_receipt>>(
      requests, tl::unexpected(error{code, "the simulated transaction failed"}));
}

std::vector<expected<commit_receipt>> faulty_store::commit(
    std::span<const commit_request> requests) {
  if (node_->gone || failed_)
    return none(requests.size(), errc::store_failed);
  if (lies_of_its_own())
    return planted_commit(requests);
  const auto what = next_fate();
  if (what != fate::written)
    for (const auto& request : requests)
      checker_.fault(request.entity);
  if (what == fate::refused)
    return none(requests.size(), errc::store_failed);
  const bool lands = what == fate::written || luck_.percent(50);
  std::vector<expected<commit_receipt>> out;
  for (auto rest = requests; lands && !rest.empty();) {
    const auto set = rest.first(std::min(rest.size(), std::size_t{1} + rest.front().together));
    std::ranges::move(write(set), std::back_inserter(out));
    rest = rest.subspan(set.size());
  }
  if (what == fate::written)
    return out;
  if (lands)
    events_.in_doubt();
  if (what == fate::stopped) {
    checker_.stopped();
    failed_ = error{errc::store_failed, "the simulated disk failed"};
  }
  return none(requests.size(), errc::outcome_unknown);
}

/// One request, or those of a set.
std::vector<expected<commit_receipt>> faulty_store::write(std::span<const commit_request> set) {
  if (node_->full && !std::ranges::all_of(set, &commit_request::frees)) {
    for (const auto& request : set)
      checker_.fault(request.entity);
    return none(set.size(), errc::store_full);
  }
  auto done = disk_.commit(set);
  if (done.front()) {
    checker_.landed(set);
    events_.landed(set, done.front()->position);
    return done;
  }
  for (const auto& request : set) {  // of a set those that are to blame
    const auto stored = checker_.head(request.entity);
    if (request.base ? request.sequence <= stored : request.sequence != stored + 1)
      checker_.did_not_follow(request, stored);
  }
  return done;
}

expected<stored_entity> faulty_store::load(const entity_ref& entity) {
  if (node_->gone || failed_)
    return fail(errc::store_failed, "the simulated disk failed");
  if (!node_->sound && luck_.percent(plan_.load_failed)) {
    checker_.fault(entity);
    return fail(errc::store_failed, "the simulated load failed");
  }
  auto out = disk_.load(entity);
  if (!out)
    return out;
  if (planted("stale_load") && out->parts.changes.size() > 1) {
    out->parts.changes.pop_back();
    --out->sequence;
  }
  return luck_.percent(40) ? folded(*std::move(out)) : out;
}

expected<stored_entity> faulty_store::load_at(const entity_ref& entity, std::uint64_t revision) {
  if (node_->gone || failed_)
    return fail(errc::store_failed, "the simulated disk failed");
  if (!node_->sound && luck_.percent(plan_.load_failed)) {
    checker_.fault(entity);
    events_.read_failed();  // it may be to know whose child this is
    return fail(errc::store_failed, "the simulated load failed");
  }
  return disk_.load_at(entity, revision);
}

expected<void> faulty_store::may_read() {
  if (!node_->gone && !failed_ && (node_->sound || !luck_.percent(plan_.load_failed)))
    return {};
  events_.read_failed();
  return fail(errc::store_failed, "the simulated journal cannot be read");
}

expected<void> faulty_store::for_each_record(
    std::uint64_t from, std::uint64_t to, const std::function<bool(const journal_record&)>& next) {
  if (auto ok = may_read(); !ok)
    return ok;
  return disk_.for_each_record(from, to, next);
}

expected<void> faulty_store::for_each_change(
    const entity_ref& entity, std::uint64_t after,
    const std::function<bool(const journal_record&)>& next) {
  if (auto ok = may_read(); !ok)
    return ok;
  return disk_.for_each_change(entity, after, next);
}

/// As a store answers that folded the oldest of these changes.
expected<stored_entity> faulty_store::folded(stored_entity stored) {
  auto& changes = stored.parts.changes;
  const auto count = luck_.below(changes.size() + 1);
  if (count == 0)
    return stored;
  const auto cut = changes.begin() + static_cast<std::ptrdiff_t>(count);
  const stored_parts first{stored.parts.body, stored.parts.chunks, {changes.begin(), cut}};
  const auto done = fold_entity(first);
  if (!done)
    return tl::unexpected(done.error());
  stored_entity out{.parts = {done->parts.body, {}, {cut, changes.end()}},
                    .sequence = stored.sequence,
                    .answers = std::move(stored.answers)};
  for (const auto chunk : done->parts.chunks)
    out.parts.chunks.emplace_back(chunk);
  for (const auto& one : done->answers)
    out.answers.push_back(one.answer);
  return out;
}

/// Each lie is one that a store could tell by mistake.
std::vector<expected<commit_receipt>> faulty_store::planted_commit(
    std::span<const commit_request> requests) {
  std::vector<expected<commit_receipt>> out;
  if (planted("ack_before_write")) {  // what was answered is written with the next transaction
    for (const auto& request : std::exchange(unwritten_, {}))
      write({&request, 1});
  }
  for (std::size_t i = 0; i < requests.size(); ++i) {
    if (const auto behind = requests[i].together; behind > 0) {  // of sets it tells the truth
      std::ranges::move(write(requests.subspan(i, behind + 1)), std::back_inserter(out));
      i += behind;
      continue;
    }
    auto request = requests[i];
    if (planted("ack_before_write")) {
      unwritten_.push_back(std::move(request));
      out.emplace_back(commit_receipt{1});
      continue;
    }
    const bool now = luck_.percent(3);
    auto what = decode_change(request.payload);
    if (planted("half_a_change") && now && what && what->events.size() > 1) {
      what->events.pop_back();
      request.payload = encode(*what);
    }
    if (planted("sequence_gap") && now && what && !request.base) {
      what->revision = ++request.sequence;
      request.payload = encode(*what);
      checker_.landed({&request, 1});
      out.emplace_back(commit_receipt{1});
      continue;
    }
    auto done = write({&request, 1}).front();
    if (planted("refused_and_written") && now && done)
      done = fail(errc::store_failed, "the simulated transaction failed");
    if (!done)
      checker_.fault(request.entity);
    out.push_back(std::move(done));
  }
  return out;
}

}  // namespace troupe::simulation
