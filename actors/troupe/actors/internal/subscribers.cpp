#include <troupe/actors/internal/subscribers.hpp>

#include <algorithm>
#include <utility>

namespace troupe::internal {

namespace {

template <class Index, class Key>
void change_index(Index& in, const Key& key, subscriber& one, bool add) {
  if (add) {
    in[key].push_back(&one);
    return;
  }
  const auto at = in.find(key);
  if (at == in.end())
    return;
  std::erase(at->second, &one);
  if (at->second.empty())
    in.erase(at);
}

}  // namespace

subscriber& subscribers::add(std::uint64_t id, std::shared_ptr<event_queue> queue,
                             event_filter filter) {
  auto& out = all_[id];
  out.id = id;
  out.queue = std::move(queue);
  out.filter = std::move(filter);
  return out;
}

subscriber* subscribers::find(std::uint64_t id) {
  const auto at = all_.find(id);
  return at == all_.end() ? nullptr : &at->second;
}

void subscribers::erase(subscriber& one) {
  set_live(one, false);
  all_.erase(one.id);
}

void subscribers::set_live(subscriber& one, bool live) {
  if (one.live == live)
    return;
  one.live = live;
  const auto& filter = one.filter;
  const bool all =
      !filter.entity || (filter.children && filter.entity->kind == entity_kind::global);
  if (all)
    return change_index(by_name_space_, filter.name_space, one, live);
  change_index(by_entity_, *filter.entity, one, live);
  if (filter.children)
    change_index(by_parent_, *filter.entity, one, live);
}

void subscribers::find(const entity_ref& entity, const entity_parents& before,
                       const entity_parents& after, std::uint64_t position,
                       std::vector<subscriber*>& out) {
  out.clear();
  ++looks_;
  const auto add = [&](const auto& in, const auto& key) {
    const auto at = in.find(key);
    if (at == in.end())
      return;
    for (auto* one : at->second)
      if (std::exchange(one->found, looks_) != looks_ && position > one->at
          && may_want(one->filter, entity))
        out.push_back(one);
  };
  add(by_name_space_, entity.name_space);
  add(by_entity_, entity);
  if (by_parent_.empty())
    return;
  for (const auto* parents : {&before, &after}) {
    const auto of = [&](entity_kind kind, const std::string& id) {
      if (!id.empty())
        add(by_parent_, entity_ref{entity.name_space, kind, id});
    };
    of(entity_kind::user, parents->user);
    of(entity_kind::workflow, parents->workflow);
    of(entity_kind::team, parents->team);
  }
}

}  // namespace troupe::internal
