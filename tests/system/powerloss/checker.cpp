#include "checker.hpp"

#include "../../support/fold.hpp"

#include <algorithm>

namespace troupe::power {

namespace {

std::string text_of(const error& what) {
  return std::to_string(static_cast<int>(what.code)) + " " + what.message;
}

/// What `commits` commits leave of each entity.
std::vector<std::uint64_t> sequences_after(const expectation& expected, std::uint64_t commits) {
  std::vector<std::uint64_t> out(expected.entities.size());
  for (std::uint64_t i = 0; i < expected.ends[commits]; ++i)
    ++out[expected.journal[i].entity];
  return out;
}

}  // namespace

expected<std::uint64_t> checker::check(const std::filesystem::path& path, const bounds& within,
                                       bool also) {
  auto store = journal_store::open(path, small_bounds(), testing::fold_texts(fold));
  if (!store)
    return fail(errc::damaged, "does not open: " + text_of(store.error()));
  if (const auto& warnings = store->started().warnings; !warnings.empty())
    return fail(errc::damaged, "warns of a loss: " + warnings.front());
  const auto commits = commits_in(*store, within);
  if (!commits)
    return commits;
  auto wrong = compare_entities(*store, *commits);
  if (wrong.empty() && also)
    wrong = go_on(path, std::move(*store), *commits);
  if (!wrong.empty())
    return fail(errc::damaged, wrong);
  return commits;
}

expected<std::uint64_t> checker::commits_in(journal_store& store, const bounds& within) {
  const auto wrong = [](std::string what) { return fail(errc::damaged, std::move(what)); };
  const auto stats = store.stats();
  const auto& ends = expected_.ends;
  const auto end = std::find(ends.begin(), ends.end(), stats.position);
  if (end == ends.end())
    return wrong("a commit in part: the newest position is " + std::to_string(stats.position));
  const auto commits = static_cast<std::uint64_t>(end - ends.begin());
  if (commits < within.acked)
    return wrong("LOST: has " + std::to_string(commits) + " commits, acknowledged were "
                 + std::to_string(within.acked));
  if (commits > within.begun)
    return wrong("has " + std::to_string(commits) + " commits, begun were "
                 + std::to_string(within.begun));

  std::uint64_t next = 1;
  std::string difference;
  const auto read = store.for_each_record(1, stats.position, [&](const journal_record& record) {
    const auto& want = *expected_.journal[record.position - 1].request;
    if (record.position != next)
      difference = "journal record " + std::to_string(next) + " is missing";
    else if (record.entity != want.entity || record.sequence != want.sequence
             || record.payload != want.payload)
      difference = "journal record " + std::to_string(next) + " is not what was written";
    ++next;
    return difference.empty();
  });
  if (!read)
    return wrong("the journal cannot be read: " + text_of(read.error()));
  if (difference.empty() && next != stats.position + 1)
    difference = "the journal ends before record " + std::to_string(next);
  if (!difference.empty())
    return wrong(difference);
  return commits;
}

std::string checker::compare_entities(journal_store& store, std::uint64_t commits) {
  const auto sequences = sequences_after(expected_, commits);
  std::string difference;
  std::size_t listed = 0;
  const auto read = store.for_each_entity([&](const entity_ref& ref, std::uint64_t sequence) {
    ++listed;
    const auto found = expected_.index.find(ref);
    if (found == expected_.index.end() || sequences[found->second] != sequence)
      difference = to_string(ref) + " is listed with revision " + std::to_string(sequence);
    return difference.empty();
  });
  if (!read)
    return "the entities cannot be listed: " + text_of(read.error());
  if (!difference.empty())
    return difference;
  if (const auto want = sequences.size() - std::count(sequences.begin(), sequences.end(), 0U);
      listed != want)
    return std::to_string(listed) + " entities are listed; there are " + std::to_string(want);

  for (std::size_t i = 0; i < sequences.size(); ++i) {
    const auto& ref = expected_.entities[i].ref;
    const auto stored = store.load(ref);
    if (!stored)
      return to_string(ref) + " cannot be loaded: " + text_of(stored.error());
    if (auto wrong = compare_entity(*stored, i, sequences[i]); !wrong.empty())
      return to_string(ref) + wrong;
  }
  return {};
}

std::string checker::compare_entity(const stored_entity& stored, std::size_t entity,
                                    std::uint64_t sequence) {
  const auto& [ref, states, changes] = expected_.entities[entity];
  if (stored.sequence != sequence || stored.parts.changes.size() > sequence)
    return " has revision " + std::to_string(stored.sequence) + ", not " + std::to_string(sequence);
  const auto covered = sequence - stored.parts.changes.size();
  auto& snapshots = snapshots_[entity];
  snapshots.resize(states.size());
  if (covered != 0 && snapshots[covered].empty())
    snapshots[covered] = to_snapshot(ref.kind, states[covered]);
  if (stored.parts.body != snapshots[covered])
    return " has another snapshot at revision " + std::to_string(covered);
  for (std::size_t i = 0; i < stored.parts.changes.size(); ++i)
    if (stored.parts.changes[i] != changes[covered + i]->payload)
      return " has another change at revision " + std::to_string(covered + i + 1);
  return {};
}

/// The next commit of the plan, so that what comes back is compared as before.
std::string checker::go_on(const std::filesystem::path& path, journal_store store,
                           std::uint64_t commits) {
  const auto after = std::min<std::uint64_t>(commits + 1, expected_.ends.size() - 1);
  std::uint64_t number = 0;
  for (const auto& step : plan_) {
    if (step.is != step::what::commit || ++number != commits + 1)
      continue;
    for (const auto& result : store.commit(step.requests))
      if (!result)
        return "takes no commit any more: " + text_of(result.error());
  }
  if (const auto more = store.materialise(); !more)
    return "cannot materialise any more: " + text_of(more.error());
  { const auto closed = std::move(store); }
  const auto again = check(path, {after, after}, false);
  return again ? "" : "after another commit: " + again.error().message;
}

}  // namespace troupe::power
