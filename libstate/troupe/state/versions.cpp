#include <troupe/state/internal/stored.hpp>
#include <troupe/state/json.hpp>
#include <troupe/state/versions.hpp>

#include <algorithm>
#include <set>

namespace troupe {

using internal::always;

namespace {

std::string entry_path(std::string_view stored_key) {
  std::string out;
  append_json_pointer(out, rules_of(section_of(stored_key)).name);
  append_json_pointer(out, key_of(stored_key));
  return out;
}

std::string item_path(std::uint64_t seq) {
  return "/items/" + std::to_string(seq);
}

std::optional<value> data_of(const entry* e) {
  return e ? std::optional{e->data} : std::nullopt;
}

/// Equal for whoever reads them: revisions do not count.
bool same(const entry* a, const entry* b) {
  return a && b ? a->data == b->data && a->expires == b->expires : a == b;
}

/// What has expired is not there.
const entry* unexpired(const entry* e, timestamp now) {
  return e && e->live(now) ? e : nullptr;
}

event step_to(const std::string& stored_key, const entry* wanted) {
  const auto in = section_of(stored_key);
  std::string key{key_of(stored_key)};
  if (!wanted)
    return entry_erased{in, std::move(key)};
  return entry_set{in, std::move(key), wanted->data, wanted->expires};
}

items_restored copy_items(const history& from, std::size_t first, std::size_t last) {
  items_restored out;
  out.items.reserve(last - first);
  for (auto i = first; i < last; ++i) {
    const auto item = from[i];
    out.items.push_back({item.seq, item.at, value{item.fields}});
  }
  return out;
}

void append_items_steps(std::vector<event>& out, const history& from, std::size_t keep,
                        items_restored added) {
  if (keep < from.size())
    out.emplace_back(items_removed{keep, from.size() - keep});
  if (!added.items.empty())
    out.emplace_back(std::move(added));
}

}  // namespace

std::vector<difference> diff(const entity_state& before, const entity_state& after) {
  std::vector<difference> out;
  for_each_entry_difference(before, after,
                            [&](const std::string& key, const entry* a, const entry* b) {
                              if (!same(a, b))
                                out.push_back({entry_path(key), data_of(a), data_of(b)});
                            });
  const auto common = common_prefix(before.items, after.items);
  for (auto i = common; i < before.items.size(); ++i)
    out.push_back({item_path(before.items[i].seq), value{before.items[i].fields}, std::nullopt});
  for (auto i = common; i < after.items.size(); ++i)
    out.push_back({item_path(after.items[i].seq), std::nullopt, value{after.items[i].fields}});
  return out;
}

std::vector<event> steps_between(const entity_state& from, const entity_state& to, timestamp now) {
  std::vector<event> out;
  const auto common = common_prefix(from.items, to.items);
  append_items_steps(out, from.items, common, copy_items(to.items, common, to.items.size()));
  for_each_entry_difference(from, to, [&](const std::string& key, const entry* a, const entry* b) {
    const auto* wanted = unexpired(b, now);
    if (rules_of(section_of(key)).reverts && !same(unexpired(a, now), wanted))
      out.push_back(step_to(key, wanted));
  });
  return out;
}

// Merging
// ------------------------------------------------------------------------------------------------

namespace {

struct merger {
  const entity_state& base;
  const entity_state& ours;
  const entity_state& theirs;
  merge_strategy strategy;
  merge_plan plan{};

  void entries(timestamp now) {
    for_each_entry_difference(
        base, theirs, [&](const std::string& key, const entry* b, const entry* t) {
          if (rules_of(section_of(key)).merges)
            one_entry(key, unexpired(b, now), unexpired(t, now),
                      unexpired(ours.entries_of(section_of(key)).find(key), now));
        });
  }

  void one_entry(const std::string& key, const entry* b, const entry* t, const entry* o) {
    if (same(b, t) || same(o, t))
      return;
    if (!same(o, b)) {
      plan.conflicts.push_back({entry_path(key), data_of(b), data_of(o), data_of(t)});
      if (strategy != merge_strategy::theirs)
        return;
    }
    plan.steps.push_back(step_to(key, t));
  }

