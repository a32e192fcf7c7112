#include <troupe/runtime/runtime.hpp>

#include "support/temp_directory.hpp"
#include <doctest/doctest.h>

#include <atomic>
#include <memory>
#include <string>
#include <utility>

/// What a runtime tells without waking anybody.

using namespace troupe;

namespace {

struct fixture {
  fixture() { open(); }

  void open() {
    node.reset();
    auto opened = runtime::open({.data = directory.store(),
                                 .now = [] { return timestamp{1'000}; },
                                 .idle = std::chrono::milliseconds{0}});
    REQUIRE_MESSAGE(opened, opened.error().message);
    node = *std::move(opened);
  }

  outcome execute(const std::string& id, operation what,
                  durability level = durability::durable) const {
    auto done =
        node->execute({.entity = session_ref(id), .operations = {std::move(what)}, .level = level});
    REQUIRE_MESSAGE(done, done.error().message);
    return *done;
  }
  void set(const std::string& id, int x, durability level = durability::durable) const {
    execute(id, patch_state{{set_key{.key = "k", .data = value{x}}}}, level);
  }
  static value held(const entity_state& state) {
    const auto* entry = find(state, section::state, "k", timestamp{1'000});
    return entry ? entry->data : value{};
  }

  testing::temp_directory directory;
  std::unique_ptr<runtime> node;
};

}  // namespace

TEST_CASE_FIXTURE(fixture, "an earlier revision is read as it was and a later one is gone") {
  execute("a", create{});
  set("a", 1);
  set("a", 2);
  for (int round = 0; round < 2; ++round) {
    const auto then = node->read_at(session_ref("a"), 2);
    REQUIRE(then);
    CHECK((**then).revision == 2);
    CHECK(held(**then) == value{1});
    CHECK(node->read_at(session_ref("a"), 4).error().code == errc::revision_gone);
    CHECK(node->read_at(session_ref("nobody"), 1).error().code == errc::revision_gone);
    CHECK(node->is_live(session_ref("a")) == (round == 0));
    open();
  }
}

TEST_CASE_FIXTURE(fixture, "the header of a sleeping entity is told without waking it") {
  execute("ab", create{.info = {.user = "ann", .tags = {"x"}}});
  set("ab", 1);
  execute("b", create{});
  execute("b", erase{});
  const auto awake = node->header(session_ref("ab"));
  REQUIRE(awake);
  open();
  CHECK(node->header(session_ref("ab")) == awake);
  CHECK(awake->user == "ann");
  CHECK(awake->revision == 2);
  CHECK(!node->is_live(session_ref("ab")));
  CHECK(node->header(session_ref("a"))->status == lifecycle::absent);
  CHECK(node->header(session_ref("b"))->status == lifecycle::deleted);
  CHECK(node->header(session_ref("zz"))->status == lifecycle::absent);
  CHECK(node->header(session_ref("")).error().code == errc::bad_id);
}

TEST_CASE_FIXTURE(fixture, "a list has pages and wakes nobody") {
  for (const auto* id : {"a", "b", "c"})
    execute(id, create{});
  open();
  const auto first = node->list({.limit = 2});
  REQUIRE(first);
  REQUIRE(first->rows.size() == 2);
  REQUIRE(first->next);
  const auto second = node->list({.after = *first->next});
  REQUIRE(second);
  REQUIRE(second->rows.size() == 1);
  CHECK(second->rows.front().id == "c");
  CHECK(!second->next);
  CHECK(node->list({.after = "b", .including = true})->rows.front().id == "b");
  CHECK(node->list({.after = std::string(1'000, 'x')}).error().code == errc::bad_id);
  CHECK(node->stats().live == 0);
}

TEST_CASE_FIXTURE(fixture, "a latest read sees what is only in memory and a plain one does not") {
  execute("a", create{});
  set("a", 1, durability::memory);
  CHECK(held(**node->read(session_ref("a"))) == value{});
  CHECK(held(**node->read_latest(session_ref("a"))) == value{1});
}

TEST_CASE_FIXTURE(fixture, "a runtime that closes answers what it was asked before") {
  execute("a", create{});
  std::atomic<int> answered = 0;
  for (int i = 0; i < 200; ++i) {
    node->read_at(session_ref("a"), 1, [&](const auto& state) { answered += state ? 1 : 0; });
    node->list({}, [&](const auto& page) { answered += page ? 1 : 0; });
  }
  node->close();
  CHECK(answered == 400);
}

TEST_CASE_FIXTURE(fixture, "a closed runtime refuses what it would have to ask for") {
  execute("a", create{});
  node->close();
  CHECK(node->read_at(session_ref("a"), 1).error().code == errc::draining);
  CHECK(node->list({}).error().code == errc::draining);
  CHECK(node->read_latest(session_ref("a")).error().code == errc::draining);
  CHECK(node->header(session_ref("a")).error().code == errc::draining);
}
