// What a scope actor asks the store for: earlier revisions, parents and forks, earlier answers; and
// what it does not send there at once.

#include <troupe/actors/scope.hpp>

#include "support/memory_node.hpp"
#include "support/printing.hpp"

#include <random>

using namespace troupe;
using testing::memory_node;

namespace {

append_items item(const std::string& text) {
  return {{value::map({{"content", text}})}};
}

std::string texts(const entity_state& state) {
  std::string out;
  for (const auto& i : state.items)
    out += std::string{*i.fields.find("content")->as_string()} + ' ';
  return out;
}

command keyed(operation what, std::string key, std::string hash = "h") {
  command out;
  out.entity = session_ref("s");
  out.operations = {std::move(what)};
  out.once = idempotency{"me", std::move(key), std::move(hash)};
  return out;
}

command at_level(operation what, durability level) {
  command out;
  out.entity = session_ref("s");
  out.operations = {std::move(what)};
  out.level = level;
  return out;
}

}  // namespace

TEST_CASE("undo and redo reach back beyond the actor's own life") {
  memory_node n;
  REQUIRE(n.execute("s", create{}));
  for (const char* text : {"a", "b", "c"})
    REQUIRE(n.execute("s", item(text)));
  n.sleep("s");
  REQUIRE(n.execute("s", undo{.steps = 2}));
  CHECK(texts(n.read("s")) == "a ");
  n.sleep("s");
  REQUIRE(n.execute("s", redo{}));
  CHECK(texts(n.read("s")) == "a b ");
  CHECK(n.execute("s", undo{.steps = 9}).error().code == errc::nothing_to_undo);
  CHECK(n.execute("s", restore{std::uint64_t{99}}).error().code == errc::revision_gone);
}

TEST_CASE("undo goes back over changes that are not written yet") {
  memory_node n;
  REQUIRE(n.execute("s", create{}));
  for (const char* text : {"a", "b", "c"})
    REQUIRE(n.execute(at_level(item(text), durability::memory)));
  REQUIRE(n.execute("s", undo{.steps = 2}));
  CHECK(texts(n.read("s")) == "a ");
}

TEST_CASE("commands behind one that waits for the store keep their order") {
  memory_node n;
  REQUIRE(n.execute("s", create{}));
  REQUIRE(n.execute("s", item("a")));
  REQUIRE(n.execute("s", item("b")));
  n.sleep("s");
  const auto first = n.send({.entity = session_ref("s"), .operations = {undo{}}});
  const auto second = n.send({.entity = session_ref("s"), .operations = {item("c")}});
  n.world.run();
  CHECK((**first)->revision == 4);
  CHECK((**second)->revision == 5);
  CHECK(texts(n.read("s")) == "a c ");
}

TEST_CASE("a checkpoint is restored after the session slept") {
  memory_node n;
  REQUIRE(n.execute("s", create{}));
  REQUIRE(n.execute("s", item("a")));
  REQUIRE(n.execute("s", create_checkpoint{.id = "c"}));
  REQUIRE(n.execute("s", clear_items{}));
  n.sleep("s");
  REQUIRE(n.execute("s", restore{std::string{"c"}}));
  CHECK(texts(n.read("s")) == "a ");
}

TEST_CASE("a fork begins with its parent now or at an earlier revision and is merged back") {
  memory_node n;
  REQUIRE(n.execute("p", create{}));
  REQUIRE(n.execute("p", item("a")));
  REQUIRE(n.execute("p", item("b")));
  REQUIRE(n.execute("now", fork_from{.parent = session_ref("p")}));
  REQUIRE(n.execute("then", fork_from{.parent = session_ref("p"), .at = 2}));
  CHECK(texts(n.read("now")) == "a b ");
  CHECK(texts(n.read("then")) == "a ");
  CHECK(n.execute("later", fork_from{.parent = session_ref("p"), .at = 9}).error().code
        == errc::revision_gone);
  CHECK(n.execute("none", fork_from{.parent = session_ref("nobody")}).error().code
        == errc::not_found);
  CHECK(n.execute("self", fork_from{.parent = session_ref("self")}).error().code
        == errc::not_found);

  for (const char* text : {"c", "d"}) {
    REQUIRE(n.execute("now", item(text)));
    n.sleep("now");
    const auto merged = n.execute("p", merge_fork{.fork = session_ref("now")});
    REQUIRE_MESSAGE(merged, (merged ? "" : merged.error().message));
    n.sleep("p");
  }
  CHECK(texts(n.read("p")) == "a b c d ");
}

TEST_CASE("a fork has what its parent has on disk and says so of a parent that is only in memory") {
  memory_node n;
  REQUIRE(n.execute(at_level(create{}, durability::memory)));
  const auto none = n.execute("f", fork_from{.parent = session_ref("s")});
  REQUIRE_FALSE(none);
  CHECK(none.error().code == errc::not_found);
  CHECK(none.error().message.find("'memory'") != std::string::npos);
  CHECK(none.error().message
        == n.execute("f", fork_from{.parent = session_ref("nobody")}).error().message);

  REQUIRE(n.execute(at_level(item("a"), durability::durable)));
  REQUIRE(n.execute(at_level(item("b"), durability::memory)));
  REQUIRE(n.execute("early", fork_from{.parent = session_ref("s")}));
  CHECK(texts(n.read("early")) == "a ");
  REQUIRE(n.execute(at_level(item("c"), durability::durable)));
  REQUIRE(n.execute("late", fork_from{.parent = session_ref("s")}));
  CHECK(texts(n.read("late")) == "a b c ");
}

