// The examples of docs/state-model.md, compiled and run.

#include <troupe/state/decide.hpp>
#include <troupe/state/inherit.hpp>
#include <troupe/state/json.hpp>
#include <troupe/state/session.hpp>
#include <troupe/state/team.hpp>
#include <troupe/state/versions.hpp>
#include <troupe/state/workflow.hpp>

#include <doctest/doctest.h>

#include <memory>
#include <string>
#include <vector>

using namespace troupe;

namespace {

constexpr timestamp now{1'767'355'200'000};  // 2026-01-02T12:00:00Z

// doc:begin do
/// Decides and takes the step, as an actor does once the change is on disk.
expected<outcome> do_to(entity_state& state, const entity_ref& entity, operation what) {
  auto decided = decide(state, {.entity = entity, .operations = {std::move(what)}}, {.now = now});
  if (!decided)
    return tl::unexpected(decided.error());
  state = std::move(decided->next);  // the same as evolve(state, decided->what)
  return decided->answer;
}
// doc:end do

const entity_ref trip = session_ref("trip");

}  // namespace

TEST_CASE("the session of the documentation does what it says") {
  // doc:begin session
  entity_state session;
  do_to(session, trip, create{.info = {.user = "ann", .tags = {"travel"}}});
  const value question = value::map({{"role", "user"}, {"content", "A flight to Oslo?"}});
  const value answer = value::map({{"role", "assistant"}, {"content", "At 9:40."}});
  const auto appended = do_to(session, trip, append_items{{question, answer}});
  CHECK((appended->first_seq == 1 && appended->last_seq == 2));

  do_to(session, trip, patch_state{{set_key{.key = "city", .data = "Oslo"}}});
  do_to(session, trip, patch_state{{add_to{.key = "searches", .by = 1}}});
  do_to(session, trip, record_usage{.prompt_tokens = 120, .completion_tokens = 30});
  do_to(session, trip, put_todos{{{.id = "t1", .content = "Book the flight"}}});
  CHECK(usage_of(session).total.total() == 150);
  CHECK(find(session, section::state, "searches", now)->data == value{1});

  const entity_state before = session;  // copies a few pointers, and never changes again
  do_to(session, trip, append_items{{question}});
  CHECK((before.items.size() == 2 && session.items.size() == 3));
  // doc:end session

  // doc:begin loop
  const record_call search{.tool = "search", .arguments = value::map({{"to", "Oslo"}})};
  for (int i = 0; i < 4; ++i)
    CHECK_FALSE(do_to(session, trip, search)->loop->looping);
  const auto fifth = do_to(session, trip, search);
  CHECK((fifth->loop->looping && fifth->loop->count == 5 && fifth->loop->limit == 5));
  do_to(session, trip, append_items{{question}});  // role "user": a new turn
  CHECK_FALSE(do_to(session, trip, search)->loop->looping);
  // doc:end loop
}

TEST_CASE("the workflow of the documentation does what it says") {
  // doc:begin workflow
  const entity_ref refs{"default", entity_kind::workflow, "report"};
  entity_state workflow;
  do_to(workflow, refs, create{});
  do_to(workflow, refs,
        define_nodes{
            {{.id = "fetch"}, {.id = "check"}, {.id = "write", .after = {"fetch", "check"}}}});
  CHECK(ready_nodes(workflow) == std::vector<std::string>{"fetch", "check"});
  CHECK(do_to(workflow, refs, update_node{.id = "write"}).error().code == errc::dependency_pending);

  do_to(workflow, refs, update_node{.id = "fetch", .status = node_status::running});
  do_to(workflow, refs,
        update_node{.id = "fetch", .status = node_status::done, .result = value{42}});
  do_to(workflow, refs, update_node{.id = "check", .status = node_status::skipped});
  CHECK(inputs_of(workflow, "write") == value::map({{"fetch", 42}}));

  do_to(workflow, refs, cancel_workflow{});
  CHECK(do_to(workflow, refs, update_node{.id = "write"}).error().code == errc::cancelled);
  do_to(workflow, refs, resume_workflow{});
  CHECK(do_to(workflow, refs, update_node{.id = "write"}));
  // doc:end workflow
}

TEST_CASE("the team of the documentation does what it says") {
  // doc:begin team
  const entity_ref desk{"default", entity_kind::team, "desk"};
  entity_state team;
  do_to(team, desk, create{});
  do_to(team, desk, add_member{.name = "planner", .role = "lead"});
  do_to(team, desk, add_member{.name = "coder", .role = "worker"});
  do_to(team, desk, send_message{.from = "planner", .to = "coder", .body = "Start with the tests"});
  do_to(team, desk, send_message{.from = "planner", .body = "We ship on Friday"});  // to all others

  const auto news = messages_for(team, "coder");
  CHECK(news.size() == 2);
  do_to(team, desk, acknowledge{.member = "coder", .seq = news.back().seq});
  CHECK(messages_for(team, "coder").empty());
  CHECK(messages_for(team, "planner").empty());  // its own
  // doc:end team
}

