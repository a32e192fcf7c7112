#include <troupe/state/persistent_map.hpp>

#include "../support/allocations.hpp"
#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <iterator>
#include <map>
#include <mutex>
#include <numeric>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <thread>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

using troupe::persistent_map;

namespace {

/// An int that counts what is done to its kind.
struct counted {
  static inline long alive = 0;
  static inline long copies = 0;
  static inline long comparisons = 0;

  counted(int n) : number(n) { ++alive; }  // NOLINT: a test reads better so
  counted(const counted& other) : number(other.number) { ++alive, ++copies; }
  counted(counted&& other) noexcept : number(std::exchange(other.number, -1)) { ++alive; }
  counted& operator=(const counted&) = delete;
  ~counted() { --alive; }

  friend bool operator==(const counted& a, const counted& b) {
    ++comparisons;
    return a.number == b.number;
  }
  friend auto operator<=>(const counted& a, const counted& b) {
    ++comparisons;
    return a.number <=> b.number;
  }

  int number;
};

using model_map = std::map<std::string, int>;
using changes = std::vector<std::tuple<std::string, std::optional<int>, std::optional<int>>>;

std::optional<int> number_of(const counted* x) {
  return x == nullptr ? std::nullopt : std::optional(x->number);
}

template <class Map>
changes differences(const Map& a, const Map& b) {
  changes found;
  for_each_difference(a, b,
                      [&](const std::string& key, const counted* before, const counted* after) {
                        found.emplace_back(key, number_of(before), number_of(after));
                      });
  return found;
}

changes model_differences(const model_map& a, const model_map& b) {
  changes found;
  auto all = a;
  all.insert(b.begin(), b.end());
  for (const auto& [key, ignored] : all) {
    const auto in = [&k = key](const model_map& m) {
      const auto at = m.find(k);
      return at == m.end() ? std::nullopt : std::optional(at->second);
    };
    if (in(a) != in(b))
      found.emplace_back(key, in(a), in(b));
  }
  return found;
}

template <class Map>
bool holds(const Map& m, const model_map& model) {
  if (m.size() != model.size() || m.empty() != model.empty())
    return false;
  for (const auto& [key, number] : model)
    if (number_of(m.find(key)) != number)
      return false;
  return std::equal(m.begin(), m.end(), model.begin(), model.end(),
                    [](const auto& x, const auto& y) {
                      return x.first == y.first && x.second.number == y.second;
                    });
}

/// Few enough to meet again, of every hard kind: empty, a prefix of another, longer than the small
/// string buffer, bytes that are negative as char.
std::string key_of(int n) {
  if (n == 0)
    return {};
  auto key = std::string(static_cast<std::size_t>(n % 3) * 8, 'k') + std::to_string(n % 300);
  if (n % 7 == 0)
    key += "\xff";
  return key;
}

template <class Map>
void check_against_model() {
  CHECK(rc::check("like std::map", [] {
    using operation = std::tuple<int, std::size_t, int, int>;
    const auto operations = *rc::gen::container<std::vector<operation>>(
        rc::gen::tuple(rc::gen::inRange(0, 12), rc::gen::inRange<std::size_t>(0, 1000),
                       rc::gen::inRange(0, 2000), rc::gen::inRange(1, 60)));
    std::vector<std::pair<Map, model_map>> versions(1);
    int next = 0;
    for (const auto& [what, which, from, amount] : operations) {
      const auto at = which % versions.size();
      auto& [m, model] = versions[at];
      if (what <= 4) {
        for (int i = 0; i != amount; ++i) {
          const auto key = key_of(what == 0 ? from + i : (from * 31 + i * 17) % 2000);
          RC_ASSERT(m.set(key, next) == model.insert_or_assign(key, next).second);
          ++next;
        }
      } else if (what <= 8) {
        for (int i = 0; i != amount; ++i) {
          auto key = key_of(what == 5 ? from + i : (from * 13 + i * 7) % 2000);
          if (what == 6 && !model.empty())  // one that is there
            key = std::next(model.begin(), from % static_cast<int>(model.size()))->first;
          RC_ASSERT(m.erase(key) == (model.erase(key) == 1));
        }
      } else if (what <= 10) {
        auto copy = versions[at];
        versions.push_back(std::move(copy));
      } else if (versions.size() > 1) {
        versions.erase(versions.begin() + static_cast<std::ptrdiff_t>(at));
      }
    }
    for (const auto& [m, model] : versions) {
      RC_ASSERT(holds(m, model));
      const auto& [other, other_model] = versions.front();
      RC_ASSERT(differences(other, m) == model_differences(other_model, model));
      RC_ASSERT((other == m) == (other_model == model));
      for (int n = 0; n < 60; n += 3) {
        const auto expected = model.lower_bound(key_of(n));
        const auto found = m.lower_bound(key_of(n));
        RC_ASSERT(std::distance(found, m.end()) == std::distance(expected, model.end()));
        if (expected != model.end())
          RC_ASSERT(found->first == expected->first);
      }
    }
    versions.clear();
    RC_ASSERT(counted::alive == 0);
  }));
}

std::string numbered(int n) {
  return "key-" + std::to_string(1'000'000 + n);
}

persistent_map<std::string, counted> first_keys(int n) {
  persistent_map<std::string, counted> m;
  for (int i = 0; i != n; ++i)
    m.set(numbered(i * 7919 % n), i);
  return m;
}

struct tree {
  counted label = 0;
  persistent_map<std::string, tree> children;
  friend bool operator==(const tree&, const tree&) = default;
};

using map = persistent_map<std::string, counted>;
static_assert(std::forward_iterator<map::const_iterator>);
static_assert(std::is_same_v<map::key_view, std::string_view>);
static_assert(sizeof(map) <= 16);
static_assert(std::is_nothrow_copy_constructible_v<map>);
static_assert(std::is_nothrow_move_constructible_v<map>);

}  // namespace

