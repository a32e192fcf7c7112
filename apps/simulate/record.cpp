#include "simulate/record.hpp"

#include <algorithm>
#include <utility>

namespace troupe::simulate {

namespace {

std::string told(std::string_view kind, const subject& whom, const std::string& what) {
  return std::string{kind} + ": " + name_of(whom) + ' ' + what;
}

}  // namespace

record::record(const workload& what) : sessions_(what.sessions) {}

const record::book* record::find(const subject& whom) const {
  if (whom.kind == subject_kind::session)
    return whom.number < sessions_.size() ? &sessions_[whom.number] : nullptr;
  const auto at = others_.find(whom);
  return at == others_.end() ? nullptr : &at->second;
}

record::book& record::open(const subject& whom) {
  if (whom.kind != subject_kind::session)
    return others_[whom];
  if (whom.number >= sessions_.size())
    sessions_.resize(whom.number + 1);
  return sessions_[whom.number];
}

void record::settle(const intent& asked, outcome answered) {
  ++(answered == outcome::acknowledged ? acknowledged_
     : answered == outcome::refused    ? refused_
                                       : unknown_);
  if (!is_write(asked.what) || asked.whom.kind == subject_kind::cache)
    return;
  auto& mine = open(asked.whom);
  const bool begins = asked.what == action::seed || asked.what == action::create
                      || asked.what == action::fork
                      || (asked.whom.kind != subject_kind::session && asked.first == 1);
  known_ += begins && answered == outcome::acknowledged ? 1 : 0;
  const auto note = [&](part of, std::uint32_t& highest, std::uint32_t count) {
    highest = std::max(highest, asked.first + count - 1);
    if (answered != outcome::acknowledged && count > 0)
      doubts_[asked.whom].push_back({of, asked.first, count, answered});
  };
  switch (asked.what) {
    case action::create: mine.creation = answered; return;
    case action::seed:
      mine.creation = answered;
      if (asked.count > 0)
        note(part::item, mine.items, asked.count);
      return;
    case action::fork:
      mine = {.items = asked.first,
              .notes = asked.count,
              .creation = answered,
              .parent = asked.other,
              .inherited = asked.first};
      return;
    case action::append: return note(part::item, mine.items, asked.count);
    case action::team_message: return note(part::item, mine.items, 1);
    case action::note: return note(part::note, mine.notes, 1);
    case action::checkpoint: return note(part::checkpoint, mine.checkpoints, 1);
    case action::workflow_step: return note(part::step, mine.steps, 1);
    default: return;
  }
}

std::vector<subject> record::subjects() const {
  std::vector<subject> out;
  out.reserve(sessions_.size() + others_.size());
  for (std::uint64_t i = 0; i < sessions_.size(); ++i)
    if (sessions_[i].creation)
      out.push_back({subject_kind::session, i});
  for (const auto& [whom, mine] : others_)
    out.push_back(whom);
  return out;
}

/// A fork has what its parent was answered before it was made.
outcome record::answered(const subject& whom, part of, std::uint32_t number) const {
  const auto* mine = find(whom);
  if (of == part::item && mine != nullptr && mine->parent && number <= mine->inherited)
    return answered({subject_kind::session, *mine->parent}, of, number);
  if (const auto at = doubts_.find(whom); at != doubts_.end())
    for (const auto& one : at->second)
      if (one.of == of && number >= one.from && number < one.from + one.count)
        return one.answered;
  return outcome::acknowledged;
}

subject record::writer_of(const subject& whom, std::uint32_t item) const {
  auto out = whom;
  for (const auto* mine = find(out); mine != nullptr && mine->parent && item <= mine->inherited;
       mine = find(out))
    out.number = *mine->parent;
  return out;
}

std::vector<std::string> record::check(const subject& whom, const contents& found) const {
  std::vector<std::string> out;
  const auto* mine = find(whom);
  if (mine == nullptr) {
    if (found.exists)
      out.push_back(told("isolation", whom, "is there, and nobody made it"));
    return out;
  }
  if (!found.exists) {
    // What is no session is made with its first note, message or step.
    const bool made =
        mine->creation == outcome::acknowledged
        || (mine->items > 0 && answered(whom, part::item, 1) == outcome::acknowledged)
        || (mine->notes > 0 && answered(whom, part::note, 1) == outcome::acknowledged
            && whom.kind != subject_kind::session)
        || (mine->steps > 0 && answered(whom, part::step, 1) == outcome::acknowledged);
    if (made)
      out.push_back(told("lost", whom, "was acknowledged and is not there"));
    return out;
  }
  if (mine->creation == outcome::refused)
    out.push_back(told("refused", whom, "was refused and is there"));
  check_items(whom, found, out);
  check_notes(whom, found, out);
  check_checkpoints(whom, found, out);
  check_nodes(whom, found, out);
  return out;
}

void record::check_items(const subject& whom, const contents& found,
                         std::vector<std::string>& out) const {
  const auto& mine = *find(whom);
  std::uint64_t before = 0;
  std::uint64_t highest_found = 0;
  std::vector<bool> there(mine.items + 1);
  for (const auto& text : found.items) {
    subject written_to;
    std::uint64_t number = 0;
    if (!read_text(text, written_to, number)) {
      out.push_back(
          told("isolation", whom, "holds a text that nobody wrote: " + text.substr(0, 40)));
      continue;
    }
    const auto item = "item " + std::to_string(number);
    if (number == 0 || number > mine.items
        || written_to != writer_of(whom, static_cast<std::uint32_t>(number))) {
      out.push_back(told("isolation", whom, "holds " + item + " of " + name_of(written_to)));
      continue;
    }
    if (text != text_of(written_to, number, text.size()))
      out.push_back(told("damaged", whom, item + " is not what was written"));
    if (there[number])
      out.push_back(told("doubled", whom, item + " is there twice"));
    else if (number < before)
      out.push_back(told("order", whom, item + " stands behind item " + std::to_string(before)));
    if (answered(whom, part::item, static_cast<std::uint32_t>(number)) == outcome::refused)
      out.push_back(told("refused", whom, item + " was refused and is there"));
    there[number] = true;
    before = number;
    highest_found = std::max(highest_found, number);
  }
  for (std::uint32_t n = 1; n <= mine.items; ++n)
    if (!there[n] && answered(whom, part::item, n) == outcome::acknowledged) {
      out.push_back(told("lost", whom,
                         "item " + std::to_string(n) + " of " + std::to_string(mine.items)
                             + " was acknowledged and is not there"));
      return;
    }
}

void record::check_notes(const subject& whom, const contents& found,
                         std::vector<std::string>& out) const {
  const auto& mine = *find(whom);
  if (mine.notes == 0 || whom.kind == subject_kind::team)
    return;
  // A fork inherits its parent's notes; what of those was in doubt is looked at in the parent.
  std::uint64_t certain = 0, possible = 0, last_certain = 0;
  for (std::uint32_t n = 1; n <= mine.notes; ++n) {
    const auto said = answered(whom, part::note, n);
    certain += said == outcome::acknowledged ? 1 : 0;
    possible += said != outcome::refused ? 1 : 0;
    if (said == outcome::acknowledged)
      last_certain = n;
  }
  if (mine.parent && doubts_.contains({subject_kind::session, *mine.parent}))
    return;
  const auto count = found.count.value_or(0);
  const auto last = found.last.value_or(0);
  if (count < certain)
    out.push_back(told("lost", whom,
                       std::to_string(certain) + " notes were acknowledged and "
                           + std::to_string(count) + " are there"));
  if (count > possible)
    out.push_back(told(
        "doubled", whom,
        std::to_string(possible) + " notes were made and " + std::to_string(count) + " are there"));
  if (last < last_certain)
    out.push_back(told("order", whom,
                       "note " + std::to_string(last) + " stands where note "
                           + std::to_string(last_certain) + " was acknowledged later"));
  if (last > mine.notes)
    out.push_back(told("isolation", whom, "has a note that nobody made: " + std::to_string(last)));
}

void record::check_checkpoints(const subject& whom, const contents& found,
                               std::vector<std::string>& out) const {
  const auto& mine = *find(whom);
  if (!found.checkpoints)
    return;
  std::uint64_t certain = 0, possible = 0;
  for (std::uint32_t n = 1; n <= mine.checkpoints; ++n) {
    const auto said = answered(whom, part::checkpoint, n);
    certain += said == outcome::acknowledged ? 1 : 0;
    possible += said != outcome::refused ? 1 : 0;
  }
  const auto there = *found.checkpoints;
  if (there < certain || there > possible)
    out.push_back(told(there < certain ? "lost" : "doubled", whom,
                       std::to_string(certain) + " checkpoints were acknowledged and "
                           + std::to_string(there) + " are there"));
}

/// The nodes are those of one round: the last that was made, or one behind it of which nobody
/// knows. In it each node stands where the steps lead that were answered.
void record::check_nodes(const subject& whom, const contents& found,
                         std::vector<std::string>& out) const {
  const auto& mine = *find(whom);
  const auto said = [&](std::uint32_t step) {
    return step > mine.steps ? outcome::refused : answered(whom, part::step, step);
  };
  std::uint32_t round = 0;  // its first step; 0: there may be none
  for (std::uint32_t first = 1; first <= mine.steps; first += steps_in_round) {
    const bool is_there = !found.nodes.empty() && found.nodes.front().id == node_of_step(first + 1);
    if (said(first) == outcome::acknowledged || (is_there && said(first) == outcome::unknown))
      round = first;
  }
  if (found.nodes.size() != (round == 0 ? 0 : workflow_nodes)) {
    out.push_back(told(found.nodes.empty() ? "lost" : "isolation", whom,
                       "has " + std::to_string(found.nodes.size()) + " nodes"));
    return;
  }
  for (std::uint32_t k = 0; k < found.nodes.size(); ++k) {
    const auto& node = found.nodes[k];
    const auto start = round + 1 + 2 * k;
    if (node.id != node_of_step(start)) {
      out.push_back(told(
          "lost", whom,
          "has node " + node.id + " where " + node_of_step(start) + " was acknowledged later"));
      return;
    }
    const int stands = node.status == "done" ? 2 : node.status == "running" ? 1 : 0;
    const auto ended = said(start + 1), began = said(start);
    const int least = ended == outcome::acknowledged ? 2 : began == outcome::acknowledged ? 1 : 0;
    const int most = ended != outcome::refused ? 2 : began != outcome::refused ? 1 : 0;
    if (stands < least || stands > most)
      out.push_back(told(stands < least ? "lost" : "refused", whom,
                         "node " + node.id + " is " + node.status));
    if (stands < 2 ? !node.result.empty()
                   : node.result != text_of(whom, start + 1, node.result.size()))
      out.push_back(told("damaged", whom, "node " + node.id + " has not the result of its step"));
  }
}

void event_check::violation(std::string what) {
  if (violations_.size() < max_violations)
    violations_.push_back("events: " + std::move(what));
}

void event_check::on_change(const std::string& entity, std::uint64_t revision,
                            const std::vector<std::string>& items) {
  ++changes_;
  auto& at = seen_[entity];
  if (at.revision != 0 && revision != at.revision + 1)
    violation(entity + " revision " + std::to_string(revision) + " came behind "
              + std::to_string(at.revision));
  at.revision = revision;
  for (const auto& text : items) {
    subject whom;
    std::uint64_t number = 0;
    if (!read_text(text, whom, number) || name_of(whom) != entity) {
      violation(entity + " has an event of another subject: " + text.substr(0, 40));
      continue;
    }
    if (number <= at.item)
      violation(entity + " item " + std::to_string(number) + " came behind item "
                + std::to_string(at.item));
    at.item = number;
  }
}

void event_check::on_gap(const std::string& why) {
  violation("the stream has a gap: " + why);
}

void event_check::on_end(const std::string& entity, std::uint64_t revision) {
  const auto at = seen_.find(entity);
  if (at != seen_.end() && at->second.revision != revision)
    violation(entity + " is at revision " + std::to_string(revision) + " and the stream ended at "
              + std::to_string(at->second.revision));
}

}  // namespace troupe::simulate
