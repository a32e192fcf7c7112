#include "simulator.hpp"

#include <utility>

namespace troupe::simulation {

void simulator::ask_something() {
  auto& what = checker_.begin(any_command(luck_, plan_, checker_));
  ask(what);
  if (std::holds_alternative<erase>(what.what.operations.front()) && luck_.percent(90))
    ask(checker_.begin(any_command(luck_, plan_, checker_, &what.what.entity)));
}

void simulator::ask_again() {
  const auto at = to_repeat_.begin() + static_cast<std::ptrdiff_t>(luck_.below(to_repeat_.size()));
  const auto id = *at;
  to_repeat_.erase(at);
  auto& what = checker_.find(id);
  if (checker_.key_is_forgotten(what)) {
    if (what.open == 0)
      ask(checker_.begin(what.what));
    return;
  }
  if (what.acknowledged && luck_.percent(15))
    return ask_otherwise(what);
  ask(what);
}

/// Under the key of what was acknowledged, with another body.
void simulator::ask_otherwise(asked& what) {
  auto other = what.what;
  other.once->body_hash = "another";
  ++waiting_;
  const auto on_answer = [this, sent = sent_command{.id = what.id, .at = checker_.now},
                          life = life_](expected<command_result> answer) {
    if (life != life_)
      return;
    --waiting_;
    checker_.answered_otherwise(sent, answer);
  };
  node_->way_in->send(host_command{std::move(other), completion<command_result>{on_answer}});
}

void simulator::ask(asked& what) {
  const auto sent = checker_.send(what);
  if (checker_.told)
    checker_.told("ask " + std::to_string(what.id) + ' ' + testing::describe(what.what)
                  + (what.what.once ? " keyed" : "") + " level "
                  + std::to_string(static_cast<int>(what.what.level)));
  ++waiting_;
  const auto on_answer = [this, sent, life = life_](expected<command_result> answer) {
    if (life != life_)
      return;
    --waiting_;
    checker_.answered(sent, answer);
    if (checker_.find(sent.id).what.once
        && luck_.percent(answer ? plan_.repeated / 4 : plan_.repeated))
      to_repeat_.push_back(sent.id);
  };
  if (what.what.once && luck_.percent(plan_.repeated / 5))  // also while the first is on its way
    to_repeat_.push_back(what.id);
  node_->way_in->send(host_command{what.what, completion<command_result>{on_answer}});
}

void simulator::ask_a_set() {
  if (sets_to_repeat_.empty() || !luck_.percent(50))
    return ask(checker_.begin(any_set(luck_, plan_, checker_)));
  const auto at =
      sets_to_repeat_.begin() + static_cast<std::ptrdiff_t>(luck_.below(sets_to_repeat_.size()));
  const auto id = *at;
  sets_to_repeat_.erase(at);
  ask(checker_.find_set(id));
}

void simulator::ask(asked_set& what) {
  const auto sent = checker_.send(what);
  ++found_.sets;
  if (checker_.told) {
    checker_.told("ask set " + std::to_string(what.id) + (what.what.once ? " keyed" : ""));
    for (std::size_t i = 0; i < what.members.size(); ++i)
      checker_.told("  " + std::to_string(what.members[i]) + ' '
                    + testing::describe(what.what.commands[i]));
  }
  ++waiting_;
  const auto on_answer = [this, sent, life = life_](expected<change_set_result> answer) {
    if (life != life_)
      return;
    --waiting_;
    checker_.answered(sent, answer);
    if (checker_.find_set(sent.id).what.once
        && luck_.percent(answer ? plan_.repeated / 2 : plan_.repeated))
      sets_to_repeat_.push_back(sent.id);
  };
  if (what.what.once && luck_.percent(plan_.repeated / 5))  // also while the first is on its way
    sets_to_repeat_.push_back(what.id);
  node_->way_in->send(host_change_set{what.what, completion<change_set_result>{on_answer}});
}

void simulator::read_something() {
  const auto all = entities_of(plan_);
  const auto& entity = all[luck_.below(all.size())];
  if (luck_.percent(50))
    return read_published(entity);
  read_strictly(entity, luck_.percent(20));
}

void simulator::read_strictly(const entity_ref& entity, bool latest) {
  ++waiting_;
  ++found_.reads;
  const auto on_answer = [this, sent = checker_.send_read(entity, latest),
                          life = life_](expected<state_snapshot> answer) {
    if (life != life_)
      return;
    --waiting_;
    checker_.answered(sent, answer);
  };
  node_->way_in->send(host_read{{entity, latest}, completion<state_snapshot>{on_answer}});
}

/// As a host thread reads: what was published, where there is any.
void simulator::read_published(const entity_ref& entity) {
  const auto sent = checker_.send_read(entity, false);
  if (auto state = node_->live->read(entity)) {
    ++found_.reads;
    checker_.answered(sent, state_snapshot{std::move(state)});
  }
}

/// Every subscriber comes and takes until there is nothing more.
void simulator::take_all_events() {
  if (plan_.readers == 0)
    return;
  do
    settle("while events are taken");
  while (!broken() && events_.take_all());
  if (!broken())
    events_.nothing_is_missing();
}

}  // namespace troupe::simulation
