#include "event_checker.hpp"

#include <troupe/state/codec.hpp>

#include "clients.hpp"

#include <algorithm>
#include <variant>

namespace troupe::simulation {

namespace {

constexpr std::size_t remembered_places = 8;
constexpr std::size_t small_queue = 3;  // deliveries; then: it is cut off

std::string name_of(entity_kind kind, const std::string& id) {
  return std::string{to_string(kind)} + ' ' + id;
}

/// All belong to the global scope of their namespace.
void add_parents(const model::entity& of, std::vector<std::string>& to) {
  to.push_back(name_of(entity_kind::global, "global"));
  if (!of.live())
    return;
  to.push_back(name_of(entity_kind::workflow, of.workflow));
  to.push_back(name_of(entity_kind::team, of.team));
  to.push_back(name_of(entity_kind::user, of.user));
}

}  // namespace

event_checker::event_checker(checker& to, dice& luck, const plan& how) : checker_{to}, luck_{luck} {
  const auto all = entities_of(how);
  const std::vector<entity_ref> parents{{.kind = entity_kind::workflow, .id = "w"},
                                        {.kind = entity_kind::team, .id = "t"},
                                        {.kind = entity_kind::user, .id = "ann"},
                                        {.kind = entity_kind::global, .id = "global"}};
  for (std::uint64_t i = 0; i < how.readers; ++i) {
    reader one{.number = i + 1};
    auto& filter = one.options.filter;
    switch (luck_.below(6)) {
      case 0: filter.entity = all[luck_.below(all.size())]; break;
      case 1: filter.kinds = {entity_kind::session}; break;
      case 2: filter.events = {"state_set", "items_appended"}; break;
      case 3:
        filter.children = true;
        filter.entity = parents[luck_.below(parents.size())];
        break;
      default: break;
    }
    if (luck_.percent(25))
      one.options.max_deliveries = small_queue;
    readers_.push_back(std::move(one));
  }
}

void event_checker::violated(const reader& one, const std::string& what) {
  checker_.violated("subscriber " + std::to_string(one.number) + ' ' + what);
}

// What the disk does
// ------------------------------------------------------------------------------------------------

void event_checker::landed(std::span<const commit_request> together, std::uint64_t position) {
  for (std::uint32_t part = 0; part < together.size(); ++part) {
    const auto& request = together[part];
    record out{.entity = request.entity,
               .position = position,
               .part = part,
               .parts = static_cast<std::uint32_t>(together.size()),
               .revision = request.sequence,
               .payload = request.payload};
    if (const auto what = decode_change(request.payload))
      for (const auto& x : what->events) {
        out.events.push_back(name_of(x));
        out.begins = out.begins || std::holds_alternative<entity_created>(x)
                     || std::holds_alternative<entity_forked>(x);
      }
    add_parents(checker_.model_at(request.entity, request.sequence - 1), out.parents);
    add_parents(checker_.model_at(request.entity, request.sequence), out.parents);
    journal_.push_back(std::move(out));
  }
}

bool event_checker::wants(const reader& one, const record& what) const {
  const auto& filter = one.options.filter;
  const auto has = [](const auto& list, const auto& x) {
    return list.empty() || std::find(list.begin(), list.end(), x) != list.end();
  };
  const bool its =
      !filter.entity || *filter.entity == what.entity
      || (filter.children
          && std::ranges::find(what.parents, name_of(filter.entity->kind, filter.entity->id))
                 != what.parents.end());
  return its && has(filter.kinds, what.entity.kind)
         && (filter.events.empty()
             || std::any_of(what.events.begin(), what.events.end(),
                            [&](const auto& x) { return has(filter.events, x); }));
}

std::size_t event_checker::next_for(const reader& one) const {
  auto at = one.at.next;
  while (at < journal_.size() && !wants(one, journal_[at]))
    ++at;
  return at;
}

// What happens to subscribers
// ------------------------------------------------------------------------------------------------

void event_checker::node_began(event_hub_actor hub, std::shared_ptr<commit_feed> feed) {
  hub_ = std::move(hub);
  feed_ = std::move(feed);
  doubt_ = read_failed_ = false;
}

void event_checker::node_crashed() {
  for (auto& one : readers_)
    leave(one);
  hub_ = nullptr;
  feed_.reset();
}

void event_checker::act() {
  if (readers_.empty())
    return;
  after_doubt();
  auto& one = readers_[luck_.below(readers_.size())];
  if (!one.connected)
    connect(one);
  else if (luck_.percent(15))
    leave(one);
  else
    take(one, 1 + luck_.below(10));
}

bool event_checker::take_all() {
  after_doubt();
  bool busy = false;
  for (auto& one : readers_) {
    const auto before = taken;
    busy = busy || !one.connected;
    if (!one.connected)
      connect(one);
    take(one, journal_.size() + 1);
    busy = busy || taken != before || !one.connected;
  }
  return busy && checker_.violation().empty();
}

void event_checker::nothing_is_missing() {
  for (const auto& one : readers_)
    if (const auto at = next_for(one); at < journal_.size())
      violated(one, "was never told of revision " + std::to_string(journal_[at].revision) + " of "
                        + to_string(journal_[at].entity));
}

void event_checker::after_doubt() {
  if (!std::exchange(doubt_, false))
    return;
  for (auto& one : readers_)
    leave(one);
}

/// Before everything.
std::string event_checker::start_of(const reader& one) const {
  return one.options.filter.of_one() ? to_string(entity_cursor{feed_->epoch, 0})
                                     : to_string(stream_cursor{feed_->epoch, 0, 0});
}

/// Behind what it took last or some time before, from the beginning, or from now on.
void event_checker::connect(reader& one) {
  const auto how = luck_.below(10);
  if (how == 0)
    one.at = {start_of(one), 0};
  else if (one.at.cursor.empty())
    one.at = {"", journal_.size()};
  else if (how < 3 && !one.before.empty())
    one.at = one.before[luck_.below(one.before.size())];
  one.options.after.reset();
  if (!one.at.cursor.empty())
    one.options.after = one.at.cursor;
  resumed += one.options.after ? 1 : 0;
  auto stream = subscribe(hub_, *feed_, one.options);
  if (!stream)
    return violated(one,
                    "may not come back with '" + one.at.cursor + "': " + stream.error().message);
  one.stream = *std::move(stream);
  one.connected = true;
  if (checker_.told)
    checker_.told("subscriber " + std::to_string(one.number) + " comes with '" + one.at.cursor
                  + "'");
}

void event_checker::leave(reader& one) {
  one.stream.close();
  one.connected = false;
}

void event_checker::take(reader& one, std::size_t most) {
  for (std::size_t i = 0; i < most && one.connected && checker_.violation().empty(); ++i) {
    auto next = one.stream.try_next();
    if (!next)
      return ended(one, next.error());
    if (!*next)
      return;
    got(one, **next);
  }
}

void event_checker::got(reader& one, const event_delivery& what) {
  if (const auto* gap = std::get_if<event_gap>(&what.what))
    return got(one, *gap);
  const auto& change = *std::get<std::shared_ptr<const committed_change>>(what.what);
  const auto said =
      "revision " + std::to_string(change.what.revision) + " of " + to_string(change.entity);
  if (checker_.told)
    checker_.told("subscriber " + std::to_string(one.number) + " gets " + said + " '" + what.cursor
                  + "'");
  const auto at = next_for(one);
  if (at == journal_.size())
    return violated(one, "was told of " + said + ", which is not on disk, or again");
  const auto& right = journal_[at];
  if (right.entity != change.entity || right.revision != change.what.revision
      || right.payload != encode(change.what))
    return violated(one, "was told of " + said + " where revision " + std::to_string(right.revision)
                             + " of " + to_string(right.entity) + " comes next, or otherwise");
  const bool parts_told = !one.options.filter.of_one();
  if (parts_told
      && (right.position != change.position || right.part != change.part
          || right.parts != change.parts))
    return violated(one, "was told of " + said + " at another position than it has");
  ++taken;
  one.at = {what.cursor, at + 1};
  one.before.push_back(one.at);
  if (one.before.size() > remembered_places)
    one.before.pop_front();
  checker_.mix(what.cursor);
}

/// What comes next has a change of an entity whose id was used again later: whose child it was in
/// its earlier life is not kept.
bool event_checker::may_not_know_parents(const reader& one) const {
  std::vector<entity_ref> again;
  for (auto i = journal_.size(); one.options.filter.children && i > one.at.next; --i) {
    const auto& what = journal_[i - 1];
    if (std::ranges::find(again, what.entity) != again.end())
      return true;
    if (what.begins)
      again.push_back(what.entity);
  }
  return false;
}

void event_checker::got(reader& one, const event_gap& gap) {
  const auto from = parse_cursor(one.options.filter, gap.cursor);
  const auto* behind = from ? std::get_if<stream_cursor>(&*from) : nullptr;
  if (behind != nullptr && gap.why != event_gap::cause::slow && may_not_know_parents(one)) {
    one.at.cursor = gap.cursor;
    while (one.at.next < journal_.size() && journal_[one.at.next].position <= behind->position)
      ++one.at.next;
    return;
  }
  if (gap.why != event_gap::cause::slow || one.options.max_deliveries > small_queue)
    return violated(one, "was told of a gap at '" + gap.cursor + "' though all is kept");
  if (gap.cursor != one.at.cursor)
    return violated(one, "was cut off at '" + gap.cursor + "' and had got '" + one.at.cursor + "'");
}

void event_checker::ended(reader& one, const error& why) {
  const bool slow = why.code == errc::busy && one.options.max_deliveries == small_queue;
  const bool unread = why.code == errc::store_failed && read_failed_;
  if (!slow && !unread)
    violated(one, "was ended with " + std::string{to_string(why.code)} + " (" + why.message + ")");
  cut_off += slow ? 1 : 0;
  leave(one);
}

}  // namespace troupe::simulation
