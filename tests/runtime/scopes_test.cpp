#include <troupe/state/transfer.hpp>

#include "runtime_fixture.hpp"

#include <algorithm>
#include <chrono>
#include <functional>
#include <future>
#include <optional>
#include <string>
#include <vector>

#ifdef CAF_MAJOR_VERSION
#error "scopes.hpp brings headers of CAF, which every host would pay for"
#endif

namespace troupe {

using namespace testing;

namespace {

constexpr key<int> attempts{"attempts"};
constexpr key<std::string> city{"city"};
constexpr key<std::vector<std::string>> seen{"seen"};

struct settings {
  std::string language;
  std::optional<int> limit;
  static constexpr auto fields =
      std::tuple{field{"language", &settings::language}, field{"limit", &settings::limit}};
  friend bool operator==(const settings&, const settings&) = default;
};

// doc:begin forms-of-a-call
/// Notes an attempt in a branch of its own, if there were fewer than three.
void try_again(const session& chat, const std::function<void(expected<session>)>& done) {
  const expected<int> before = chat.get_or(attempts, 0).get(std::chrono::seconds{5});
  if (!before || *before >= 3)
    return;
  std::future<expected<command_result>> noted = chat.add(attempts, 1).future();
  if (!noted.get())
    return;
  chat.fork("attempt-" + std::to_string(*before + 1)).then(done);
}
// doc:end forms-of-a-call

}  // namespace

TEST_CASE_FIXTURE(runtime_fixture, "a session is made and found and made anew and gone") {
  const auto chat = host().session("a");
  CHECK_FALSE(answer(chat.exists()));
  CHECK(refusal(chat.read()).code == errc::not_found);
  CHECK(refusal(chat.set(attempts, 1)).code == errc::not_found);

  CHECK(answer(chat.create({.user = "ann", .tags = {"x"}})).created);
  CHECK_FALSE(answer(chat.create()).created);
  CHECK(refusal(chat.create_new()).code == errc::already_exists);
  CHECK(answer(chat.exists()));
  CHECK(answer(chat.info()).user == "ann");
  answer(chat.update({.tags = std::vector<std::string>{"y"}}));
  CHECK(answer(chat.info()).tags == std::vector<std::string>{"y"});

  CHECK(answer(chat.erase()));
  CHECK_FALSE(answer(chat.erase()));
  CHECK_FALSE(answer(chat.exists()));
}

TEST_CASE_FIXTURE(runtime_fixture,
                  "an answer comes to who blocks or holds a future or calls back") {
  const auto chat = host().session("a");
  CHECK(chat.create().get());

  auto later = chat.set(attempts, 3).future();
  const auto set = later.get();
  REQUIRE(set);
  CHECK(set->revision == 2);

  std::promise<int> told;
  chat.get(attempts).then([&](expected<int> n) { told.set_value(n.value_or(-1)); });
  CHECK(told.get_future().get() == 3);

  CHECK(chat.get(attempts).value() == 3);
  CHECK_THROWS_AS((void)host().session("b").read().value(), tl::bad_expected_access<error>);
}

TEST_CASE_FIXTURE(runtime_fixture, "the example of the forms does what it says") {
  const auto chat = host().session("a");
  answer(chat.create());
  std::promise<expected<session>> told;
  try_again(chat, [&](expected<session> branch) { told.set_value(std::move(branch)); });
  const auto branch = told.get_future().get();
  REQUIRE(branch);
  CHECK(branch->ref().id == "attempt-1");
  CHECK(answer(branch->get(attempts)) == 1);
  answer(chat.set(attempts, 3));
  try_again(chat, [](const auto&) { FAIL("three were enough"); });
}

TEST_CASE_FIXTURE(runtime_fixture, "a call that nobody finishes does nothing") {
  const auto chat = host().session("a");
  { const auto never = chat.create(); }
  CHECK_FALSE(answer(chat.exists()));
}

TEST_CASE_FIXTURE(runtime_fixture, "a call outlives the handle and the name it was made with") {
  const auto make = [&] {
    auto name = std::string(40, 'k');
    const key<int> local{name};
    return host().session("a").get_or(local, 7);
  };
  answer(host().session("a").create());
  CHECK(answer(make()) == 7);
}

TEST_CASE_FIXTURE(runtime_fixture, "who waits longer than the deadline is told so") {
  answer(host().session("a").create());
  const auto late = host().session("a").set(attempts, 1).get(std::chrono::milliseconds{0});
  REQUIRE_FALSE(late);
  CHECK(late.error().code == errc::outcome_unknown);
}

TEST_CASE_FIXTURE(runtime_fixture, "every future has its answer when the runtime is closed") {
  const auto chat = host().session("a");
  answer(chat.create());
  std::vector<std::future<expected<command_result>>> futures;
  for (int i = 0; i < 50; ++i)
    futures.push_back(chat.add(attempts, 1).future());
  host().close();
  int made = 0;
  for (auto& one : futures) {
    REQUIRE(one.wait_for(std::chrono::seconds{0}) == std::future_status::ready);
    made += one.get() ? 1 : 0;
  }
  CHECK(refusal(chat.add(attempts, 1)).code == errc::draining);
  CHECK(refusal(chat.read_at(1)).code == errc::draining);
  reopen();
  CHECK(answer(host().session("a").get_or(attempts, 0)) == made);
}

TEST_CASE_FIXTURE(runtime_fixture, "an empty handle answers that it is empty") {
  const session none;
  CHECK(none.empty());
  CHECK(refusal(none.create()).code == errc::not_found);
  CHECK(refusal(none.exists()).code == errc::not_found);
  CHECK(refusal(none.erase()).code == errc::not_found);
  CHECK(refusal(none.get(attempts)).code == errc::not_found);
  CHECK(refusal(none.get_inherited(attempts)).code == errc::not_found);
  CHECK(refusal(none.usage().add(1, 1)).code == errc::not_found);
  CHECK(refusal(none.fork("f")).code == errc::not_found);
  CHECK(refusal(none.read_at(1)).code == errc::not_found);
}

TEST_CASE_FIXTURE(runtime_fixture, "an id that is none is refused to commands and reads") {
  for (const auto* id : {"", "a\x01"}) {
    const auto chat = host().session(id);
    CHECK(refusal(chat.create()).code == errc::bad_id);
    CHECK(refusal(chat.read()).code == errc::bad_id);
    std::promise<errc> told;
    host().read_at(chat.ref(), 1, [&](const auto& x) { told.set_value(x.error().code); });
    CHECK(told.get_future().get() == errc::bad_id);
  }
  CHECK(refusal(host().session("a", "").create()).code == errc::bad_id);
}

TEST_CASE_FIXTURE(runtime_fixture, "keys hold what their type says") {
  const auto chat = host().session("a");
  answer(chat.create());
  CHECK(refusal(chat.get(attempts)).path == "/attempts");
  CHECK(answer(chat.get_or(attempts, 5)) == 5);
  answer(chat.set(attempts, 1));
  CHECK(answer(chat.get_or(attempts, 5)) == 1);
  answer(chat.add(attempts, 2));
  CHECK(answer(chat.get(attempts)) == 3);
  answer(chat.append_to(seen, "x"));
  answer(chat.append_to(seen, "y"));
  CHECK(answer(chat.get(seen)) == std::vector<std::string>{"x", "y"});
  CHECK(refusal(chat.set_if(attempts, 2, 4)).code == errc::cas_mismatch);
  answer(chat.set_if(attempts, 3, 4));
  CHECK(refusal(chat.set_if_absent(attempts, 9)).code == errc::cas_mismatch);
  answer(chat.set_if_absent(city, "Ulm"));

  answer(chat.set("raw", value{true}));
  CHECK(answer(chat.find("raw")) == value{true});
  CHECK(answer(chat.find("none")) == std::nullopt);
  CHECK(answer(chat.contains("city")));
  answer(chat.unset(city));
  CHECK_FALSE(answer(chat.contains("city")));
  answer(chat.unset("raw"));
  CHECK(answer(chat.state()) == value::map({{"attempts", 4}, {"seen", value::array({"x", "y"})}}));
  answer(chat.merge_state(value::map({{"seen", nullptr}})));
  CHECK(answer(chat.keys()) == std::vector<std::string>{"attempts"});
  answer(chat.clear_state());
  CHECK(answer(chat.keys()).empty());

  answer(chat.set_all(settings{.language = "de", .limit = {}}));
  CHECK(answer(chat.get_all<settings>()) == settings{.language = "de", .limit = {}});
}

TEST_CASE_FIXTURE(runtime_fixture, "a key expires by the clock of the runtime") {
  const auto chat = host().session("a");
  answer(chat.create());
  answer(chat.set(attempts, 1, {.ttl_ms = 100}));
  clock_ms += 99;
  CHECK(answer(chat.contains("attempts")));
  clock_ms += 1;
  CHECK_FALSE(answer(chat.contains("attempts")));
}

TEST_CASE_FIXTURE(runtime_fixture, "keys are listed by a pattern of stars and question marks") {
  const auto chat = host().session("a");
  answer(chat.create());
  for (const auto* name : {"a", "aa", "ab", "a.b", "b", "*"})
    answer(chat.set(name, 1));
  const auto listed = [&](const char* pattern) { return answer(chat.keys(pattern)); };
  using names = std::vector<std::string>;
  CHECK(listed("*") == names{"*", "a", "a.b", "aa", "ab", "b"});
  CHECK(listed("a*") == names{"a", "a.b", "aa", "ab"});
  CHECK(listed("a?") == names{"aa", "ab"});
  CHECK(listed("*b") == names{"a.b", "ab", "b"});
  CHECK(listed("a*b") == names{"a.b", "ab"});
  CHECK(listed("**a**") == names{"a", "a.b", "aa", "ab"});
  CHECK(listed("") == names{});
  CHECK(listed("?") == names{"*", "a", "b"});
}

TEST_CASE_FIXTURE(runtime_fixture, "items come back oldest first and as the type asked for") {
  const auto chat = host().session("a");
  answer(chat.create());
  answer(chat.append(chat_message{.role = "user", .content = "one"}));
  answer(chat.append(std::vector{chat_message{.role = "assistant", .content = "two"},
                                 chat_message{.role = "user", .content = "three"}}));
  answer(chat.append(value::map({{"role", "system"}})));

  const auto last = answer(chat.items(2));
  REQUIRE(last.size() == 2);
  CHECK(last[0].seq == 3);
  CHECK(last[1].fields.find("role")->as_string() == "system");
  CHECK(answer(chat.items()).size() == 4);
  CHECK(answer(chat.items(9)).size() == 4);

  const auto typed = answer(chat.items_as<chat_message>(3));
  REQUIRE(typed.size() == 3);
  CHECK(typed[0].text() == "two");
  CHECK(refusal(chat.items_as<exchange>()).code == errc::wrong_type);

  answer(chat.pop(1, 4));
  CHECK(refusal(chat.pop(1, 4)).code == errc::tail_mismatch);
  CHECK(last.size() == 2);  // what was read stays as it was
  std::uint64_t sum = 0;
  for (const auto& item : chat.items().value())
    sum += item.seq;
  CHECK(sum == 6);
  answer(chat.clear_items());
  CHECK(answer(chat.items()).size() == 0);
}

TEST_CASE_FIXTURE(runtime_fixture,
                  "usage and todos and tool calls and the notebook are a session's") {
  const auto chat = host().session("a");
  answer(chat.create({.limits = {.loop_limit = 3, .token_budget = 100}}));

  CHECK_FALSE(answer(chat.usage().add(60, 10)).over_budget());
  const auto used = answer(chat.usage().add(40, 1));
  CHECK(used.over_budget());
  CHECK(used.last == usage_counters{40, 1});
  CHECK(used.total == usage_counters{100, 11});
  CHECK(answer(chat.usage().report()) == used);
  answer(chat.usage().reset());
  CHECK(answer(chat.usage().report()).total.total() == 0);

  answer(chat.todos().put({{.id = "1", .content = "look"}, {.id = "2", .content = "answer"}}));
  answer(chat.todos().patch({{.id = "1", .content = "look", .status = todo_status::completed}},
                            {"2"}));
  const auto todos = answer(chat.todos().list());
  REQUIRE(todos.size() == 1);
  CHECK(todos[0].status == todo_status::completed);

  const auto query = value::map({{"q", "x"}});
  answer(chat.calls().record("search", query));
  answer(chat.calls().record("read", query, true));
  CHECK_FALSE(answer(chat.calls().record("search", query)).looping);
  CHECK(answer(chat.calls().record("search", query)).looping);
  CHECK(answer(chat.calls().verdict()).count == 3);
  CHECK(answer(chat.calls().list()).size() == 4);
  answer(chat.calls().reset());
  CHECK_FALSE(answer(chat.calls().verdict()).looping);

  answer(chat.notebook().update({.id = "nb", .cell_count = 2}));
  answer(chat.notebook().set_variables(value::map({{"x", "int"}, {"y", "str"}})));
  answer(chat.notebook().set_variables(value::map({{"y", nullptr}})));
  CHECK(answer(chat.notebook().read())
        == notebook{.id = "nb", .cell_count = 2, .variables = value::map({{"x", "int"}})});
  answer(chat.notebook().replace_variables(value::map({{"z", "int"}})));
  CHECK(answer(chat.notebook().read()).variables == value::map({{"z", "int"}}));
}

TEST_CASE_FIXTURE(runtime_fixture, "time goes back and forth and forks and comes together") {
  const auto chat = host().session("a");
  answer(chat.create());
  answer(chat.set(attempts, 1));
  answer(chat.checkpoint({.id = "one"}));
  answer(chat.set(attempts, 2));
  const auto two = answer(chat.read())->revision;

  CHECK(answer(chat.checkpoints()).front().id == "one");
  answer(chat.undo());
  CHECK(answer(chat.get(attempts)) == 1);
  answer(chat.redo());
  CHECK(answer(chat.get(attempts)) == 2);
  answer(chat.restore("one"));
  CHECK(answer(chat.get(attempts)) == 1);
  answer(chat.restore(two));
  CHECK(answer(chat.get(attempts)) == 2);
  answer(chat.delete_checkpoint("one"));
  CHECK(answer(chat.checkpoints()).empty());

  const auto branch = answer(chat.fork("b", 2));
  CHECK(branch.ref().id == "b");
  CHECK(answer(branch.get(attempts)) == 1);
  answer(branch.set(city, "Ulm"));
  const auto differ = answer(chat.diff(branch));
  CHECK(std::any_of(differ.begin(), differ.end(),
                    [](const difference& d) { return d.path == "/state/city"; }));
  answer(chat.merge(branch));
  CHECK(answer(chat.get(city)) == "Ulm");
  CHECK(answer(chat.get(attempts)) == 2);

  CHECK(get(*answer(chat.read_at(2)), attempts, {}) == 1);
  CHECK(refusal(chat.read_at(99)).code == errc::revision_gone);
  const auto since = answer(chat.diff(two));
  CHECK(std::any_of(since.begin(), since.end(), [](const difference& d) {
    return d.path == "/state/city" && !d.before && d.after == value{"Ulm"};
  }));
}

TEST_CASE_FIXTURE(runtime_fixture, "what is exported is the entity") {
  const auto chat = host().session("a");
  answer(chat.create());
  answer(chat.append(chat_message{.role = "user", .content = "Hello!"}));
  const auto back = import_jsonl(answer(chat.export_jsonl()));
  REQUIRE(back);
  CHECK(back->at(0).ref == chat.ref());
  CHECK(back->at(0).state == *answer(chat.read()));
  CHECK(answer(chat.export_markdown()).find("Hello!") != std::string::npos);
}

TEST_CASE_FIXTURE(runtime_fixture,
                  "a key is read from the nearest scope that has it and may be read") {
  answer(host().global().create());
  answer(host().user("ann").create());
  answer(host().team("crew").create());
  answer(host().workflow("w").create({.team = "crew"}));
  const auto chat = host().session("a");
  answer(chat.create({.user = "ann", .workflow = "w"}));

  CHECK(refusal(chat.get_inherited(city)).code == errc::not_found);
  const auto put = [&](const auto& where, const char* name) {
    answer(where.set(city, name));
    CHECK(answer(chat.get_inherited(city)) == name);
  };
  put(host().global(), "of all");
  put(host().user("ann"), "of ann");
  put(host().team("crew"), "of the crew");
  put(host().workflow("w"), "of the work");
  put(chat, "its own");
  CHECK(answer(chat.inherited()).refs.size() == 5);
  answer(chat.unset(city));
  answer(host().workflow("w").erase());
  CHECK(answer(chat.get_inherited(city)) == "of ann");  // the team was the workflow's
}

TEST_CASE_FIXTURE(runtime_fixture, "a principal neither reads nor writes what is another one's") {
  const auto ann = principal{.user = "ann"};
  const auto bob = principal{.user = "bob"};
  const auto chat = host().session("a");
  answer(chat.as(ann).create({.user = "ann"}));
  answer(chat.as(ann).set(attempts, 1));
  CHECK(answer(chat.as(ann).get(attempts)) == 1);
  CHECK(answer(chat.get(attempts)) == 1);
  CHECK(refusal(chat.as(bob).get(attempts)).code == errc::not_found);
  CHECK(refusal(chat.as(bob).read_at(1)).code == errc::not_found);
  CHECK(refusal(chat.as(bob).items()).code == errc::not_found);
  CHECK(refusal(chat.as(bob).set(attempts, 2)).code == errc::not_found);
  CHECK_FALSE(answer(chat.as(bob).exists()));
  CHECK_FALSE(answer(chat.as(bob).erase()));
  CHECK(answer(chat.exists()));

  answer(host().session("b").create({.user = "bob"}));
  answer(host().user("bob").as(bob).create({.user = "bob"}));
  answer(host().user("bob").set(city, "Ulm"));
  CHECK(answer(host().session("b").as(bob).get_inherited(city)) == "Ulm");
  answer(host().session("b").update({.shares = {{{.user = "ann", .allowed = access::read}}}}));
  CHECK(refusal(host().session("b").as(ann).get_inherited(city)).code == errc::not_found);
}

TEST_CASE_FIXTURE(runtime_fixture, "a command that is sent twice under one key is made once") {
  const auto chat = host().session("a");
  answer(chat.create());
  const auto first = answer(chat.once("k").add(attempts, 1));
  const auto again = answer(chat.once("k").add(attempts, 1));
  CHECK(again.repeated);
  CHECK(again.revision == first.revision);
  CHECK(answer(chat.get(attempts)) == 1);
  CHECK(refusal(chat.once("k", "another body").add(attempts, 1)).code
        == errc::idempotency_mismatch);
  // Of another principal it is another key.
  answer(chat.as({.user = "ann"}).once("k").add(attempts, 1));
  CHECK(answer(chat.get(attempts)) == 2);
}

TEST_CASE_FIXTURE(runtime_fixture,
                  "a handle carries how its commands are made and its fork does not") {
  const auto chat = host().session("a");
  answer(chat.create());
  CHECK(refusal(chat.at_revision(7).set(attempts, 1)).code == errc::revision_conflict);
  answer(chat.at_revision(1).set(attempts, 1));
  CHECK_FALSE(answer(chat.with(durability::memory).set(attempts, 2)).durable);
  CHECK(answer(chat.set(attempts, 3)).durable);

  const auto branch = answer(chat.once("fork").fork("b"));
  answer(branch.set(attempts, 4));
  answer(branch.set(attempts, 5));
  CHECK(answer(branch.get(attempts)) == 5);
}

TEST_CASE_FIXTURE(runtime_fixture, "a workflow goes on where it was after a restart") {
  {
    const auto build = host().workflow("build");
    answer(build.create());
    answer(build.define({{.id = "fetch"}, {.id = "parse", .after = {"fetch"}}, {.id = "lint"}}));
    CHECK(answer(build.ready()) == std::vector<std::string>{"fetch", "lint"});
    answer(build.start("fetch"));
    answer(build.finish("fetch", "bytes"));
    answer(build.start("parse"));
    answer(build.skip("lint"));
    answer(build.fail("parse", "no such page"));
    CHECK(answer(build.status()) == node_status::failed);
    CHECK(refusal(build.finish("parse")).code == errc::invalid_transition);
  }
  reopen();
  const auto build = host().workflow("build");
  answer(build.reset("parse"));
  answer(build.cancel());
  CHECK(refusal(build.start("parse")).code == errc::cancelled);
  answer(build.resume());
  CHECK(answer(build.inputs("parse")) == value::map({{"fetch", "bytes"}}));
  answer(build.start("parse"));
  answer(build.finish("parse", 3));
  CHECK(answer(build.status()) == node_status::done);
  const auto nodes = answer(build.nodes());
  REQUIRE(nodes.size() == 3);
  CHECK(nodes[1].attempts == 2);
}

TEST_CASE_FIXTURE(runtime_fixture, "a team hears what is sent and shares what it knows") {
  const auto crew = host().team("crew");
  answer(crew.create());
  for (const auto* name : {"planner", "coder", "reviewer"})
    answer(crew.join(name, "agent"));
  answer(crew.leave("reviewer"));
  CHECK(answer(crew.members()).size() == 2);
  answer(crew.send("planner", "begin"));
  answer(crew.send("planner", "for you", "coder"));
  CHECK(refusal(crew.send("planner", "x", "reviewer")).code == errc::not_found);
  const auto inbox = answer(crew.inbox("coder"));
  REQUIRE(inbox.size() == 2);
  CHECK(inbox[1].body == value{"for you"});
  answer(crew.acknowledge("coder", inbox[0].seq));
  CHECK(answer(crew.inbox("coder")).size() == 1);
  answer(crew.acknowledge("coder", inbox[1].seq));
  answer(crew.acknowledge("planner", inbox[1].seq));
  answer(crew.drop_delivered());
  CHECK(answer(crew.items()).size() == 0);
  answer(crew.set(city, "Ulm"));
  CHECK(answer(crew.get(city)) == "Ulm");
}

}  // namespace troupe
