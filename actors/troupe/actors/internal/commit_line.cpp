#include <troupe/actors/internal/commit_line.hpp>
#include <troupe/actors/internal/past.hpp>
#include <troupe/messages/lane.hpp>
#include <troupe/state/codec.hpp>

#include <algorithm>
#include <utility>

namespace troupe::internal {

namespace {

/// What leaves less than there was goes on when the store is full.
bool only_removes(const change& what) {
  return std::ranges::all_of(what.events, [](const event& x) {
    return std::holds_alternative<entity_deleted>(x) || std::holds_alternative<items_removed>(x)
           || std::holds_alternative<entry_erased>(x) || std::holds_alternative<section_cleared>(x);
  });
}

/// What its user, workflow and team are may be told by one of the events.
bool moves(const change& what) {
  static_assert(std::variant_size_v<event> == 11, "does the new one move an entity?");
  return std::ranges::any_of(what.events, [](const event& x) {
    if (const auto* set = std::get_if<entry_set>(&x))
      return set->in == section::info;
    if (const auto* erased = std::get_if<entry_erased>(&x))
      return erased->in == section::info;
    if (const auto* cleared = std::get_if<section_cleared>(&x))
      return cleared->in == section::info;
    return std::holds_alternative<entity_created>(x) || std::holds_alternative<entity_deleted>(x)
           || std::holds_alternative<entity_forked>(x);
  });
}

}  // namespace

void commit_line::become(state_ptr state) {
  if (flow_)
    flow_->latest = state;
  entity_->publish(std::move(state));
}

void commit_line::leave_in_turn(reply&& what) {
  in_flow().replies.add(std::move(what));
  deliver_ready();
}

void commit_line::deliver_ready() {
  flow_->replies.open(flow_->pending.durable(), durable());
}

void commit_line::give_up(const error& why) {
  entity_->publish(nullptr);
  if (flow_)
    flow_->replies.refuse_all(why);
}

commit_request commit_line::to_be_stored(const decision& decided, const command& request) const {
  commit_request out;
  out.entity = entity_->name();
  out.sequence = decided.what.revision;
  out.payload = encode(decided.what);
  out.frees = only_removes(decided.what);
  out.by_state = folds_by_state(decided.what);
  add_what_the_store_needs(out, request);
  if (moves(decided.what))
    out.before = latest();
  return out;
}

reply commit_line::write(decision&& decided, const command& request) {
  const auto now = around_->now();  // it may have been held for long
  auto level = request.level;
  auto change = to_be_stored(decided, request);
  const auto after = std::make_shared<const entity_state>(std::move(decided.next));
  in_flow().latest = change.after = after;
  if (change.base)  // its first body is written beside it
    level = durability::durable;

  reply out;
  out.answer = decided.answer;
  if (level == durability::memory) {
    if (!in_flow().pending.keep({std::move(change), after}))
      send_unwritten();
  } else {
    send_unwritten();
    const bool early =
        level == durability::relaxed && in_flow().pending.may_relax(change.payload.size(), now);
    if (!early)
      level = durability::durable;
    send(std::move(change), after, now, early);
  }
  out.durable = level == durability::durable;
  out.needs = out.durable ? all_sent() : 0;
  if (!out.durable)
    out.state = after;
  return out;
}

void commit_line::send_unwritten() {
  if (flow_)
    for (auto& [change, state] : flow_->pending.take_unwritten())
      send(std::move(change), std::move(state), around_->now(), false);
}

void commit_line::send(commit_request&& change, state_ptr after, timestamp now, bool relaxed) {
  const auto bytes = relaxed ? change.payload.size() : 0;
  in_flow().pending.add(std::move(after), now, bytes);
  change.lane = compat::lane::number_here();
  compat::request(self_, around_->store, std::move(change))
      .then([this, generation = generation_](const commit_receipt&) { on_committed(generation); },
            [this, generation = generation_](const caf::error& why) {
              on_commit_failed(generation, from_caf(why));
            });
}

void commit_line::on_committed(std::uint32_t generation) {
  if (generation != generation_)
    return;
  entity_->publish(flow_->pending.pop());
  deliver_ready();
  on_durable();
}

void commit_line::on_commit_failed(std::uint32_t generation, const error& why) {
  if (generation != generation_)
    return;
  ++generation_;
  flow_->pending.forget();
  if (why.code != errc::store_failed && why.code != errc::store_full)
    return on_doubt(why);
  flow_->replies.refuse_all(why, durable());
  flow_->latest = durable();
  on_lost();
}

}  // namespace troupe::internal
