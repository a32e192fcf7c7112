#include <troupe/persistence/internal/commits.hpp>
#include <troupe/persistence/memory_store.hpp>

#include "store_fixture.hpp"

using namespace troupe;
using namespace troupe::testing;

namespace {

/// Commits what it is given and tells it, as the store's actor does.
struct told_store {
  told_store() {
    feed.tell = [this](committed_batch batch) { told.push_back(std::move(batch)); };
  }

  void commit(std::vector<commit_request> requests) {
    const auto before = store.stats().position;
    const auto results = store.commit(requests);
    internal::tell_commits(feed, before, store.stats(), requests, results);
  }

  memory_store store{fold_entities()};
  commit_feed feed;
  std::vector<committed_batch> told;
};

}  // namespace

TEST_CASE("a transaction is told with the positions of what it holds and without what it refused") {
  told_store s;
  auto set = std::vector{change_of("a", 1, "1"), change_of("b", 1, "2"), change_of("c", 7, "3"),
                         change_of("d", 1, "4")};
  set.front().together = 1;
  s.commit(std::move(set));
  REQUIRE(s.told.size() == 1);
  const auto& batch = s.told.front();
  CHECK(batch.complete);
  CHECK(batch.epoch == 1);
  CHECK(batch.after == 0);
  CHECK(batch.through == 2);
  CHECK(s.feed.bytes == 3);
  REQUIRE(batch.changes.size() == 3);
  const auto& a = batch.changes[0];
  CHECK((a.what.entity.id == "a" && a.position == 1 && a.part == 0 && a.parts == 2));
  const auto& b = batch.changes[1];
  CHECK((b.what.entity.id == "b" && b.position == 1 && b.part == 1 && b.parts == 2));
  const auto& d = batch.changes[2];
  CHECK((d.what.entity.id == "d" && d.position == 2 && d.part == 0 && d.parts == 1));
  CHECK(d.what.payload == "4");
  s.commit({change_of("c", 7, "5")});
  CHECK(s.told.size() == 1);  // nothing was made
}

TEST_CASE("a listener that is too far behind is told only how far the journal has come") {
  told_store s;
  s.feed.bytes = commit_feed::max_bytes - 1;
  s.commit({change_of("a", 1, "1")});
  s.commit({change_of("a", 2, "2")});
  REQUIRE(s.told.size() == 2);
  CHECK(s.told[0].complete);
  CHECK_FALSE(s.told[1].complete);
  CHECK(s.told[1].changes.empty());
  CHECK(s.told[1].after == 1);
  CHECK(s.told[1].through == 2);
  CHECK(s.feed.bytes == commit_feed::max_bytes);
}

TEST_CASE("a slice ends between two records and never within a set") {
  told_store s;
  std::uint64_t sequence = 0;
  for (std::size_t i = 0; i + 1 < max_slice_changes; ++i)
    s.commit({change_of("a", ++sequence, "x")});
  std::vector<commit_request> set{change_of("a", ++sequence, "x"), change_of("b", 1, "x"),
                                  change_of("c", 1, "x")};
  set.front().together = 2;
  s.commit(std::move(set));
  s.commit({change_of("a", ++sequence, "x")});
  const auto slice = *internal::read_slice(s.store, {.after = 0});
  CHECK(slice.rows.size() == max_slice_changes + 2);
  CHECK(slice.through == max_slice_changes);
  CHECK(slice.more);
  const auto rest = *internal::read_slice(s.store, {.after = slice.through});
  REQUIRE(rest.rows.size() == 1);
  CHECK(rest.rows.front().sequence == sequence);
  CHECK_FALSE(rest.more);
}

TEST_CASE("a slice counts what it looked at and not only what is wanted") {
  told_store s;
  for (std::uint64_t i = 1; i <= max_slice_changes + 5; ++i)
    s.commit({change_of("a", i, "x")});
  const auto slice = *internal::read_slice(
      s.store, {.after = 0, .wanted = [](const entity_ref& x) { return x.id == "b"; }});
  CHECK(slice.rows.empty());
  CHECK(slice.more);
  CHECK(slice.through == max_slice_changes);
  CHECK(slice.position == max_slice_changes + 5);
}
