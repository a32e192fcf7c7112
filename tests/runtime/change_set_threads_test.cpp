#include <troupe/runtime/runtime.hpp>

#include "support/printing.hpp"
#include "support/seed.hpp"
#include "support/temp_directory.hpp"
#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <random>
#include <thread>

using namespace troupe;
using namespace troupe::testing;

namespace {

constexpr int accounts = 10;
constexpr int each = 1'000;

entity_ref account(std::size_t i) {
  return session_ref("account" + std::to_string(i));
}

std::int64_t balance(const entity_state& state) {
  return find(state, section::state, "n", {})->data.view().as_int64().value_or(-1'000'000);
}

std::unique_ptr<runtime> open(const temp_directory& directory) {
  auto opened = runtime::open({.data = directory.store(), .now = {}, .max_live = 6});
  REQUIRE(opened);
  return std::move(*opened);
}

/// Moves something between two to eight accounts; what they hold together stays.
change_set moves(std::mt19937_64& random) {
  std::vector<std::size_t> who(accounts);
  for (std::size_t i = 0; i < who.size(); ++i)
    who[i] = i;
  std::shuffle(who.begin(), who.end(), random);
  const auto many = 2 + random() % 7;
  change_set out;
  std::int64_t given = 0;
  for (std::size_t i = 0; i < many; ++i) {
    const auto by = i + 1 < many ? static_cast<std::int64_t>(random() % 21) - 10 : -given;
    given += by;
    out.commands.push_back({.entity = account(who[i]),
                            .operations = {patch_state{{add_to{.key = "n", .by = by}}}},
                            .expected_revision = {}});
  }
  return out;
}

std::int64_t sum(runtime& node) {
  std::int64_t out = 0;
  for (std::size_t i = 0; i < accounts; ++i)
    out += balance(**node.read(account(i)));
  return out;
}

}  // namespace

TEST_CASE("what threads move between sessions by crossing sets is neither lost nor doubled") {
  const temp_directory directory;
  const auto seed = campaign_seed();
  {
    auto node = open(directory);
    for (std::size_t i = 0; i < accounts; ++i)
      REQUIRE(node->execute(
          {.entity = account(i),
           .operations = {create{}, patch_state{{set_key{.key = "n", .data = value{each}}}}},
           .expected_revision = {}}));
    std::atomic<int> made = 0, refused = 0, halves = 0;
    std::atomic<bool> over = false;
    std::vector<std::thread> threads;
    for (std::uint64_t t = 0; t < 6; ++t)
      threads.emplace_back([&, t] {
        std::mt19937_64 random{seed * 1'000 + t};
        for (int i = 0; i < 60; ++i) {
          auto what = moves(random);
          if (random() % 4 == 0)  // one of them is somewhere else by now
            what.commands.back().expected_revision = 1;
          const auto done = node->execute_all(what);
          ++(done ? made : refused);
          if (!done)
            CHECK(done.error().code == errc::revision_conflict);
        }
      });
    threads.emplace_back([&] {  // single commands that change no balance
      for (std::size_t i = 0; !over; i = (i + 1) % accounts)
        CHECK(node->execute({.entity = account(i),
                             .operations = {append_items{{value::map({{"n", 1}})}}},
                             .expected_revision = {}}));
    });
    threads.emplace_back([&] {
      std::mt19937_64 random{seed};
      while (!over) {
        auto what = moves(random);
        std::vector<entity_ref> some;
        for (auto& one : what.commands)
          some.push_back(one.entity);
        if (const auto found = node->read_all(some); !found || found->size() != some.size())
          ++halves;
      }
    });
    for (std::size_t t = 0; t < 6; ++t)
      threads[t].join();
    over = true;
    for (std::size_t t = 6; t < threads.size(); ++t)
      threads[t].join();
    CHECK(halves == 0);
    CHECK(made > 100);
    CHECK(refused > 10);
    CHECK(sum(*node) == accounts * each);
  }
  CHECK(sum(*open(directory)) == accounts * each);
}

TEST_CASE("two sessions read together never show half of a set") {
  const temp_directory directory;
  auto node = open(directory);
  for (std::size_t i = 0; i < 2; ++i)
    REQUIRE(node->execute(
        {.entity = account(i),
         .operations = {create{}, patch_state{{set_key{.key = "n", .data = value{each}}}}},
         .expected_revision = {}}));
  std::atomic<bool> over = false;
  std::thread writer{[&] {
    for (int i = 0; i < 150; ++i)
      CHECK(node->execute_all(
          {.commands = {{.entity = account(i % 2),
                         .operations = {patch_state{{add_to{.key = "n", .by = -1}}}},
                         .expected_revision = {}},
                        {.entity = account((i + 1) % 2),
                         .operations = {patch_state{{add_to{.key = "n", .by = 1}}}},
                         .expected_revision = {}}}}));
    over = true;
  }};
  int reads = 0;
  while (!over) {
    const auto both = node->read_all({account(1), account(0)});
    REQUIRE(both);
    CHECK(balance(*(*both)[0]) + balance(*(*both)[1]) == 2 * each);
    ++reads;
  }
  writer.join();
  CHECK(reads > 5);
}

TEST_CASE("a set can fork a session and change another one and merge the fork and delete it") {
  const temp_directory directory;
  auto node = open(directory);
  const auto parent = session_ref("parent"), fork = session_ref("fork"), other = account(0);
  const auto one = [](entity_ref entity, operation what) {
    return command{
        .entity = std::move(entity), .operations = {std::move(what)}, .expected_revision = {}};
  };
  const append_items turn{{value::map({{"content", "hello"}})}};
  REQUIRE(node->execute(one(parent, create{})));
  const auto begun = node->execute_all(
      {.commands = {one(fork, fork_from{.parent = parent}), one(other, create{})}});
  REQUIRE(begun);
  CHECK(begun->answers[0].created);
  REQUIRE(node->execute(one(fork, turn)));
  const auto merged =
      node->execute_all({.commands = {one(parent, merge_fork{.fork = fork}), one(fork, erase{})}});
  REQUIRE(merged);
  CHECK((**node->read(parent)).items.size() == 1);
  CHECK_FALSE((**node->read(fork)).live());
  CHECK(node->read_all({fork, other})->front()->status == lifecycle::deleted);
}
