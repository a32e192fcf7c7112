#include "simulate/generator.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace troupe::simulate {

namespace {

constexpr std::uint64_t micro(double seconds) {
  return static_cast<std::uint64_t>(seconds * 1e6);
}

}  // namespace

generator::generator(workload what, std::uint64_t seed)
    : what_{std::move(what)},
      random_{seed},
      popularity_{what_.popularity},
      sessions_(what_.sessions),
      user_notes_(what_.users),
      team_messages_(what_.teams),
      workflow_steps_(what_.workflows) {
  for (const auto& tool : what_.tools)
    tool_shares_ += tool.share;
  const bool bursts = what_.burst_every_s > 0;
  peak_rate_ = what_.visits_per_s * (1 + what_.daily_swing)
               * (bursts ? std::max(1.0, what_.burst_factor) : 1.0);
  for (std::uint64_t i = 0; i < what_.sessions; ++i) {
    const auto first = seed_intent(i);
    sessions_[i].items = first.count;
    sessions_[i].kib = first.count * first.items[0].bytes / 1024;
    sessions_[i].created = true;
  }
  // A run begins in the middle of a day: visits are open, each somewhere in a pause.
  const auto open = static_cast<std::uint64_t>(std::llround(expected_open_visits()));
  for (std::uint64_t i = 0; i < open; ++i)
    begin_visit(micro(pause_at_any_time() * random_.unit()));
  arrival_us_ = next_arrival(0);
}

intent generator::seed_intent(std::uint64_t session) const {
  random_source own{mix(session) ^ 0x5eed};
  intent out;
  out.what = action::seed;
  out.whom = {subject_kind::session, session};
  out.first = what_.items_in_each == 0 ? 0 : 1;
  out.count = static_cast<std::uint32_t>(what_.items_in_each);
  out.other = own.below(what_.users);
  if (out.count > 0)
    out.items[0] = {author::user, 0, static_cast<std::uint32_t>(what_.assistant_bytes.draw(own))};
  return out;
}

/// A pause that somebody is in at some moment: long ones are met more often than short ones.
double generator::pause_at_any_time() {
  const auto pauses = what_.think_s.values();
  const auto longest = pauses.empty() ? 0 : pauses.back();
  double out = 0;
  do {
    out = what_.think_s.draw(random_);
  } while (random_.unit() * longest > out);
  return out;
}

double generator::expected_open_visits() const {
  const auto turn_s = what_.think_s.mean() + (1 + what_.tool_calls) * what_.agent_s.mean();
  return what_.visits_per_s * std::max(1.0, what_.turns) * turn_s;
}

intent generator::next() {
  while (ready_.empty()) {
    if (visits_.empty() || arrival_us_ <= visits_.top().at_us) {
      begin_visit(arrival_us_);
      arrival_us_ = next_arrival(arrival_us_);
      continue;
    }
    const auto v = visits_.top();
    visits_.pop();
    step(v);
  }
  const auto out = ready_.front();
  ready_.pop_front();
  return out;
}

double generator::rate_at(double seconds) const noexcept {
  const auto hour = what_.day_begins_at_h + seconds / 3'600;
  auto rate =
      what_.visits_per_s * (1 - what_.daily_swing * std::cos(hour / 24 * 2 * std::numbers::pi));
  if (what_.burst_every_s > 0 && std::fmod(seconds, what_.burst_every_s) < what_.burst_for_s)
    rate *= what_.burst_factor;
  return rate;
}

/// A Poisson process whose rate changes: one at the highest rate, thinned.
std::uint64_t generator::next_arrival(std::uint64_t at_us) {
  if (peak_rate_ <= 0)
    return UINT64_MAX;
  for (auto at = static_cast<double>(at_us) / 1e6;;) {
    at += random_.exponential(1 / peak_rate_);
    if (random_.unit() * peak_rate_ < rate_at(at))
      return micro(at);
    if (at > 1e9)
      return UINT64_MAX;
  }
}

std::uint64_t generator::choose_session() {
  if (!sessions_.empty() && random_.chance(what_.returning)) {
    const auto one = popularity_.draw(random_, sessions_.size());
    if (sessions_[one].kib < full_session_kib)
      return one;
  }
  sessions_.emplace_back();
  return sessions_.size() - 1;
}

void generator::begin_visit(std::uint64_t at_us) {
  visit v{.at_us = at_us, .order = ++visits_begun_, .session = choose_session()};
  v.turns_left = static_cast<std::uint32_t>(1 + random_.geometric(std::max(0.0, what_.turns - 1)));
  visits_.push(v);
}

void generator::step(visit v) {
  last_us_ = v.at_us;
  switch (v.next) {
    case visit::phase::begin:
      if (!sessions_[v.session].created) {
        emit(v, action::create, {subject_kind::session, v.session}).other =
            popularity_.draw(random_, what_.users);
        sessions_[v.session].created = true;
      } else {
        reconnect(v);
      }
      [[fallthrough]];
    case visit::phase::question:
      ask(v);
      v.calls_left = static_cast<std::uint32_t>(random_.geometric(what_.tool_calls));
      break;
    case visit::phase::call:
      call_tool(v);
      --v.calls_left;
      break;
    case visit::phase::answer:
      answer(v);
      work_with_others(v);
      if (--v.turns_left == 0)
        return;
      v.at_us += micro(what_.think_s.draw(random_));
      v.next = visit::phase::question;
      visits_.push(v);
      return;
  }
  v.next = v.calls_left > 0 ? visit::phase::call : visit::phase::answer;
  v.at_us += micro(what_.agent_s.draw(random_));
  visits_.push(v);
}