  void items() {
    const auto kept = common_prefix(base.items, theirs.items);
    const auto ours_kept = common_prefix(base.items, ours.items);
    auto keep = ours.items.size();
    items_restored added;
    if (kept < base.items.size() && ours_kept > kept) {  // the fork removed what we still have
      if (ours_kept == ours.items.size() && ours_kept == base.items.size()) {
        keep = kept;
      } else {
        plan.conflicts.push_back({"/items", value{base.items.size()}, value{ours.items.size()},
                                  value{theirs.items.size()}});
        if (strategy == merge_strategy::theirs) {
          keep = kept;
          added = copy_items(ours.items, ours_kept, ours.items.size());
        }
      }
    }
    auto fresh = copy_items(theirs.items, kept, theirs.items.size());
    auto seq = ours.last_seq;
    for (auto& item : fresh.items) {
      item.seq = ++seq;
      added.items.push_back(std::move(item));
    }
    append_items_steps(plan.steps, ours.items, keep, std::move(added));
  }
};

}  // namespace

merge_plan plan_merge(const entity_state& base, const entity_state& ours,
                      const entity_state& theirs, merge_strategy strategy, timestamp now) {
  merger m{base, ours, theirs, strategy};
  m.items();
  m.entries(now);
  return std::move(m.plan);
}

std::uint64_t merge_base(const entity_state& parent, const entity_ref& fork,
                         const entity_state& fork_state) {
  // What was merged of an earlier fork of this id is no state of this one.
  const auto* merged = find(parent, section::merges, fork.id, always);
  return std::max(merged ? merged->data.view().as_uint64().value_or(0) : 0,
                  fork_state.first_revision);
}

std::string to_json(const std::vector<conflict>& conflicts) {
  constexpr std::size_t max_listed = 100, max_listed_bytes = 4 << 10;
  std::string out = "[";
  for (const auto& one : std::span{conflicts}.first(std::min(conflicts.size(), max_listed))) {
    out += out.size() > 1 ? ",{\"path\":" : "{\"path\":";
    append_json_string(out, one.path);
    const std::pair<const char*, const std::optional<value>*> sides[] = {
        {"base", &one.base}, {"ours", &one.ours}, {"theirs", &one.theirs}};
    for (const auto& [name, side] : sides) {
      if (!*side || (*side)->bytes().size() > max_listed_bytes)
        continue;
      out += std::string{",\""} + name + "\":";
      append_json(out, **side);
    }
    out += '}';
  }
  return out + ']';
}

// Checkpoints
// ------------------------------------------------------------------------------------------------

namespace {

checkpoint read_checkpoint(std::string_view id, value_view stored) {
  checkpoint out{.id = std::string{id}};
  if (const auto name = stored.find("name"))
    out.name = name->as_string().value_or("");
  if (const auto revision = stored.find("revision"))
    out.revision = revision->as_uint64().value_or(0);
  if (const auto at = stored.find("at"))
    out.at.ms = at->as_int64().value_or(0);
  if (const auto tags = stored.find("tags")) {
    for (auto tag = tags->children(); tag.next();)
      out.tags.emplace_back(tag.item().as_string().value_or(""));
  }
  if (const auto metadata = stored.find("metadata"))
    out.metadata = value{*metadata};
  if (const auto automatic = stored.find("automatic"))
    out.automatic = automatic->as_bool().value_or(false);
  return out;
}

}  // namespace

std::vector<checkpoint> checkpoints_of(const entity_state& state) {
  std::vector<checkpoint> out;
  for_each_entry(state, section::checkpoints, always, [&](std::string_view id, const entry& e) {
    out.push_back(read_checkpoint(id, e.data));
  });
  std::stable_sort(out.begin(), out.end(),
                   [](const auto& a, const auto& b) { return a.revision > b.revision; });
  return out;
}

std::optional<checkpoint> find_checkpoint(const entity_state& state, std::string_view id) {
  const auto* found = find(state, section::checkpoints, id, always);
  return found ? std::optional{read_checkpoint(id, found->data)} : std::nullopt;
}

// Kept revisions
// ------------------------------------------------------------------------------------------------

retention retention_of(const entity_state& state, const policy& inherited) {
  const auto limits = overlay(policy_of(state), inherited);
  return {.last = std::min(limits.keep_revisions.value_or(default_keep_revisions),
                           internal::max_keep_revisions),
          .max_age_ms = limits.keep_revisions_ms};
}

const entity_state* timeline::at(std::uint64_t revision) const {
  const auto found =
      std::lower_bound(kept_.begin(), kept_.end(), revision,
                       [](const kept& k, std::uint64_t r) { return k.state.revision < r; });
  return found != kept_.end() && found->state.revision == revision ? &found->state : nullptr;
}

std::vector<std::uint64_t> timeline::revisions() const {
  std::vector<std::uint64_t> out;
  for (const auto& one : kept_)
    out.push_back(one.state.revision);
  return out;
}

namespace {

/// 0 when the clock went back.
std::uint64_t age(timestamp since, timestamp now) {
  return now < since ? 0
                     : static_cast<std::uint64_t>(now.ms) - static_cast<std::uint64_t>(since.ms);
}

}  // namespace

void timeline::prune(const retention& keep, timestamp now, std::span<const std::uint64_t> pins) {
  std::set<std::uint64_t> pinned{pins.begin(), pins.end()};
  if (current().forked_from)
    pinned.insert(current().first_revision);  // the next merge may start from there
  for (const auto& one : checkpoints_of(current()))
    pinned.insert(one.revision);
  pinned.insert(current().revision);
  const auto young = [&](const kept& one) {
    return !keep.max_age_ms || age(one.since, now) <= *keep.max_age_ms;
  };
  auto others =
      static_cast<std::uint64_t>(std::count_if(kept_.begin(), kept_.end(), [&](const kept& one) {
        return !pinned.contains(one.state.revision);
      }));
  std::deque<kept> left;
  for (auto& one : kept_) {  // oldest first
    if (pinned.contains(one.state.revision) || (others-- <= keep.last && young(one)))
      left.push_back(std::move(one));
  }
  kept_ = std::move(left);
}

}  // namespace troupe
