#include <troupe/state/json.hpp>

#include "model.hpp"

#include <algorithm>

/// Checkpoints, undo and redo, restore, fork and merge over deep copies.
namespace troupe::testing::model {

bool doer::alone() const {
  return !changed && request.operations.size() == 1;
}

const entity* doer::kept(std::uint64_t at) const {
  if (!with.kept)
    return nullptr;
  const auto found = with.kept->find(at);
  return found == with.kept->end() ? nullptr : found->second.get();
}

// Checkpoints
// ------------------------------------------------------------------------------------------------

refusal doer::operator()(const create_checkpoint& op) {
  if (const auto bad = name_fault(op.id))
    return bad;
  if (op.id.starts_with("auto-"))
    return errc::reserved_field;
  if (e.checkpoints.contains(op.id))
    return errc::already_exists;
  if (const auto bad = text_fault(op.name))
    return bad;
  if (op.tags.size() > 64)
    return errc::too_many_elements;
  for (const auto& tag : op.tags) {
    if (const auto bad = name_fault(tag))
      return bad;
  }
  if (op.metadata.type() != value_type::map)
    return errc::wrong_type;
  if (const auto bad = value_fault(op.metadata))
    return bad;
  e.checkpoints[op.id] = {.id = op.id,
                          .name = op.name,
                          .revision = changed ? revision : e.revision,
                          .at = with.now,
                          .tags = op.tags,
                          .metadata = op.metadata};
  touch_quietly();
  return {};
}

refusal doer::operator()(const delete_checkpoint& op) {
  if (e.checkpoints.erase(op.id) == 0)
    return errc::not_found;
  touch_quietly();
  return {};
}

// Going back and forth
// ------------------------------------------------------------------------------------------------

namespace {

std::size_t common_items(const std::vector<item>& a, const std::vector<item>& b) {
  std::size_t n = 0;
  while (n < a.size() && n < b.size() && a[n] == b[n])
    ++n;
  return n;
}

/// Equal for whoever reads the content now.
bool same_content_now(const entity& a, const entity& b, timestamp now) {
  for (const auto* side : {&a, &b}) {
    for (const auto& [key, ignored] : side->state) {
      if (!same_cell(live_cell(a, key, now), live_cell(b, key, now)))
        return false;
    }
  }
  return a.items == b.items && a.metadata == b.metadata && a.variables == b.variables
         && a.notebook_id == b.notebook_id && a.cell_count == b.cell_count && a.todos == b.todos
         && a.nodes == b.nodes && a.members == b.members && a.cancelled == b.cancelled
         && a.merges == b.merges && a.schema == b.schema;
}

}  // namespace

/// The content of `target`; the rest stays, but a new run of tool calls begins.
void doer::become(const entity& target) {
  answer.removed += e.items.size() - common_items(e.items, target.items);
  e.items = target.items;
  e.metadata = target.metadata;
  e.variables = target.variables;
  e.notebook_id = target.notebook_id;
  e.cell_count = target.cell_count;
  e.todos = target.todos;
  e.nodes = target.nodes;
  e.members = target.members;
  e.cancelled = target.cancelled;
  e.merges = target.merges;
  e.schema = target.schema;
  e.calls.clear();
  std::map<std::string, cell> state;
  for (const auto& [key, mine] : e.state) {
    if (!mine.live(with.now))
      state[key] = mine;  // nobody sees it until it is dropped
  }
  for (const auto& [key, wanted] : target.state) {
    if (!wanted.live(with.now))
      continue;
    const auto* mine = live_cell(e, key, with.now);
    state[key] = same_cell(mine, &wanted) ? *mine : cell{wanted.data, revision, wanted.expires};
  }
  e.state = state;
  touch_content();
}

refusal doer::operator()(const undo& op) {
  if (!alone())
    return errc::malformed;
  if (op.steps == 0)
    return {};
  const entity* target = nullptr;
  for (std::uint64_t i = 0; i < op.steps; ++i) {
    const auto content_now = target ? target->content_revision : e.content_revision;
    if (content_now == e.first_revision)
      return errc::nothing_to_undo;
    target = kept(content_now - 1);
    if (!target)
      return errc::revision_gone;
    e.redo.push_back(content_now);
  }
  while (e.redo.size() > 1'000)
    e.redo.erase(e.redo.begin());
  become(*target);
  e.content_revision = target->content_revision;
  stepped = true;
  return {};
}

refusal doer::operator()(const redo& op) {
  if (!alone())
    return errc::malformed;
  if (op.steps == 0)
    return {};
  if (op.steps > e.redo.size())
    return errc::nothing_to_undo;
  std::uint64_t to = 0;
  for (std::uint64_t i = 0; i < op.steps; ++i) {
    to = e.redo.back();
    e.redo.pop_back();
  }
  const auto* target = kept(to);
  if (!target)
    return errc::revision_gone;
  become(*target);
  e.content_revision = to;
  stepped = true;
  return {};
}

refusal doer::operator()(const restore& op) {
  if (!alone())
    return errc::malformed;
  std::uint64_t to = 0;
  if (const auto* id = std::get_if<std::string>(&op.to)) {
    const auto at = e.checkpoints.find(*id);
    if (at == e.checkpoints.end())
      return errc::not_found;
    to = at->second.revision;
  } else {
    to = std::get<std::uint64_t>(op.to);
  }
  const auto* target = kept(to);
  // What was deleted is gone, also where the id was used again.
  if (!target || to < e.first_revision)
    return errc::revision_gone;
  if (!same_content_now(e, *target, with.now))
    become(*target);
  return {};
}

std::set<std::uint64_t> promised(const std::map<std::uint64_t, timestamp>& kept,
                                 const entity& current, const retention& keep, timestamp now,
                                 const std::vector<std::uint64_t>& fork_bases) {
  std::set<std::uint64_t> out{current.revision};
  for (const auto& [id, one] : current.checkpoints)
    out.insert(one.revision);
  out.insert(fork_bases.begin(), fork_bases.end());
  std::uint64_t others = 0;
  for (auto at = kept.rbegin(); at != kept.rend(); ++at) {
    if (out.contains(at->first))
      continue;
    if (others++ == keep.last)
      break;
    const auto age = static_cast<std::uint64_t>(now.ms - at->second.ms);
    if (!keep.max_age_ms || age <= *keep.max_age_ms)
      out.insert(at->first);
  }
  std::erase_if(out, [&](auto revision) { return !kept.contains(revision); });
  return out;
}

// Fork and merge
// ------------------------------------------------------------------------------------------------

refusal doer::operator()(const fork_from& op) {
  if (e.live())
    return errc::already_exists;
  if (changed)
    return errc::malformed;
  const auto* base = with.base;
  if (!base || !base->live() || !may(*base, op.parent, request.by, access::read))
    return errc::not_found;
  if (op.parent.kind != request.entity.kind)
    return errc::wrong_scope;
  const bool of_user = request.entity.kind == entity_kind::user;
  if (!request.by.trusted && of_user && request.entity.id != request.by.user)
    return errc::forbidden;
  revision = std::max(e.revision, base->revision) + 1;
  e = *base;
  e.redo.clear();
  e.shares.clear();
  e.tokens.reset();
  e.tool_calls = 0;
  e.calls.clear();
  e.checkpoints.clear();
  e.cancelled = false;
  e.merges.clear();
  e.created = with.now;
  e.first_revision = revision;
  e.forked_from = lineage{op.parent, base->revision};
  if (e.placement.empty())
    e.placement = op.parent.id;
  if (!request.by.trusted && !of_user)
    e.user = request.by.user;
  answer.created = true;
  touch_content();
  return {};
}

std::uint64_t merge_base(const entity& parent, const entity_ref& fork, const entity& fork_state) {
  const auto merged = parent.merges.find(fork);
  // What a fork of this id was before it was deleted does not matter any more.
  if (merged == parent.merges.end() || merged->second < fork_state.first_revision)
    return fork_state.first_revision;
  return merged->second;
}

namespace {

/// Merges what stands under keys. `T` compares as a reader does.
struct key_merger {
  doer& d;
  merge_strategy strategy;

  template <class T>
  void one(const std::string& section, const std::string& key, const std::optional<T>& b,
           const std::optional<T>& t, const std::optional<T>& o, auto&& write) {
    if (b == t || o == t)
      return;
    if (o != b) {
      std::string path = '/' + section;
      append_json_pointer(path, key);
      d.conflicts.push_back(path);
      if (strategy != merge_strategy::theirs)
        return;
    }
    write(t);
    d.touch_content();
  }

  template <class Map>
  void all(const std::string& section, const Map& base, const Map& theirs, Map& ours) {
    using T = typename Map::mapped_type;
    const auto look = [](const Map& map, const std::string& key) {
      const auto at = map.find(key);
      return at == map.end() ? std::optional<T>{} : std::optional<T>{at->second};
    };
    std::set<std::string> keys;
    for (const auto* map : {&base, &theirs}) {
      for (const auto& [key, ignored] : *map)
        keys.insert(key);
    }
    for (const auto& key : keys)
      one(section, key, look(base, key), look(theirs, key), look(ours, key),
          [&](const std::optional<T>& wanted) {
            if (wanted)
              ours.insert_or_assign(key, *wanted);
            else
              ours.erase(key);
          });
  }
};

/// A key's value and expiry: what readers tell apart.
using told = std::pair<value, std::int64_t>;

std::map<std::string, told> visible(const entity& e, timestamp now) {
  std::map<std::string, told> out;
  for (const auto& [key, held] : e.state) {
    if (held.live(now))
      out[key] = {held.data, held.expires.ms};
  }
  return out;
}

std::map<std::string, value> notebook_fields(const entity& e) {
  std::map<std::string, value> out;
  if (e.notebook_id)
    out["id"] = value{*e.notebook_id};
  if (e.cell_count)
    out["cell_count"] = value{*e.cell_count};
  return out;
}

/// New items of the fork follow ours; what it removed goes here too, if only it changed that.
void merge_items(doer& d, const entity& base, const entity& theirs, merge_strategy strategy) {
  auto& ours = d.e.items;
  const auto they_kept = common_items(base.items, theirs.items);
  const auto we_kept = common_items(base.items, ours);
  if (they_kept < we_kept) {  // they removed what we still have
    const bool ours_untouched = ours.size() == base.items.size() && we_kept == ours.size();
    if (!ours_untouched)
      d.conflicts.emplace_back("/items");
    if (ours_untouched || strategy == merge_strategy::theirs) {
      d.answer.removed += ours.size() - they_kept;
      ours.erase(ours.begin() + static_cast<std::ptrdiff_t>(they_kept),
                 ours.begin() + static_cast<std::ptrdiff_t>(we_kept));
      d.touch_content();
    }
  }
  for (auto i = they_kept; i < theirs.items.size(); ++i) {
    auto one = theirs.items[i];
    one.seq = ++d.e.last_seq;
    ours.push_back(one);
    d.touch_content();
  }
}

}  // namespace

refusal doer::operator()(const merge_fork& op) {
  if (!alone())
    return errc::malformed;
  const auto *base = with.base, *theirs = with.theirs;
  if (!base || !theirs || !theirs->live() || !may(*theirs, op.fork, request.by, access::read))
    return errc::not_found;
  if (!theirs->forked_from || theirs->forked_from->parent != request.entity)
    return errc::invalid_value;
  if (e.schema != theirs->schema)
    return errc::invalid_by_schema;
  merge_items(*this, *base, *theirs, op.strategy);
  key_merger keys{*this, op.strategy};
  keys.all("metadata", base->metadata, theirs->metadata, e.metadata);
  auto state = visible(e, with.now);
  const auto before = state;
  keys.all("state", visible(*base, with.now), visible(*theirs, with.now), state);
  for (const auto& [key, held] : before) {
    if (!state.contains(key))
      e.state.erase(key);
  }
  for (const auto& [key, wanted] : state) {
    const auto old = before.find(key);
    if (old == before.end() || old->second != wanted)
      e.state[key] = {wanted.first, revision, {wanted.second}};
  }
  keys.all("variables", base->variables, theirs->variables, e.variables);
  auto notebook = notebook_fields(e);
  keys.all("notebook", notebook_fields(*base), notebook_fields(*theirs), notebook);
  e.notebook_id.reset();
  e.cell_count.reset();
  if (notebook.contains("id"))
    e.notebook_id = notebook["id"].view().as_string();
  if (notebook.contains("cell_count"))
    e.cell_count = notebook["cell_count"].view().as_uint64();
  keys.all("todos", base->todos, theirs->todos, e.todos);
  keys.all("nodes", base->nodes, theirs->nodes, e.nodes);
  keys.all("members", base->members, theirs->members, e.members);
  if (!conflicts.empty() && op.strategy == merge_strategy::refuse)
    return errc::merge_conflict;
  if (base->revision != theirs->revision) {
    std::vector<node_definition> nodes;
    for (const auto& [id, one] : e.nodes)
      nodes.push_back({id, one.what.after});
    if (graph_fault(nodes)) {
      conflicts = {"/nodes"};
      return errc::merge_conflict;
    }
    e.merges[op.fork] = theirs->revision;
    touch_content();
  }
  return {};
}

}  // namespace troupe::testing::model