TEST_CASE("the inheritance of the documentation does what it says") {
  // doc:begin inherit
  const entity_ref ann{"default", entity_kind::user, "ann"};
  const entity_ref all{"default", entity_kind::global, "global"};
  entity_state session, user, global;
  do_to(session, trip, create{.info = {.user = "ann"}});
  do_to(user, ann, create{});
  do_to(global, all, create{});
  do_to(global, all,
        merge_state{value::map({{"model", "small"}, {"language", "en"}, {"units", "metric"}})});
  do_to(user, ann, merge_state{value::map({{"language", "nb"}})});
  do_to(session, trip, merge_state{value::map({{"model", "large"}})});

  const std::vector<scope_view> chain{{trip, &session}, {ann, &user}, {all, &global}};
  std::string sources;
  for (const auto& found : inherit_all(chain, now))
    sources += found.key + " from " + std::string{to_string(found.source.kind)} + '\n';
  CHECK(sources == "language from user\nmodel from session\nunits from global\n");
  // doc:end inherit
}

TEST_CASE("the versions of the documentation do what they say") {
  // doc:begin versions
  entity_state session;
  do_to(session, trip, create{});
  timeline versions{session, now};
  const auto step = [&](operation what) {
    auto decided = decide(versions.current(), {.entity = trip, .operations = {std::move(what)}},
                          {.now = now, .versions = &versions});
    if (decided && decided->answer.changed)
      versions.push(decided->next, now);
    return decided.has_value();
  };
  step(merge_state{value::map({{"plan", "train"}})});
  step(create_checkpoint{.id = "before-the-flight", .name = "Train only", .tags = {"keep"}});
  step(merge_state{value::map({{"plan", "flight"}})});
  step(undo{});  // a new revision with the old content
  CHECK(find(versions.current(), section::state, "plan", now)->data == value{"train"});
  step(redo{});
  CHECK(step(restore{"before-the-flight"}));
  CHECK(find(versions.current(), section::state, "plan", now)->data == value{"train"});
  CHECK(versions.current().revision == 7);  // nothing was taken back, each step is a revision
  CHECK(diff(*versions.at(4), versions.current()).front().path == "/state/plan");
  // doc:end versions
}

TEST_CASE("the fork of the documentation does what it says") {
  // doc:begin fork
  entity_state parent;
  do_to(parent, trip, create{});
  do_to(parent, trip, merge_state{value::map({{"city", "Oslo"}, {"days", 3}})});

  // A task begins with all that its parent knows, and what it does stays its own.
  const entity_ref task = session_ref("trip/hotel-search");
  const auto base = std::make_shared<const entity_state>(parent);
  entity_state child;
  do_to(child, task, fork_from{.parent = trip, .base = base});
  const auto begun = std::make_shared<const entity_state>(child);
  do_to(child, task, merge_state{value::map({{"hotel", "Grand"}})});
  CHECK(find(parent, section::state, "hotel", now) == nullptr);

  do_to(parent, trip, merge_state{value::map({{"days", 4}})});
  const auto done = std::make_shared<const entity_state>(child);
  CHECK(merge_base(parent, task, *done) == begun->revision);
  CHECK(do_to(parent, trip, merge_fork{.fork = task, .base = begun, .theirs = done}));
  CHECK(section_as_map(parent, section::state, now)
        == value::map({{"city", "Oslo"}, {"days", 4}, {"hotel", "Grand"}}));
  // doc:end fork
}

TEST_CASE("the change set of the documentation does what it says") {
  entity_state team, session;
  const entity_ref desk{"default", entity_kind::team, "desk"};
  do_to(team, desk, create{});
  do_to(session, trip, create{});
  // doc:begin change-set
  const std::vector<const entity_state*> states{&session, &team};
  const std::vector<decide_context> contexts(2, {.now = now});
  const auto both = decide_all(
      states,
      std::vector<command>{
          {.entity = trip, .operations = {merge_state{value::map({{"status", "handed over"}})}}},
          {.entity = desk,
           .operations = {patch_state{{append_to{.key = "queue", .values = {value{"trip"}}}}}}}},
      contexts);
  CHECK(both->size() == 2);  // or neither: the first refusal refuses all
  // doc:end change-set
}
