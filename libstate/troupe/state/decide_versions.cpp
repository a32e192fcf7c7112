#include <troupe/state/internal/decider.hpp>
#include <troupe/state/versions.hpp>
#include <troupe/state/workflow.hpp>

#include <algorithm>

/// Operations on versions: checkpoints, undo, redo, restore, fork, merge.
namespace troupe::internal {

namespace {

constexpr std::string_view automatic_prefix = "auto-";

value checkpoint_value(const decider& d, const create_checkpoint& op, std::uint64_t revision,
                       bool automatic) {
  return value::map({{"name", op.name},
                     {"revision", revision},
                     {"at", d.now().ms},
                     {"tags", text_array(op.tags)},
                     {"metadata", op.metadata},
                     {"automatic", automatic}});
}

unexpected gone(std::uint64_t revision) {
  return fail(errc::revision_gone, "revision " + std::to_string(revision) + " is not kept");
}

/// The state as it was before this command, for what it was before that.
expected<const entity_state*> kept(const decider& d, std::uint64_t revision) {
  const auto* found = d.context.versions ? d.context.versions->at(revision) : nullptr;
  if (!found)
    return gone(revision);
  return found;
}

std::vector<std::uint64_t> redo_stack(const entity_state& state) {
  std::vector<std::uint64_t> out;
  for (auto at = state.redo.view().children(); at.next();)
    out.push_back(at.item().as_uint64().value_or(0));
  return out;
}

value redo_value(const std::vector<std::uint64_t>& stack) {
  if (stack.empty())
    return {};
  const auto first = stack.size() - std::min(stack.size(), max_redo);
  value_writer out;
  out.begin_array(stack.size() - first);
  for (auto i = first; i < stack.size(); ++i)
    out.unsigned_integer(stack[i]);
  return out.finish();
}

void revert(decider& d, revert_cause cause, std::uint64_t to, std::vector<event> steps,
            value redo) {
  d.clear(section::calls);
  d.emit(content_reverted{cause, to, std::move(redo)});
  for (auto& step : steps)
    d.emit(std::move(step));
}

/// Undo, redo and restore speak of what was committed: nothing else stands beside them in a
/// command.
expected<void> alone(const decider& d) {
  if (d.out.what.events.empty() && d.request.operations.size() == 1)
    return {};
  return fail(errc::malformed, "undo, redo, restore and merge are a command of their own");
}

/// What each side may have can be too much when it stands together, and nodes can depend on each
/// other in a circle.
expected<void> check_merged(const decider& d) {
  for (const auto& rules : all_sections) {
    if (rules.merges && count_entries(d.out.next, rules.id, d.now()) > rules.most)
      return refuse_beyond(errc::too_many_elements,
                           "both sides together have too many " + std::string{rules.name},
                           rules.most, pointer({rules.name}));
  }
  std::vector<node_definition> nodes;
  for (auto& one : nodes_of(d.out.next))
    nodes.push_back({std::move(one.id), std::move(one.after)});
  if (auto ok = check_graph(nodes); !ok)
    return tl::unexpected(error{.code = errc::merge_conflict,
                                .message = "the nodes of both sides: " + ok.error().message,
                                .path = "/nodes",
                                .details = to_json({conflict{.path = "/nodes"}})});
  return {};
}

unexpected nothing_to(std::string_view verb, std::uint64_t steps, std::uint64_t available) {
  return refuse_beyond(
      errc::nothing_to_undo,
      (available == 1 ? "there is 1 change" : "there are " + std::to_string(available) + " changes")
          + " to " + std::string{verb} + ", not " + std::to_string(steps),
      available);
}

}  // namespace

expected<void> decider::operator()(const create_checkpoint& op) {
  if (auto ok = check_name(op.id, "/id"); !ok)
    return ok;
  if (op.id.starts_with(automatic_prefix))
    return fail(errc::reserved_field, "ids that begin with 'auto-' are given by Troupe", "/id");
  if (find(section::checkpoints, op.id))
    return fail(errc::already_exists, "there is a checkpoint of this id", "/id");
  if (auto ok = check_text(op.name, "/name"); !ok)
    return ok;
  if (op.tags.size() > max_tags)
    return refuse_beyond(errc::too_many_elements, "at most 64 tags", max_tags, "/tags");
  for (std::size_t i = 0; i < op.tags.size(); ++i) {
    if (auto ok = check_name(op.tags[i], "/tags/" + std::to_string(i)); !ok)
      return ok;
  }
  if (auto ok = check_map("metadata", op.metadata, "/metadata"); !ok)
    return ok;
  std::size_t by_hand = 0;
  for_each_entry(out.next, section::checkpoints, now(), [&](std::string_view one, const entry&) {
    by_hand += one.starts_with(automatic_prefix) ? 0 : 1;
  });
  if (by_hand >= max_checkpoints)
    return refuse_beyond(errc::too_many_elements, "an entity has at most 1,000 checkpoints",
                         max_checkpoints);
  // With other operations in the same command, what they made of it.
  const auto pinned = out.what.events.empty() ? out.next.revision : revision();
  set(section::checkpoints, op.id, checkpoint_value(*this, op, pinned, false));
  return {};
}

expected<void> decider::operator()(const delete_checkpoint& op) {
  if (!find(section::checkpoints, op.id))
    return fail(errc::not_found, "no such checkpoint", "/id");
  erase_key(section::checkpoints, op.id);
  return {};
}

void decider::checkpoint_automatically(std::uint64_t calls) {
  const auto rules = limits();
  const auto every = rules.checkpoint_every.value_or(0);
  if (every == 0 || calls % every != 0)
    return;
  const auto digits = std::to_string(revision());  // as many for each, so that ids ascend
  const auto id = std::string{automatic_prefix} + std::string(20 - digits.size(), '0') + digits;
  set(section::checkpoints, id, checkpoint_value(*this, {.id = id}, revision(), true));
  const auto keep = std::min<std::uint64_t>(
      rules.keep_checkpoints.value_or(default_keep_checkpoints), max_checkpoints);
  std::vector<std::string> ids;
  for_each_entry(out.next, section::checkpoints, now(), [&](std::string_view one, const entry&) {
    if (one.starts_with(automatic_prefix))
      ids.emplace_back(one);
  });
  for (std::size_t i = 0; i + keep < ids.size(); ++i)
    erase_key(section::checkpoints, ids[i]);
}

expected<void> decider::operator()(const undo& op) {
  if (auto ok = alone(*this); !ok)
    return ok;
  if (op.steps == 0)
    return {};
  auto stack = redo_stack(out.next);
  auto content = out.next.content_revision;
  const entity_state* target = nullptr;
  for (std::uint64_t done = 0; done < op.steps; ++done) {
    if (content <= out.next.first_revision)
      return nothing_to("undo", op.steps, done);
    const auto before = kept(*this, content - 1);
    if (!before)
      return tl::unexpected(before.error());
    stack.push_back(content);
    content = (*before)->content_revision;
    target = *before;
  }
  revert(*this, revert_cause::undo, content, steps_between(out.next, *target, now()),
         redo_value(stack));
  return {};
}

expected<void> decider::operator()(const redo& op) {
  if (auto ok = alone(*this); !ok)
    return ok;
  if (op.steps == 0)
    return {};
  auto stack = redo_stack(out.next);
  if (stack.size() < op.steps)
    return nothing_to("redo", op.steps, stack.size());
  const auto to = stack[stack.size() - op.steps];
  stack.resize(stack.size() - op.steps);
  const auto target = kept(*this, to);
  if (!target)
    return tl::unexpected(target.error());
  revert(*this, revert_cause::redo, to, steps_between(out.next, **target, now()),
         redo_value(stack));
  return {};
}

expected<void> decider::operator()(const restore& op) {
  if (auto ok = alone(*this); !ok)
    return ok;
  std::uint64_t to = 0;
  if (const auto* id = std::get_if<std::string>(&op.to)) {
    const auto found = find_checkpoint(out.next, *id);
    if (!found)
      return fail(errc::not_found, "no such checkpoint", "/id");
    to = found->revision;
  } else {
    to = std::get<std::uint64_t>(op.to);
  }
  if (to < out.next.first_revision)  // what was deleted stays gone when the id is used again
    return gone(to);
  const auto target = kept(*this, to);
  if (!target)
    return tl::unexpected(target.error());
  if (auto steps = steps_between(out.next, **target, now()); !steps.empty())
    revert(*this, revert_cause::restore, to, std::move(steps), {});
  return {};
}

expected<void> decider::operator()(const fork_from& op) {
  if (out.next.live())
    return tl::unexpected(error{.code = errc::already_exists,
                                .message = "there is an entity of this id",
                                .current_revision = out.next.revision});
  if (!out.what.events.empty())
    return fail(errc::malformed, "a fork is the first operation of its command");
  if (!op.base || !op.base->live() || !may(*op.base, op.parent, request.by, access::read))
    return fail(errc::not_found, "the entity to fork is not there", "/parent");
  if (op.parent.kind != request.entity.kind)
    return fail(errc::wrong_scope, "a fork is of the same kind as its parent", "/parent");
  if (op.parent.name_space != request.entity.name_space)
    return fail(errc::invalid_value, "a fork stays in its parent's namespace", "/parent");
  if (!request.by.trusted && request.entity.kind == entity_kind::user
      && request.entity.id != request.by.user)
    return fail(errc::forbidden, "a principal creates only what is its own", "/parent");
  const bool foreign = !request.by.trusted && request.entity.kind != entity_kind::user
                       && user_of(*op.base) != request.by.user;
  out.what.revision = std::max(out.next.revision, op.base->revision) + 1;
  out.next = *op.base;
  emit(entity_forked{std::make_shared<const lineage>(lineage{op.parent, op.base->revision}),
                     foreign ? owner_value(request.by.user) : op.base->user});
  if (!find(section::info, info_key::placement))
    set(section::info, info_key::placement, value{op.parent.id});
  return {};
}

expected<void> decider::operator()(const merge_fork& op) {
  if (auto ok = alone(*this); !ok)
    return ok;
  if (!op.base || !op.theirs || !op.theirs->live())
    return fail(errc::not_found, "the fork is not there", "/fork");
  if (!may(*op.theirs, op.fork, request.by, access::read))
    return fail(errc::not_found, "the fork is not there", "/fork");
  const auto& from = op.theirs->forked_from;
  if (!from || from->parent != request.entity)
    return fail(errc::invalid_value, "this is no fork of it", "/fork");
  if (op.base->revision != merge_base(out.next, op.fork, *op.theirs)
      || op.base->revision > op.theirs->revision)
    return fail(errc::invalid_value,
                "a merge starts from the fork's revision "
                    + std::to_string(merge_base(out.next, op.fork, *op.theirs)),
                "/base");
  if (schema_of(out.next) != schema_of(*op.theirs))
    return fail(errc::invalid_by_schema,
                "the two follow different versions of a schema: migrate both first");
  auto plan = plan_merge(*op.base, out.next, *op.theirs, op.strategy, now());
  if (!plan.conflicts.empty() && op.strategy == merge_strategy::refuse)
    return tl::unexpected(
        error{.code = errc::merge_conflict,
              .message = "both sides changed " + plan.conflicts.front().path
                         + (plan.conflicts.size() > 1
                                ? " and " + std::to_string(plan.conflicts.size() - 1) + " more"
                                : std::string{}),
              .path = plan.conflicts.front().path,
              .details = to_json(plan.conflicts)});
  if (plan.steps.empty() && op.base->revision == op.theirs->revision)
    return {};
  emit(fork_merged{op.fork, op.theirs->revision});
  for (auto& step : plan.steps)
    emit(std::move(step));
  return check_merged(*this);
}

}  // namespace troupe::internal
