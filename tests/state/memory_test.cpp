#include "../support/entities.hpp"
#include <malloc.h>

#include <memory>
#include <string>
#include <vector>

// What an idle session costs beside what it holds. A sanitizer's allocator is another one and
// mallinfo2 knows nothing of it, so there the bound is not held.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define TROUPE_OWN_ALLOCATOR 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) \
    || __has_feature(memory_sanitizer)
#define TROUPE_OWN_ALLOCATOR 1
#endif
#endif

using namespace troupe;
using namespace troupe::testing;

#ifndef TROUPE_OWN_ALLOCATOR

namespace {

/// 600 bytes.
value turn() {
  return value::map({{"role", "user"}, {"content", std::string(580, 'x')}});
}

/// Older states are not kept: a history that another one shares is not shrunk.
entity_state after(const entity_state& state, operation op) {
  auto decided = decide(state, {session_ref("s"), {std::move(op)}}, {.now = {1000}});
  REQUIRE(decided.has_value());
  return std::move(decided->next);
}

/// Bytes of the heap, the allocator's own included, for each of a thousand sessions that were left
/// alone: beyond their payload. None shares anything with another one. The user's id is short
/// enough to stand inside; a longer one is a block of its own, up to its length and about 50 bytes.
double idle_bytes(std::size_t turns) {
  constexpr std::size_t count = 1'000;
  std::vector<std::shared_ptr<const entity_state>> idle;
  idle.reserve(count);
  const auto before = mallinfo2().uordblks;
  std::uint64_t payload = 0;
  for (std::size_t i = 0; i < count; ++i) {
    auto state = after({}, create{.info = {.user = "user-" + std::to_string(i)}});
    for (std::size_t n = 0; n < turns; ++n)
      state = after(state, append_items{{turn()}});
    state.items.shrink_to_fit();
    payload += state.bytes();
    idle.push_back(std::make_shared<const entity_state>(std::move(state)));
  }
  return static_cast<double>(mallinfo2().uordblks - before - payload) / count;
}

}  // namespace

TEST_CASE("an idle session costs at most 400 bytes beside its payload") {
  const auto empty = idle_bytes(0), ten_turns = idle_bytes(10);
  CAPTURE(empty);
  CAPTURE(ten_turns);
  CHECK(empty > 100);  // else this measures nothing
  CHECK(ten_turns > empty);
  CHECK(empty <= 400);
  CHECK(ten_turns <= 400);
}

#endif
