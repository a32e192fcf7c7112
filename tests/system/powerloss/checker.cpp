#include "checker.hpp"

#include <troupe/persistence/verify.hpp>
#include <troupe/state/header.hpp>
#include <troupe/state/versions.hpp>

#include <algorithm>
#include <functional>
#include <map>

namespace troupe::power {

namespace {

std::string text_of(const error& what) {
  return std::to_string(static_cast<int>(what.code)) + " " + what.message;
}

std::size_t hash_of(const stored_entity& stored) {
  std::size_t out = stored.sequence;
  const auto add = [&](std::string_view bytes) {
    out = (out ^ std::hash<std::string_view>{}(bytes)) * 0x9e3779b97f4a7c15ULL + bytes.size();
  };
  add(stored.parts.body);
  for (const auto* list : {&stored.parts.chunks, &stored.parts.changes, &stored.answers}) {
    add({});
    for (const auto& bytes : *list)
      add(bytes);
  }
  return out;
}

std::string verify(const std::filesystem::path& path) {
  const auto report = verify_store(path);
  if (!report)
    return "cannot be verified: " + text_of(report.error());
  return report->sound() ? "" : "verify finds: " + report->faults.front();
}

}  // namespace

expected<std::uint64_t> checker::check(const std::filesystem::path& path, const bounds& within,
                                       bool thorough) {
  const auto wrong = [](std::string what) { return fail(errc::damaged, std::move(what)); };
  if (thorough && std::filesystem::exists(path / "data.mdb"))
    if (auto what = verify(path); !what.empty())
      return wrong(what);
  auto store = journal_store::open(path, small_bounds(), fold_entities());
  if (!store)
    return wrong("does not open: " + text_of(store.error()));
  if (const auto& warnings = store->started().warnings; !warnings.empty())
    return wrong("warns of a loss: " + warnings.front());
  const auto commits = commits_in(*store, within);
  if (!commits)
    return commits;
  auto what = compare_journal(*store, plan_.commits[*commits].position);
  if (what.empty())
    what = compare_entities(*store, *commits, thorough);
  if (what.empty() && thorough)
    what = compare_headers(*store, *commits);
  if (what.empty() && thorough)
    what = go_on(path, std::move(*store), *commits);
  if (!what.empty())
    return wrong(what);
  return commits;
}

expected<std::uint64_t> checker::commits_in(journal_store& store, const bounds& within) {
  const auto wrong = [](std::string what) { return fail(errc::damaged, std::move(what)); };
  const auto position = store.stats().position;
  const auto& all = plan_.commits;
  const auto end = std::find_if(all.begin(), all.end(),
                                [&](const auto& commit) { return commit.position == position; });
  if (end == all.end())
    return wrong("a commit in part: the newest position is " + std::to_string(position));
  const auto commits = static_cast<std::uint64_t>(end - all.begin());
  if (commits < within.acked)
    return wrong("LOST: has " + std::to_string(commits) + " commits, acknowledged were "
                 + std::to_string(within.acked));
  if (commits > within.begun)
    return wrong("has " + std::to_string(commits) + " commits, begun were "
                 + std::to_string(within.begun));
  return commits;
}

std::string checker::compare_journal(journal_store& store, std::uint64_t position) {
  const auto first = store.stats().first;
  if (first == 0 || first > position + 1)
    return "the journal begins at " + std::to_string(first);
  auto next = std::find_if(plan_.journal.begin(), plan_.journal.end(),
                           [&](const auto& x) { return x.position >= first; });
  std::string difference;
  const auto read = store.for_each_record(first, position, [&](const journal_record& record) {
    const auto& want = *next->request;
    if (record.position != next->position)
      difference = "journal record " + std::to_string(next->position) + " is missing or in part";
    else if (record.entity != want.entity || record.sequence != want.sequence
             || record.payload != want.payload)
      difference = "journal record " + std::to_string(next->position) + " is not what was written";
    ++next;
    return difference.empty();
  });
  if (!read)
    return "the journal cannot be read: " + text_of(read.error());
  if (difference.empty() && next != plan_.journal.end() && next->position <= position)
    difference = "the journal ends before record " + std::to_string(next->position);
  return difference;
}

std::string checker::compare_entities(journal_store& store, std::uint64_t commits,
                                      bool all_revisions) {
  if (auto wrong = compare_listing(store, commits); !wrong.empty())
    return wrong;
  ++turn_;
  for (std::size_t i = 0; i < plan_.entities.size(); ++i) {
    const auto& ref = plan_.entities[i].ref;
    const auto stored = store.load(ref);
    if (!stored)
      return to_string(ref) + " cannot be loaded: " + text_of(stored.error());
    const auto moment = plan_.commits[commits].moments[i];
    auto wrong = compare_now(*stored, i, moment);
    if (wrong.empty())
      wrong = compare_past(store, i, moment, all_revisions);
    if (!wrong.empty())
      return to_string(ref) + wrong;
  }
  return {};
}

std::string checker::compare_listing(journal_store& store, std::uint64_t commits) {
  const auto& moments = plan_.commits[commits].moments;
  std::string difference;
  std::size_t listed = 0;
  const auto read = store.for_each_entity([&](const entity_ref& ref, std::uint64_t sequence) {
    ++listed;
    const auto found = std::find_if(plan_.entities.begin(), plan_.entities.end(),
                                    [&](const auto& x) { return x.ref == ref; });
    const auto i = static_cast<std::size_t>(found - plan_.entities.begin());
    if (found == plan_.entities.end() || found->moments[moments[i]].state->revision != sequence)
      difference = to_string(ref) + " is listed with revision " + std::to_string(sequence);
    return difference.empty();
  });
  if (!read)
    return "the entities cannot be listed: " + text_of(read.error());
  if (!difference.empty())
    return difference;
  const auto want =
      moments.size() - static_cast<std::size_t>(std::count(moments.begin(), moments.end(), 0U));
  if (listed == want)
    return {};
  return std::to_string(listed) + " entities are listed; there are " + std::to_string(want);
}

/// What a list shows of each that lives.
std::string checker::compare_headers(journal_store& store, std::uint64_t commits) {
  std::map<std::pair<std::string, entity_kind>, listing> pages;
  for (std::size_t i = 0; i < plan_.entities.size(); ++i) {
    const auto& one = plan_.entities[i];
    const auto [page, added] = pages.try_emplace({one.ref.name_space, one.ref.kind});
    if (added) {
      auto listed = store.list({.name_space = one.ref.name_space, .kind = one.ref.kind});
      if (!listed)
        return "a namespace cannot be listed: " + text_of(listed.error());
      page->second = *std::move(listed);
    }
    const auto& rows = page->second.rows;
    const auto& state = *one.moments[plan_.commits[commits].moments[i]].state;
    const auto found =
        std::find_if(rows.begin(), rows.end(), [&](const auto& x) { return x.id == one.ref.id; });
    if ((found != rows.end()) != state.live())
      return to_string(one.ref)
             + (state.live() ? " is not listed" : " is listed and does not live");
    if (state.live() && encode(found->header) != encode(header_of(state)))
      return to_string(one.ref) + " is listed with another header";
  }
  return {};
}

std::string checker::compare_now(const stored_entity& stored, std::size_t entity,
                                 std::size_t moment) {
  const auto& one = plan_.entities[entity];
  const auto& want = *one.moments[moment].state;
  if (stored.sequence != want.revision)
    return " has revision " + std::to_string(stored.sequence) + ", not "
           + std::to_string(want.revision);
  const auto hash = hash_of(stored);
  if (known_[entity].contains({hash, moment}))
    return {};
  auto wrong = compare_state(stored, want);
  if (wrong.empty())
    wrong = compare_answers(stored, one, moment);
  if (wrong.empty())
    known_[entity].insert({hash, moment});
  return wrong;
}

std::string checker::compare_state(const stored_entity& stored, const entity_state& want) {
  const auto state = join_entity(stored.parts);
  if (!state)
    return " cannot be joined: " + text_of(state.error());
  if (encode(*state) != encode(want))
    return " is not what was written at revision " + std::to_string(want.revision);
  return {};
}

std::string checker::compare_past(journal_store& store, std::size_t entity, std::size_t moment,
                                  bool all) {
  const auto& one = plan_.entities[entity];
  const auto& [state, kept] = one.moments[moment];
  const auto pins = checkpoints_of(*state);
  const auto is_pinned = [&](std::uint64_t revision) {
    return std::any_of(pins.begin(), pins.end(),
                       [&](const auto& x) { return x.revision == revision; });
  };
  for (std::size_t i = 0; i < kept.size(); ++i) {
    const bool newest = i + 1 == kept.size();  // which was loaded
    if (!all && (newest || (i != 0 && i != turn_ % kept.size() && !is_pinned(kept[i]))))
      continue;
    const auto stored = store.load_at(one.ref, kept[i]);
    if (!stored)
      return " has lost revision " + std::to_string(kept[i]) + ": " + text_of(stored.error());
    const auto hash = hash_of(*stored);
    if (known_past_[entity].contains({hash, kept[i]}))
      continue;
    if (auto wrong = compare_state(*stored, *one.at(kept[i])); !wrong.empty())
      return wrong;
    known_past_[entity].insert({hash, kept[i]});
  }
  return {};
}

/// Each that was given, once, and no other.
std::string checker::compare_answers(const stored_entity& stored, const history& of,
                                     std::size_t moment) {
  std::map<std::string, outcome> found;
  std::size_t count = 0;
  for (const auto& bytes : stored.answers) {
    const auto kept = decode_answer(bytes);
    if (!kept)
      return " has an answer that cannot be read";
    found[kept->asked.key] = kept->answer;
    ++count;
  }
  for (const auto& bytes : stored.parts.changes)
    if (const auto what = decode_change(bytes); what && what->asked_by) {
      found[what->asked_by->key] = outcome_of(*what);
      ++count;
    }
  for (const auto& [at, key, answer] : of.answers) {
    if (at > moment)
      break;
    const auto kept = found.find(key);
    if (kept == found.end())
      return " has forgotten what it answered to " + key;
    if (kept->second != answer)
      return " answers something else to " + key;
    --count;
  }
  return count == 0 ? "" : " has answers that were not given";
}

/// The next commit of the plan, so that what comes back is compared as before.
std::string checker::go_on(const std::filesystem::path& path, journal_store store,
                           std::uint64_t commits) {
  const auto after = std::min<std::uint64_t>(commits + 1, plan_.commits.size() - 1);
  std::uint64_t number = 0;
  for (const auto& step : plan_.steps) {
    if (step.is != step::what::commit || ++number != commits + 1)
      continue;
    for (const auto& result : store.commit(step.requests))
      if (!result)
        return "takes no commit any more: " + text_of(result.error());
  }
  if (const auto more = store.materialise(); !more)
    return "cannot materialise any more: " + text_of(more.error());
  if (const auto more = store.compact(); !more)
    return "cannot free any more: " + text_of(more.error());
  { const auto closed = std::move(store); }
  const auto again = check(path, {after, after}, false);
  auto wrong = again ? verify(path) : again.error().message;
  return wrong.empty() ? "" : "after another commit: " + wrong;
}

}  // namespace troupe::power
