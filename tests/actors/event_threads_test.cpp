// The runtime's own threads: subscribers that come and go while hosts write.

#include <troupe/actors/hooks.hpp>
#include <troupe/actors/subscription.hpp>
#include <troupe/runtime/runtime.hpp>

#include "support/temp_directory.hpp"
#include <doctest/doctest.h>

#include <atomic>
#include <map>
#include <set>
#include <thread>

using namespace troupe;

namespace {

std::unique_ptr<runtime> open(const testing::temp_directory& at,
                              std::shared_ptr<const change_hooks> hooks = {}) {
  auto out = runtime::open({.data = at.store(), .now = {}, .hooks = std::move(hooks)});
  REQUIRE_MESSAGE(out.has_value(), (out ? "" : out.error().message));
  return *std::move(out);
}

void append(runtime& to, const std::string& id) {
  const auto done = to.execute({.entity = session_ref(id),
                                .operations = {create{}, append_items{{value::map({{"n", 1}})}}}});
  REQUIRE_MESSAGE(done.has_value(), (done ? "" : done.error().message));
}

// doc:begin follow-session
/// Calls `apply` with each change of a session behind a cursor, until `apply` answers false, and
/// answers the cursor to go on behind.
template <class Apply, class Reload>
expected<std::string> follow_session(runtime& host, const std::string& id, std::string cursor,
                                     Apply&& apply, Reload&& reload) {
  auto changes = host.subscribe({.filter = {.entity = session_ref(id)}, .after = cursor});
  while (changes) {
    auto next = changes->next(std::chrono::seconds{10});
    if (!next)
      return tl::unexpected(next.error());  // `busy`: too slow; subscribe again at the cursor
    if (!*next)
      continue;  // nothing happened meanwhile
    cursor = (**next).cursor;
    if (const auto* gap = std::get_if<event_gap>(&(**next).what))
      reload(gap->revision);  // read a state that is at least so new
    else if (!apply(*std::get<std::shared_ptr<const committed_change>>((**next).what)))
      return cursor;
  }
  return tl::unexpected(changes.error());
}
// doc:end follow-session

}  // namespace

TEST_CASE("a session is followed from its beginning and from a cursor") {
  const testing::temp_directory dir;
  auto node = open(dir);
  for (int i = 0; i < 5; ++i)
    append(*node, "a");
  std::vector<std::uint64_t> seen;
  const auto until = [&](std::uint64_t last) {
    return [&seen, last](const committed_change& x) {
      seen.push_back(x.what.revision);
      return x.what.revision < last;
    };
  };
  const auto no_gap = [](std::uint64_t) { FAIL("a gap"); };
  auto cursor = follow_session(*node, "a", "1-0", until(3), no_gap);
  REQUIRE(cursor);
  CHECK(*cursor == "1-3");
  node.reset();
  node = open(dir);
  append(*node, "a");
  cursor = follow_session(*node, "a", *cursor, until(6), no_gap);
  REQUIRE(cursor);
  CHECK(seen == std::vector<std::uint64_t>{1, 2, 3, 4, 5, 6});
}

TEST_CASE("subscribers that reconnect while threads write get each change once and in order") {
  const testing::temp_directory dir;
  auto node = open(dir);
  constexpr int writers = 3, each = 120;
  std::vector<std::thread> threads;
  for (int w = 0; w < writers; ++w)
    threads.emplace_back([&, w] {
      for (int i = 0; i < each; ++i)
        append(*node, "s" + std::to_string(w));
    });
  std::atomic<int> faults = 0;
  for (int r = 0; r < 3; ++r)
    threads.emplace_back([&, r] {
      std::string cursor = "s0-1-0";
      std::map<std::string, std::uint64_t> revisions;
      std::uint64_t position = 0;
      for (int got = 0; got < writers * each;) {
        auto changes = node->subscribe({.filter = {}, .after = cursor});
        for (int left = 1 + (got * 7 + r) % 40; left > 0 && got < writers * each; --left) {
          const auto next = changes->next(std::chrono::seconds{60});
          if (!next || !*next || std::holds_alternative<event_gap>((**next).what)) {
            ++faults;
            return;
          }
          const auto& x = *std::get<std::shared_ptr<const committed_change>>((**next).what);
          if (x.what.revision != ++revisions[x.entity.id] || x.position <= position)
            ++faults;
          position = x.position;
          cursor = (**next).cursor;
          ++got;
        }
      }
    });
  for (auto& one : threads)
    one.join();
  CHECK(faults == 0);
}

TEST_CASE("every change that is answered after a subscription began is told") {
  const testing::temp_directory dir;
  auto node = open(dir);
  for (int i = 1; i <= 30; ++i) {
    auto changes = node->subscribe({.filter = {.entity = session_ref("a")}});
    append(*node, "a");
    const auto next = changes->next(std::chrono::seconds{60});
    REQUIRE(next);
    REQUIRE(*next);
    CHECK((**next).cursor == "1-" + std::to_string(i));
  }
}

TEST_CASE("closing a runtime calls its hooks for all that was committed and ends its streams") {
  const testing::temp_directory dir;
  std::atomic<int> called = 0;
  auto hooks = std::make_shared<change_hooks>();
  hooks->after.push_back({{}, [&](const committed_change&) { ++called; }});
  auto node = open(dir, hooks);
  auto changes = node->subscribe({});
  for (int i = 0; i < 20; ++i)
    append(*node, "a");
  node->close();
  CHECK(called == 20);
  CHECK(node->subscribe({}).error().code == errc::draining);
  node.reset();
  int told = 0;
  for (auto next = changes->try_next();; next = changes->try_next(), ++told) {
    if (!next) {
      CHECK(next.error().code == errc::draining);
      break;
    }
    REQUIRE(*next);
  }
  CHECK(told == 20);
}

TEST_CASE("a runtime with a hook whose filter is wrong does not open") {
  const testing::temp_directory dir;
  auto hooks = std::make_shared<change_hooks>();
  hooks->after.push_back({{.name_space = ""}, [](const committed_change&) {}});
  CHECK(runtime::open({.data = dir.store(), .now = {}, .hooks = hooks}).error().code
        == errc::bad_id);
}
