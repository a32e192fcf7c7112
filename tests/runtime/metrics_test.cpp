#include <troupe/runtime/runtime.hpp>

#include "support/temp_directory.hpp"
#include <doctest/doctest.h>

#include <sstream>
#include <string>

using namespace troupe;

namespace {

/// What a line of the exposition says; none: -1.
double number(const std::string& text, const std::string& name) {
  std::istringstream lines{text};
  for (std::string line; std::getline(lines, line);)
    if (line.rfind(name + " ", 0) == 0)
      return std::stod(line.substr(name.size() + 1));
  return -1;
}

}  // namespace

TEST_CASE("metrics count commits and activations and who sleeps") {
  const testing::temp_directory dir;
  const auto opened = runtime::open({.data = dir.path() / "store", .now = {}, .max_live = 2});
  REQUIRE(opened);
  auto& node = **opened;
  for (const auto* id : {"a", "b", "c", "d", "a"})
    REQUIRE(node.execute({session_ref(id), {create{}}}));
  const auto text = node.metrics();
  CHECK(number(text, "troupe_changes_total") == 4);  // the second `create` of a changes nothing
  CHECK(number(text, "troupe_commit_time_seconds_count") == number(text, "troupe_commits_total"));
  CHECK(number(text, "troupe_commit_batch_sum") == 4);
  CHECK(number(text, "troupe_activations_total") == 5);
  CHECK(number(text, "troupe_hibernations_total") == 3);
  CHECK(number(text, "troupe_failed_commits_total") == 0);
  CHECK(number(text, "troupe_journal_tail_bytes") > 0);
  CHECK(number(text, "troupe_stored_entities") == 4);
  CHECK(number(text, "troupe_store_bytes") >= 4 * 4096);
  CHECK(text.find("_total gauge") == std::string::npos);
  CHECK(text.find("# TYPE troupe_cache_hits_total counter") != std::string::npos);
  CHECK(text.find("caf_actor_mailbox_size{name=\"troupe.store\"}") != std::string::npos);
}

TEST_CASE("entities that are awake are folded into snapshots from their states") {
  const testing::temp_directory dir;
  {
    auto opened =
        runtime::open({.data = dir.path() / "store", .now = {}, .journal_tail_bytes = 10'000});
    REQUIRE(opened);
    auto& node = **opened;
    for (int i = 0; i < 10; ++i)
      REQUIRE(node.execute({session_ref("s" + std::to_string(i)), {create{}}}));
    for (int i = 0; i < 300; ++i)
      REQUIRE(node.execute({session_ref("s" + std::to_string(i % 10)),
                            {append_items{{value::map({{"t", std::string(300, 'x')}})}}}}));
    const auto text = node.metrics();
    const auto folded = number(text, "troupe_snapshots_total");
    CHECK(folded >= 10);
    CHECK(number(text, "troupe_live_snapshots_total") > folded / 2);
    CHECK(number(text, "troupe_live_snapshots_total") <= folded);
  }
  auto opened = runtime::open({.data = dir.path() / "store", .now = {}});
  REQUIRE(opened);
  for (int i = 0; i < 10; ++i) {
    const auto state = (*opened)->read(session_ref("s" + std::to_string(i)));
    REQUIRE(state);
    CHECK((**state).items.size() == 30);
  }
}