TEST_SUITE("persistent_map") {
  TEST_CASE("versions and forks under random operations stay what they were") {
    check_against_model<persistent_map<std::string, counted>>();
  }

  TEST_CASE("versions and forks stay what they were with wide nodes too") {
    check_against_model<persistent_map<std::string, counted, 13>>();
    check_against_model<persistent_map<std::string, counted, 32>>();
  }

  TEST_CASE("keys come out in the order of their unsigned bytes however they went in") {
    std::vector<std::string> keys{"",  "A",    "a",    "a/b",      "ab",
                                  "b", "\x7f", "\x80", "\xc3\xa4", "\xff"};
    do {
      map m;
      for (const auto& key : keys)
        m.set(key, 1);
      std::vector<std::string> seen;
      for (const auto& [key, value] : m)
        seen.push_back(key);
      REQUIRE(seen
              == std::vector<std::string>{"", "A", "a", "a/b", "ab", "b", "\x7f", "\x80",
                                          "\xc3\xa4", "\xff"});
      std::rotate(keys.begin(), keys.begin() + 1, keys.end());
    } while (!keys.front().empty());
  }

  TEST_CASE("100000 keys in any order of arrival are found and leave nothing behind when erased") {
    constexpr int total = 100'000;
    std::vector<int> order(total);
    std::iota(order.begin(), order.end(), 0);
    for (const auto* arrival : {"rising", "falling", "random"}) {
      CAPTURE(arrival);
      map m;
      for (int i : order)
        m.set(numbered(i), i);
      const auto kept = m;
      int next = 0;
      CHECK(std::all_of(m.begin(), m.end(),
                        [&](const auto& x) { return x.second.number == next++; }));
      CHECK(next == total);
      CHECK(std::all_of(order.begin(), order.end(),
                        [&](int i) { return m.find(numbered(i))->number == i; }));
      CHECK(m.find("key") == nullptr);
      CHECK(m.find("zzz") == nullptr);
      CHECK(std::all_of(order.rbegin(), order.rend(), [&](int i) { return m.erase(numbered(i)); }));
      CHECK(m.empty());
      CHECK(m.begin() == m.end());
      CHECK(kept.size() == total);
      CHECK(counted::alive == total);
      if (arrival == std::string_view("rising"))
        std::reverse(order.begin(), order.end());
      else
        std::shuffle(order.begin(), order.end(), std::minstd_rand(7));
    }
    CHECK(counted::alive == 0);
  }

  TEST_CASE("keys that arrive in order fill their nodes") {
    persistent_map<int, int> m;
    for (int i = 0; i != 10'000; ++i)
      m.set(i, i);
    const auto kept = m;
    const troupe::testing::allocation_watch watch;
    for (int i = 0; i != 10'000; ++i)
      m.set(i, i);  // a new entry each, and every node once
    CHECK(watch.count() < 10'000 + 10'000 / 7 + 10'000 / 7 / 7 + 100);
  }

  TEST_CASE("neither a copy nor a change of a copy copies a value that was there") {
    const auto before = first_keys(1024);
    const auto copies = counted::copies;
    auto after = before;
    after.set(numbered(500), -5);
    after.set("new", 7);
    CHECK(after.erase(numbered(900)));
    CHECK(counted::copies == copies);
    CHECK(before.find(numbered(3)) == after.find(numbered(3)));
    CHECK(before.find(numbered(500))->number != -5);
    CHECK(after.find(numbered(500))->number == -5);
    CHECK(before.contains(numbered(900)));
    CHECK_FALSE(before.contains("new"));
  }

  TEST_CASE("a replaced value dies with the last version that holds it") {
    auto newest = first_keys(100);
    {
      const auto before = newest;
      for (int i = 0; i != 100; ++i)
        newest.set(numbered(i), -i);
      CHECK(counted::alive == 200);
    }
    CHECK(counted::alive == 100);
    for (int i = 0; i != 90; ++i)
      CHECK(newest.erase(numbered(i)));
    CHECK(counted::alive == 10);
  }

  TEST_CASE("erasing a key that is not there shares everything") {
    const auto before = first_keys(100);
    auto after = before;
    const troupe::testing::allocation_watch watch;
    CHECK_FALSE(after.erase("nothing"));
    CHECK_FALSE(after.erase("zzz"));
    CHECK(watch.count() == 0);
  }

  TEST_CASE("a key seen through the map itself can be erased") {
    auto m = first_keys(50);
    while (!m.empty())
      CHECK(m.erase(m.begin()->first));
    CHECK(counted::alive == 0);
  }

  TEST_CASE("the difference of neighbouring versions looks at few of 100000 keys") {
    persistent_map<counted, counted> before;
    for (int i = 0; i != 100'000; ++i)
      before.set(i * 7919 % 100'000, i);
    auto after = before;
    after.set(50'000, -1);
    after.set(200'000, -2);
    CHECK(after.erase(3));
    after.set(70'000, before.find(70'000)->number);  // replaced by its equal

    std::vector<int> keys;
    const auto comparisons = counted::comparisons;
    for_each_difference(before, after, [&](const counted& key, const counted*, const counted*) {
      keys.push_back(key.number);
    });
    CHECK(keys == std::vector<int>{3, 50'000, 200'000});
    CHECK(counted::comparisons - comparisons < 300);
    CHECK(before != after);
  }

  TEST_CASE("the difference of neighbouring versions looks at few keys also where the tree grew") {
    persistent_map<counted, counted> m;
    long most = 0;
    for (int i = 0; i != 5000; ++i) {
      const auto before = m;
      m.set(i * 7919 % 5000, i);
      const auto comparisons = counted::comparisons;
      int changed = 0;
      for_each_difference(before, m, [&](auto&&, auto*, auto*) { ++changed; });
      for_each_difference(m, before, [&](auto&&, auto*, auto*) { ++changed; });
      REQUIRE(changed == 2);
      most = std::max(most, counted::comparisons - comparisons);
    }
    CHECK(most < 200);
  }

  TEST_CASE("a map and a copy of it differ in nothing and nothing is looked at") {
    const auto m = first_keys(1000);
    const auto copy = m;
    const auto comparisons = counted::comparisons;
    CHECK(differences(m, copy).empty());
    CHECK(m == copy);
    CHECK(counted::comparisons == comparisons);
    CHECK(differences(map{}, m).size() == 1000);
    CHECK(differences(m, map{}).size() == 1000);
  }

  TEST_CASE("an empty map owns no heap and a small one its entries and one node of 80 bytes") {
    const troupe::testing::allocation_watch watch;
    persistent_map<std::string, void*> m;
    auto copy = m;
    CHECK(watch.count() == 0);
    CHECK(m.set("a", nullptr));
    CHECK(watch.count() == 2);
    for (const auto* key : {"b", "c", "d", "e", "f", "g", "h"})
      CHECK(m.set(key, nullptr));
    CHECK(watch.count() == 8 + 2);  // the node grew once
    CHECK(watch.largest() == 80);
    CHECK(watch.total() - 80 - 48 == 8 * 48);
    copy = m;
    CHECK(watch.count() == 8 + 2);
  }

  TEST_CASE("a moved map leaves an empty one that can be used again") {
    auto m = first_keys(100);
    const auto moved = std::move(m);
    CHECK(m.empty());  // NOLINT(bugprone-use-after-move): the promise under test
    CHECK(m.find(numbered(1)) == nullptr);
    CHECK(m.lower_bound("a") == m.end());
    CHECK(m.set("a", 1));
    m = std::as_const(m);
    CHECK(holds(m, {{"a", 1}}));
    CHECK(moved.size() == 100);
    m.clear();
    CHECK(m.empty());
    CHECK(holds(map{{"b", 1}, {"a", 2}, {"b", 3}}, {{"a", 2}, {"b", 3}}));
  }

  TEST_CASE("a value that holds older copies of itself is freed with its last copy") {
    {
      tree root;
      for (int i = 0; i != 50; ++i) {
        const auto before = root;
        root.children.set(numbered(i % 20), before);
        CHECK(*root.children.find(numbered(i % 20)) == before);
      }
    }
    CHECK(counted::alive == 0);
  }

  TEST_CASE("threads that copy and drop one version at once lose no count") {
    std::atomic<int> alive = 0;
    struct handle {
      explicit handle(std::atomic<int>& n) : count(&n) { ++*count; }
      handle(handle&& other) noexcept : count(std::exchange(other.count, nullptr)) {}
      ~handle() {
        if (count != nullptr)
          --*count;
      }
      std::atomic<int>* count;
    };
    {
      persistent_map<int, handle> m;
      for (int i = 0; i != 50; ++i)
        m.set(i, handle(alive));
      const auto work = [&m] {
        for (int i = 0; i != 3000; ++i) {
          auto copy = m;
          copy.erase(i % 50);
        }
      };
      std::array threads{std::thread(work), std::thread(work), std::thread(work)};
      for (auto& thread : threads)
        thread.join();
      CHECK(alive == 50);
    }
    CHECK(alive == 0);
  }

  TEST_CASE("copies can be read and changed by other threads while the newest is changed") {
    std::mutex guard;
    std::condition_variable changed;
    std::deque<std::pair<int, persistent_map<std::string, std::string>>> handed_over;
    bool finished = false;
    std::atomic<int> wrong = 0;

    const auto read = [&] {
      for (;;) {
        std::pair<int, persistent_map<std::string, std::string>> got;
        {
          std::unique_lock lock(guard);
          changed.wait(lock, [&] { return finished || !handed_over.empty(); });
          if (handed_over.empty())
            return;
          got = std::move(handed_over.front());
          handed_over.pop_front();
        }
        const auto& [round, m] = got;
        auto fork = m;
        fork.set(numbered(0), "fork");
        fork.erase(numbered(100));
        int i = 0;
        for (const auto& [key, text] : m) {
          wrong += key != numbered(i)
                   || text != std::to_string(i <= round % 200 ? round / 200 : round / 200 - 1);
          ++i;
        }
        wrong += i != 200;
        wrong += fork.size() != 199 || *fork.find(numbered(0)) != "fork";
      }
    };
    persistent_map<std::string, std::string> newest;
    for (int i = 0; i != 200; ++i)
      newest.set(numbered(i), "-1");
    std::array readers{std::thread(read), std::thread(read), std::thread(read)};
    for (int round = 0; round != 6000; ++round) {
      newest.set(numbered(round % 200), std::to_string(round / 200));
      if (round % 8 == 0) {
        const std::lock_guard lock(guard);
        handed_over.emplace_back(round, newest);
        if (handed_over.size() > 64)
          handed_over.pop_front();
        changed.notify_one();
      }
    }
    {
      const std::lock_guard lock(guard);
      finished = true;
      changed.notify_all();
    }
    for (auto& reader : readers)
      reader.join();
    CHECK(wrong == 0);
    CHECK(newest.size() == 200);
  }
}
