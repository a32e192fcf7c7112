#include <troupe/persistence/internal/entity_record.hpp>

#include <doctest/doctest.h>

using namespace troupe::internal;

namespace {

using revisions = std::vector<std::uint64_t>;

kept_versions plan(const revisions& bodies, std::uint64_t newest, std::uint64_t keep_from,
                   const revisions& pins = {}, std::uint64_t first = 1) {
  return plan_versions(bodies, newest, first, keep_from, 0, pins);
}

}  // namespace

TEST_CASE("a young entity keeps every change and no older body") {
  const auto out = plan({}, 40, 1);
  CHECK(out.base == 0);
  CHECK(out.revisions.empty());
}

TEST_CASE("the base is the newest body that all promised revisions follow") {
  CHECK(plan({10, 50, 90}, 120, 60).base == 50);
  CHECK(plan({10, 50, 90}, 120, 50).base == 50);
  CHECK(plan({10, 50, 90}, 120, 9).base == 0);
  CHECK(plan({10, 50, 90}, 120, 120).base == 120);
}

TEST_CASE("bodies behind the base stay as far apart as half of what is promised") {
  const auto out = plan({10, 50, 60, 70, 80, 105, 110}, 120, 60);  // 60 promised: 30 apart
  CHECK(out.base == 60);
  CHECK(out.revisions == revisions{60, 105});
}

TEST_CASE("a body of an entity with fewer revisions than are promised serves nothing") {
  const revisions bodies{10, 20, 30, 45};
  CHECK(plan_versions(bodies, 48, 1, 1, 100, {}).revisions.empty());
  CHECK(plan_versions(bodies, 58, 1, 1, 100, {}).revisions.empty());
  const revisions later{10, 51, 60};
  CHECK(plan_versions(later, 70, 1, 1, 100, {}).revisions == revisions{51});
}

TEST_CASE("a pinned body stays wherever it is and one of an earlier life goes") {
  CHECK(plan({10, 50, 90}, 120, 60, {10}).revisions == revisions{10, 50, 90});
  CHECK(plan({10, 50, 90}, 120, 60, {10}, 20).revisions == revisions{50, 90});
  CHECK(plan({10, 50}, 120, 120, {10}).revisions == revisions{10});
}

TEST_CASE("heads and lists of chunks are read back and refused when they are cut off") {
  const entity_head head{
      .position = 7, .base = 3, .first_revision = 2, .logs = {9, 4}, .owns_log = true};
  const auto bytes = encode(head) + "header";
  std::string_view rest{bytes};
  CHECK(*take_head(rest) == head);
  CHECK(rest == "header");
  const chunk_list chunks{{9, 1}, {9, 2}, {4, 3}, {9, 4}};
  const auto list = encode(chunks) + "body";
  CHECK(list.size() == 4 + 3 * 12 + 4 * 4 + 4);
  rest = list;
  CHECK(*take_chunks(rest) == chunks);
  CHECK(rest == "body");
  for (std::size_t cut = 0; cut < encode(head).size(); ++cut) {
    rest = std::string_view{bytes}.substr(0, cut);
    CHECK_FALSE(take_head(rest));
  }
  for (std::size_t cut = 0; cut < encode(chunks).size(); ++cut) {
    rest = std::string_view{list}.substr(0, cut);
    CHECK_FALSE(take_chunks(rest));
  }
}
