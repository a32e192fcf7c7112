#include <troupe/runtime/current_session.hpp>

#include "runtime_fixture.hpp"

#include <algorithm>
#include <atomic>
#include <numeric>
#include <random>
#include <string>
#include <thread>
#include <vector>

/// A thousand sessions under many threads: what one is given is never seen in another.

namespace troupe {

using namespace testing;

namespace {

constexpr std::size_t sessions = 1'000;
constexpr std::uint64_t rounds = 3;
constexpr key<std::string> owner_key{"owner"};

std::string owner_of(std::size_t number) {
  return "owner-" + std::to_string(number) + ";";
}

/// Code far below the one that knows the session: it writes to the current one.
struct deep_code {
  static std::vector<call<command_result>> steps(const std::string& owner, std::uint64_t tokens) {
    const auto here = current_session();
    std::vector<call<command_result>> out;
    out.push_back(here.set(owner_key, owner));
    out.push_back(here.append(value::map({{"role", "user"}, {"content", owner}})));
    out.push_back(here.apply({record_usage{tokens, 1}}));
    out.push_back(here.apply({record_call{"tool-" + owner, value::map({{"for", owner}}), false}}));
    out.push_back(here.todos().put({{.id = owner, .content = "work of " + owner}}));
    return out;
  }
};

/// Calls of one thread that are on their way; so many at most.
class in_flight {
public:
  void add(call<command_result> what) {
    while (pending_ >= 200)
      pending_.wait(pending_);
    ++pending_;
    std::move(what).then([this](const expected<command_result>& x) {
      if (!x)
        ++failed_;
      if (--pending_ < 200)
        pending_.notify_one();
    });
  }
  /// How many failed.
  int finish() {
    while (pending_ > 0)
      pending_.wait(pending_);
    return failed_;
  }

private:
  std::atomic<int> pending_ = 0;
  std::atomic<int> failed_ = 0;
};

/// Every text of an entity that names an owner names this one, and the counts are its own.
std::vector<std::string> foreign_in(const entity_state& state, std::size_t number) {
  std::vector<std::string> out;
  const auto mine = owner_of(number);
  const auto look = [&](std::string_view where, std::string_view text) {
    for (auto at = text.find("owner-"); at != text.npos; at = text.find("owner-", at + 1)) {
      if (text.substr(at, mine.size()) != mine)
        out.push_back(std::string{where} + " names another owner");
    }
  };
  for (const auto& item : state.items)
    look("an item", item.fields.bytes());
  for_each_stored_entry(state, [&](const std::string& key, const entry& e) {
    look("a key", key);
    look("an entry", e.data.bytes());
  });
  const auto tokens = usage_of(state).total;
  const auto turns = tokens.completion_tokens;
  if (tokens.prompt_tokens != turns * (number + 1))
    out.push_back("usage is not its own");
  return out;
}

/// What is missing when all is written.
std::vector<std::string> lost_in(const entity_state& state) {
  std::vector<std::string> out;
  if (state.items.size() != rounds)
    out.push_back("not all items");
  if (usage_of(state).total.completion_tokens != rounds)
    out.push_back("not all usage");
  if (usage_of(state).tool_calls != rounds)
    out.push_back("not all tool calls");
  if (todos_of(state).size() != 1)
    out.push_back("not its todo");
  return out;
}

struct crowd : runtime_fixture {
  /// Sessions by `id_of`: when two have one id, they share it.
  template <class F>
  std::vector<std::string> hammer(std::size_t count, F id_of) {
    const auto of = [&](std::size_t number) { return host().session(id_of(number)); };
    in_flight making;
    for (std::size_t i = 0; i < count; ++i)
      making.add(of(i).create());
    REQUIRE(making.finish() == 0);

    std::atomic<bool> over = false;
    std::vector<std::string> seen_meanwhile;
    std::thread reader{[&] {
      for (std::size_t i = 0; !over; i = (i + 7) % count) {
        if (const auto state = of(i).read().get())
          for (auto& one : foreign_in(**state, i))
            seen_meanwhile.push_back(std::move(one));
      }
    }};

    std::vector<std::thread> writers;
    std::atomic<int> failed = 0;
    for (std::uint64_t round = 0; round < rounds; ++round)
      writers.emplace_back([&, round] {
        std::vector<std::size_t> order(count);
        std::iota(order.begin(), order.end(), 0u);
        std::shuffle(order.begin(), order.end(), std::mt19937_64{round});
        in_flight calls;
        for (const auto number : order) {
          const session_scope scope{of(number)};
          for (auto& step : deep_code::steps(owner_of(number), number + 1))
            calls.add(std::move(step));
        }
        failed += calls.finish();
      });
    for (auto& one : writers)
      one.join();
    over = true;
    reader.join();

    auto out = std::move(seen_meanwhile);
    if (failed > 0)
      out.push_back(std::to_string(failed) + " commands failed");
    for (std::size_t i = 0; i < count; ++i) {
      const auto state = answer(of(i).read());
      for (auto& one : foreign_in(*state, i))
        out.push_back(std::move(one));
      for (auto& one : lost_in(*state))
        out.push_back(std::move(one));
    }
    return out;
  }
};

bool contains(const std::vector<std::string>& found, const char* what) {
  return std::find(found.begin(), found.end(), what) != found.end();
}

}  // namespace

TEST_CASE_FIXTURE(crowd, "a thousand sessions under many threads never see each other") {
  const auto found = hammer(sessions, [](std::size_t n) { return "s" + std::to_string(n); });
  CHECK_MESSAGE(found.empty(), (found.empty() ? std::string{} : found.front()));
}

TEST_CASE_FIXTURE(crowd, "sessions that share an id on purpose are found out") {
  const auto found = hammer(20, [](std::size_t n) { return "s" + std::to_string(n / 2); });
  CHECK(contains(found, "an item names another owner"));
  CHECK(contains(found, "an entry names another owner"));
  CHECK(contains(found, "a key names another owner"));
  CHECK(contains(found, "usage is not its own"));
  CHECK(contains(found, "not all items"));
}

}  // namespace troupe