intent& generator::emit(const visit& v, action what, subject whom) {
  const bool own = whom.kind == subject_kind::session && !ready_.empty()
                   && ready_.back().whom == whom && ready_.back().at_us == v.at_us;
  auto& out = ready_.emplace_back();
  out.number = ++emitted_;
  out.at_us = v.at_us;
  out.what = what;
  out.whom = whom;
  out.follows = own;
  return out;
}

item_plan generator::plan(author by) {
  const auto& sizes = by == author::user        ? what_.user_bytes
                      : by == author::assistant ? what_.assistant_bytes
                                                : what_.tool_bytes;
  item_plan out{by, 0, static_cast<std::uint32_t>(std::max(1.0, sizes.draw(random_)))};
  if (by == author::tool) {
    auto left = random_.unit() * tool_shares_;
    while (out.tool + 1u < what_.tools.size() && (left -= what_.tools[out.tool].share) >= 0)
      ++out.tool;
  }
  return out;
}

void generator::append(const visit& v, std::vector<item_plan> items) {
  auto& book = sessions_[v.session];
  auto& out = emit(v, action::append, {subject_kind::session, v.session});
  out.first = book.items + 1;
  out.count = static_cast<std::uint32_t>(items.size());
  std::uint32_t bytes = 0;
  for (std::size_t i = 0; i < items.size(); ++i) {
    out.items.at(i) = items[i];
    bytes += items[i].bytes + 64;
  }
  book.items += out.count;
  book.kib += (bytes + 1'023) / 1'024;
}

void generator::reconnect(const visit& v) {
  for (auto left = random_.times(what_.reconnects); left > 0; --left)
    emit(v, action::read_all, {subject_kind::session, v.session});
}

void generator::ask(const visit& v) {
  append(v, {plan(author::user)});
  for (auto left = random_.times(what_.history_reads); left > 0; --left)
    emit(v, action::read_history, {subject_kind::session, v.session}).count =
        static_cast<std::uint32_t>(what_.history_items);
}

void generator::call_tool(const visit& v) {
  append(v, {plan(author::assistant), plan(author::tool)});
}

void generator::answer(const visit& v) {
  const subject own{subject_kind::session, v.session};
  append(v, {plan(author::assistant)});
  auto& book = sessions_[v.session];
  for (auto left = random_.times(what_.state_writes); left > 0; --left)
    emit(v, action::note, own).first = ++book.notes;
  for (auto left = random_.times(what_.state_reads); left > 0; --left)
    emit(v, action::read_state, own);
  for (auto left = random_.times(what_.usage); left > 0; --left)
    emit(v, action::record_usage, own).count = static_cast<std::uint32_t>(random_.below(4'000));
  if (random_.chance(what_.checkpoints) && book.checkpoints < 900)
    emit(v, action::checkpoint, own).first = ++book.checkpoints;
  maybe_fork(v);
}

void generator::maybe_fork(const visit& v) {
  if (!random_.chance(what_.forks))
    return;
  const auto parent = v.session;
  sessions_.push_back(sessions_[parent]);
  sessions_.back().checkpoints = 0;
  auto& out = emit(v, action::fork, {subject_kind::session, sessions_.size() - 1});
  out.other = parent;
  out.first = sessions_.back().items;  // what it begins with
  out.count = sessions_.back().notes;
}

void generator::work_with_others(const visit& v) {
  for (auto left = random_.times(what_.cache_lookups); left > 0; --left) {
    const auto key = popularity_.draw(random_, what_.cache_keys);
    auto& out = emit(v, action::cache_lookup, {subject_kind::cache, key});
    random_source own{mix(key)};
    out.first = 1;
    out.bytes = static_cast<std::uint32_t>(what_.cache_bytes.draw(own));
  }
  for (auto left = random_.times(what_.user_writes); left > 0; --left) {
    const auto user = popularity_.draw(random_, what_.users);
    emit(v, action::note, {subject_kind::user, user}).first = ++user_notes_[user];
  }
  for (auto left = random_.times(what_.team_messages); left > 0; --left) {
    const auto team = random_.below(what_.teams);
    auto& out = emit(v, action::team_message, {subject_kind::team, team});
    out.first = ++team_messages_[team];
    out.bytes = plan(author::user).bytes;
  }
  for (auto left = random_.times(what_.workflow_steps); left > 0; --left) {
    const auto flow = random_.below(what_.workflows);
    auto& out = emit(v, action::workflow_step, {subject_kind::workflow, flow});
    out.first = ++workflow_steps_[flow];
    out.bytes = plan(author::tool).bytes;
  }
}

}  // namespace troupe::simulate
