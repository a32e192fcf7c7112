#include <troupe/actors/internal/past.hpp>
#include <troupe/state/versions.hpp>

#include <algorithm>
#include <utility>

namespace troupe::internal {

const entity_state* past::at(std::uint64_t revision) const {
  for (const auto* known : {latest_, durable_})
    if (known != nullptr && known->revision == revision)
      return known;
  if (const auto found = found_.find(revision); found != found_.end())
    return found->second.get();
  missed_ = revision;
  return nullptr;
}

void past::add(std::uint64_t revision, std::shared_ptr<const entity_state> state) {
  found_.insert_or_assign(revision, std::move(state));
  missed_.reset();
}

bool begins_fork(const command& request, const entity_state& state) {
  return !state.live() && std::ranges::any_of(request.operations, [](const operation& op) {
    return std::holds_alternative<fork_from>(op);
  });
}

std::optional<lack> first_lack(const command& request, const entity_state& state) {
  for (const auto& op : request.operations) {
    if (const auto* fork = std::get_if<fork_from>(&op);
        fork && !fork->base && !state.live() && fork->parent != request.entity)
      return lack{lack::of::parent, fork->parent};
    if (const auto* fork = std::get_if<fork_from>(&op);
        fork && fork->base && fork->at != 0 && fork->base->revision != fork->at)
      return lack{lack::of::parent_past, fork->parent, fork->at};
    if (const auto* merge = std::get_if<merge_fork>(&op); merge && merge->fork != request.entity) {
      if (!merge->theirs)
        return lack{lack::of::fork, merge->fork};
      if (!merge->base && merge->theirs->live())
        return lack{lack::of::fork_past, merge->fork,
                    merge_base(state, merge->fork, *merge->theirs)};
    }
  }
  return {};
}

expected<void> supply(command& request, past& earlier, const lack& what,
                      expected<std::shared_ptr<const entity_state>> state) {
  if (what.what == lack::of::own_past) {
    if (!state && state.error().code != errc::revision_gone)
      return tl::unexpected(std::move(state.error()));
    earlier.add(*what.revision, state ? *std::move(state) : nullptr);
    return {};
  }
  if (!state)
    return tl::unexpected(std::move(state.error()));
  for (auto& op : request.operations) {
    if (auto* fork = std::get_if<fork_from>(&op); fork && fork->parent == what.entity) {
      // Who may not read the parent now may not read what it was.
      if (what.what == lack::of::parent
          && !((**state).live() && may(**state, fork->parent, request.by, access::read)))
        return fail(errc::not_found,
                    "the entity to fork is not on disk: there is none, or all its changes have "
                    "the durability 'memory' so far and a durable one is needed first",
                    "/parent");
      fork->base = *state;
    }
    if (auto* merge = std::get_if<merge_fork>(&op); merge && merge->fork == what.entity)
      (what.what == lack::of::fork ? merge->theirs : merge->base) = *state;
  }
  return {};
}

void add_what_the_store_needs(commit_request& change, const command& request) {
  for (const auto& op : request.operations) {
    if (const auto* fork = std::get_if<fork_from>(&op)) {
      change.base = std::make_shared<const entity_parts>(split_entity(fork->base));
      change.parent = fork->parent;
    }
    if (const auto* merge = std::get_if<merge_fork>(&op))
      change.pin = std::pair{merge->fork, merge->theirs->revision};
  }
}

}  // namespace troupe::internal