TEST_CASE("a principal forks no session that it may not read now whatever it could read before") {
  memory_node n;
  entity_info info;
  info.user = "ada";
  info.shares = {{"bob", access::read}};
  REQUIRE(n.execute("p", create{info}));
  update_info unshared;
  unshared.shares.emplace();
  REQUIRE(n.execute("p", unshared));
  command fork{.entity = session_ref("f"),
               .operations = {fork_from{.parent = session_ref("p"), .at = 1}},
               .expected_revision = {},
               .by = {.user = "bob"}};
  CHECK(n.execute(fork).error().code == errc::not_found);
  fork.by = {.user = "ada"};
  CHECK(n.execute(fork));
}

TEST_CASE("a repeated command has one effect and the first answer") {
  memory_node n;
  REQUIRE(n.execute("s", create{}));
  const auto first = n.execute(keyed(item("a"), "k"));
  REQUIRE(first);
  CHECK_FALSE(first->repeated);
  REQUIRE(n.execute("s", item("b")));
  SUBCASE("in one life") {}
  SUBCASE("after the session slept") {
    n.sleep("s");
  }
  const auto again = n.execute(keyed(item("a"), "k"));
  REQUIRE(again);
  CHECK(again->repeated);
  CHECK(static_cast<const outcome&>(*again) == static_cast<const outcome&>(*first));
  CHECK(texts(n.read("s")) == "a b ");
  CHECK(n.execute(keyed(item("c"), "k", "another")).error().code == errc::idempotency_mismatch);
  auto other = keyed(item("d"), "k");
  other.once->principal = "you";
  CHECK_FALSE(n.execute(other)->repeated);
}

TEST_CASE("an answer is forgotten after 24 hours and not before") {
  memory_node n;
  REQUIRE(n.execute("s", create{}));
  REQUIRE(n.execute(keyed(item("a"), "k")));
  n.clock.ms += answers_kept_ms - 1;
  CHECK(n.execute(keyed(item("a"), "k"))->repeated);
  n.clock.ms += 1;
  CHECK_FALSE(n.execute(keyed(item("a"), "k"))->repeated);
  CHECK(n.execute(keyed(item("a"), "k"))->repeated);
  CHECK(texts(n.read("s")) == "a a ");
}

TEST_CASE("a command of level memory is written with the next durable one or when it sleeps") {
  memory_node n;
  REQUIRE(n.execute("s", create{}));
  const auto answer = n.execute(at_level(item("a"), durability::memory));
  REQUIRE(answer);
  CHECK_FALSE(answer->durable);
  CHECK(texts(*answer->state) == "a ");
  CHECK(texts(n.read("s")) == "");
  CHECK(texts(n.read("s", true)) == "a ");
  SUBCASE("a durable one") {
    const auto next = n.execute("s", item("b"));
    CHECK(next->durable);
    CHECK(next->revision == 3);
    CHECK(texts(n.read("s")) == "a b ");
  }
  SUBCASE("sleep") {
    n.sleep("s");
    CHECK(texts(n.read("s")) == "a ");
  }
  SUBCASE("many bytes") {
    std::mt19937 random{1};
    std::string text(200'000, 'x');  // that no compression makes short
    for (auto& c : text)
      c = static_cast<char>('!' + random() % 90);
    for (int i = 0; i < 7; ++i)
      REQUIRE(n.execute(at_level(item(text), durability::memory)));
    CHECK(n.read("s").items.size() == 8);
  }
}

TEST_CASE("a command with a key that was answered from memory is repeated from memory") {
  memory_node n;
  REQUIRE(n.execute("s", create{}));
  auto request = keyed(item("a"), "k");
  request.level = durability::memory;
  REQUIRE(n.execute(request));
  const auto again = n.execute(request);
  REQUIRE(again);
  CHECK(again->repeated);
  CHECK_FALSE(again->durable);
}

TEST_CASE("an entity that is not used goes to sleep and one that is does not") {
  memory_node n{100, 1'000};
  for (const char* id : {"used", "read", "idle"})
    REQUIRE(n.execute(id, create{}));
  n.look();
  n.clock.ms += 600;
  n.look();
  REQUIRE(n.execute("used", item("a")));
  n.clock.ms += 600;
  REQUIRE(n.live->find(session_ref("read"))->read());
  n.look();
  CHECK(n.live->find(session_ref("used")) != nullptr);
  CHECK(n.live->find(session_ref("read")) != nullptr);
  CHECK(n.live->find(session_ref("idle")) == nullptr);
  CHECK(n.read("idle").live());
}

TEST_CASE(
    "beyond its number of live entities a node lets those sleep that were used least lately") {
  memory_node n{3};
  for (int i = 0; i < 10; ++i) {
    REQUIRE(n.execute("s" + std::to_string(i), create{}));
    REQUIRE(n.execute("s0", item("again")));
    CHECK(n.live->size() <= 3);
  }
  CHECK(n.live->find(session_ref("s0")) != nullptr);
  CHECK(n.live->find(session_ref("s9")) != nullptr);
  CHECK(n.live->find(session_ref("s5")) == nullptr);
  CHECK(n.read("s5").live());
}
