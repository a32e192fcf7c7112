/// One stored snapshot: refused, or a state that every read and every operation survives.

#include "fuzz/entities.hpp"
#include "support/allocations.hpp"
#include "support/naive_change.hpp"

#include <cstdint>
#include <set>
#include <vector>

using namespace troupe;
using namespace troupe::fuzz;

namespace {

constexpr timestamp now{1'700'000'000'000};

expected<entity_state> read_within_bounds(std::string_view bytes) {
  const auto most = memory_for(bytes);
  const testing::allocation_watch watch;
  auto out = decode_entity(bytes);
  require(watch.total() <= most, "memory is bounded by what was read");
  return out;
}

/// Has every revision, and all are the same state: an undo finds whatever it asks for.
struct any_revision final : kept_revisions {
  explicit any_revision(const entity_state& one) : state{one} {}
  [[nodiscard]] const entity_state* at(std::uint64_t) const override { return &state; }
  const entity_state& state;
};

entity_state begun(const entity_ref& ref, std::vector<operation> what) {
  what.insert(what.begin(), create{});
  auto out = decide({}, {.entity = ref, .operations = std::move(what)}, {.now = now});
  require(out.has_value(), "an entity can be created");
  return out->next;
}

/// Another state of the same kind, for undo and merge to differ from.
entity_state another(const entity_ref& ref) {
  std::vector<operation> what{merge_state{value::map({{"a", 1}, {"b", "two"}})},
                              update_info{.metadata_patch = value::map({{"m", true}})}};
  if (ref.kind == entity_kind::session)
    what.insert(what.end(), {append_items{{value::map({{"x", 1}}), value::map({{"x", 2}})}},
                             put_todos{{{"t", "text"}}}});
  if (ref.kind == entity_kind::workflow)
    what.emplace_back(define_nodes{{{"n", {}}, {"m", {"n"}}}});
  if (ref.kind == entity_kind::team)
    what.insert(what.end(), {add_member{"ann", "lead"}, send_message{"ann", {}, value{"all"}}});
  return begun(ref, std::move(what));
}

/// One decision, and what holds of it. The state behind it, or nothing when it was refused.
std::optional<entity_state> require_decides(const entity_state& before, const entity_ref& ref,
                                            operation op,
                                            const kept_revisions* versions = nullptr) {
  const auto* fork = std::get_if<fork_from>(&op);
  const auto base = fork && fork->base ? *fork->base : before;
  const auto made = decide(before, {.entity = ref, .operations = {std::move(op)}},
                           {.now = now, .versions = versions});
  if (!made) {
    require(!made.error().message.empty(), "a refusal says why");
    return std::nullopt;
  }
  require(made->answer == outcome_of(made->what), "the answer is what the change says");
  require(made->answer.changed == !made->what.events.empty(), "a change has events");
  require(made->answer.changed || made->next == before, "without events nothing changes");
  require(!made->answer.changed || made->next.revision > before.revision,
          "each change is a newer revision");
  const auto& from = made->answer.changed ? base : before;
  require(evolve(from, made->what) == made->next, "the next state is what the change makes of it");
  require_storable(made->what);
  const auto stored = decode_change(encode(made->what, uncompressed));
  require(stored && encode(evolve(from, *stored), uncompressed) == encode(made->next, uncompressed),
          "a replay gives the same bytes");
  require_sound(made->next);
  return made->next;
}

template <class F>
void for_names(const std::set<std::string>& names, F&& visit) {
  for (const auto& name : names)
    visit(name);
}

/// Every operation there is, with what the state holds and with what it does not.
void require_operable(const entity_state& s, const entity_ref& ref) {
  const auto does = [&](operation op) { return require_decides(s, ref, std::move(op)); };
  // Only key-value state expires. Stored bytes may say otherwise, and reads do not look.
  const bool expires = !never_expires(s);
  std::set<std::string> ids{"a", "nobody"};
  for_each_stored_entry(s, [&](const std::string& key, const entry&) {
    if (ids.size() < 5 && checked_id(key_of(key)))
      ids.emplace(key_of(key));
  });
  does(create{});
  does(
      update_info{.metadata_patch = value::map({{"m", 1}, {"n", {}}}),
                  .tags = std::vector<std::string>{"t"},
                  .shares = std::vector<share>{{"ann", access::write}},
                  .workflow = "w",
                  .team = "",
                  .ttl_ms = 7,
                  .limits = policy{.loop_limit = 2, .checkpoint_every = 1, .keep_checkpoints = 1}});
  for (const auto& id : ids) {
    does(patch_state{{set_key{.key = id, .data = "x", .ttl_ms = ~0ull}}});
    does(patch_state{{add_to{id, value{1}}}});
    does(patch_state{{union_with{id, {value{1}, value{1.0}}}, append_to{id, {value{}}}}});
    does(patch_state{{delete_key{id}, compare_and_set{id, std::nullopt, value{2}}}});
    does(merge_state{value::map({{id, value::map({{"deep", 1}})}})});
    does(create_checkpoint{.id = id, .tags = {"t"}});
    if (const auto next = does(delete_checkpoint{id}); next && !expires)
      require(!find_checkpoint(*next, id), "a deleted checkpoint is gone");
    require_decides(s, ref, restore{id}, std::make_unique<any_revision>(s).get());
    does(patch_todos{{{id, "content", todo_status::completed}}, {"a"}});
    does(record_call{id, value::map({{"a", 1}})});
    for (const auto status : {node_status::pending, node_status::running, node_status::done,
                              node_status::failed, node_status::skipped})
      does(update_node{.id = id, .status = status});
    does(add_member{id, "role"});
    does(remove_member{id});
    does(send_message{id, "a", value{1}});
    does(send_message{id, std::nullopt, value{1}});
    does(acknowledge{id, s.last_seq});
  }
  if (const auto next = does(clear_state{}))
    require(count_entries(*next, section::state, now) == 0, "a cleared state is empty");
  if (const auto next = does(drop_expired{}))
    for_each_stored_entry(*next, [](const std::string&, const entry& e) {
      require(e.live(now), "what has expired is dropped");
    });
  does(migrate_state{});
  const auto items = std::vector{value::map({{"role", "user"}}), value::map({{"x", 2}})};
  if (const auto next = does(append_items{items}))
    require(next->items.size() == s.items.size() + 2 && next->last_seq == s.last_seq + 2,
            "what is appended is there");
  if (const auto next = does(pop_items{2}))
    require(next->items.size() + std::min<std::size_t>(2, s.items.size()) == s.items.size(),
            "what is popped is gone");
  if (const auto next = does(clear_items{}))
    require(next->items.empty() && next->last_seq == s.last_seq, "no number is given again");
  does(record_usage{~0ull, 3});
  does(reset_usage{});
  if (const auto next = does(put_todos{{{"t", "text"}, {"u", "more"}}}); next && !expires)
    require(todos_of(*next).size() == 2, "the list is exactly this");
  does(reset_calls{});
  does(update_notebook{.id = "n", .cell_count = 3, .variables = value::map({{"x", "int"}})});
  if (const auto next = does(define_nodes{{{"n", {}}, {"m", {"n"}}}}); next && !expires)
    require(nodes_of(*next).size() == 2, "the graph is exactly this");
  does(cancel_workflow{});
  does(resume_workflow{});
  if (const auto next = does(erase{}))
    require(next->bytes() == 0 && next->items.empty(), "all of it is gone");
}

void require_reverts(const entity_state& s, const entity_ref& ref, const entity_state& other) {
  const any_revision kept{other};
  for (const std::uint64_t steps : {1u, 3u}) {
    const auto undone = require_decides(s, ref, undo{steps}, &kept);
    if (undone && never_expires(s))
      require(same_content(*undone, other), "an undo brings the content back");
    if (undone) {
      const any_revision old{s};
      const auto redone = require_decides(*undone, ref, redo{steps}, &old);
      require(redone || undone->revision >= max_number, "what was undone can be redone");
      require(!redone || !never_expires(s) || same_content(*redone, s),
              "a redo takes the undo back");
    }
    require_decides(s, ref, redo{steps}, &kept);
  }
  require_decides(s, ref, restore{s.revision}, &kept);
}

/// A fork, a change in it, a change of ours, and the merge of the two.
void require_forks(const entity_state& s, const entity_ref& ref) {
  const auto base = std::make_shared<const entity_state>(s);
  const entity_ref fork_ref{ref.name_space, ref.kind, "fork"};
  const auto fork = require_decides({}, fork_ref, fork_from{ref, base});
  if (!fork)
    return;
  require(fork->own.empty() && fork->items == s.items, "a fork is a copy without what is not its");
  const auto begin = std::make_shared<const entity_state>(*fork);
  auto theirs = require_decides(*fork, fork_ref, patch_state{{set_key{"forked", 1}}});
  if (theirs)
    if (auto more = require_decides(*theirs, fork_ref, append_items{{value::map({{"y", 1}})}}))
      theirs = more;
  if (!theirs)
    return;
  const auto ours = require_decides(s, ref, patch_state{{set_key{"forked", 2}}});
  const auto done = std::make_shared<const entity_state>(*theirs);
  for (const auto strategy :
       {merge_strategy::refuse, merge_strategy::ours, merge_strategy::theirs}) {
    for (const auto* into : {&s, ours ? &*ours : nullptr}) {
      if (!into)
        continue;
      const auto merged = require_decides(*into, ref, merge_fork{fork_ref, begin, done, strategy});
      if (!merged)
        continue;
      require(
          merged->items.size() + begin->items.size() == into->items.size() + theirs->items.size(),
          "the fork's new items follow ours");
      require(merge_base(*merged, fork_ref, *theirs) == theirs->revision,
              "the next merge begins where this one ended");
      const auto* got = find(*merged, section::state, "forked", now);
      const auto wins = strategy == merge_strategy::ours && into != &s ? 2 : 1;
      require(got && got->data == value{wins}, "the strategy says who wins");
    }
  }
}

/// A file made of the state is the same state, where it may be read at all: files are not trusted.
void require_transfers(const entity_state& s, const entity_ref& ref) {
  const auto text = export_jsonl(ref, s);
  if (const auto read = import_jsonl(text)) {
    require(read->size() == 1 && read->front().ref == ref, "one entity comes back");
    require(export_jsonl(ref, read->front().state) == text, "a file is written again as it was");
    require_sound(read->front().state);
  }
  const auto bytes = export_msgpack(ref, s);
  if (const auto read = import_msgpack(bytes)) {
    require(read->size() == 1 && read->front().ref == ref, "one entity comes back");
    require(export_jsonl(ref, read->front().state) == text, "both formats say the same");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes{reinterpret_cast<const char*>(data), size};
  const auto read = read_within_bounds(bytes);
  if (!read) {
    require(read.error().code == errc::damaged || read.error().code == errc::newer_format,
            "a refused record is damaged or newer");
    require(!read.error().message.empty(), "a refusal says why");
    return 0;
  }
  const entity_ref ref{"default", read->kind, "s"};
  require_sound(*read);
  require_storable(*read, 0);
  if (read->bytes() > 64 << 10)  // what follows is done a hundred times
    return 0;
  const auto before = encode(*read, uncompressed);
  require_readable(*read, ref);
  require_transfers(*read, ref);
  const auto other = another(ref);
  if (never_expires(*read)) {
    require_reachable(*read, other);
    require_reachable(other, *read);
  }
  require_operable(*read, ref);
  require_reverts(*read, ref, other);
  require_forks(*read, ref);
  require(encode(*read, uncompressed) == before, "an older copy never changes");
  return 0;
}
