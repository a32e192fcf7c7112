#include <troupe/state/persistent_vector.hpp>

#include "../support/allocations.hpp"
#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <array>
#include <condition_variable>
#include <deque>
#include <iterator>
#include <memory>
#include <mutex>
#include <numeric>
#include <stdexcept>
#include <string>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

using troupe::persistent_vector;

namespace {

/// An int that counts what is done to its kind.
struct counted {
  static inline long alive = 0;
  static inline long copies = 0;
  static inline long moves = 0;
  static inline long comparisons = 0;
  static inline bool copying_fails = false;

  counted(int n) : number(n) { ++alive; }  // NOLINT: a test reads better so
  counted(const counted& other) : number(other.number) {
    if (copying_fails)
      throw std::runtime_error("copying fails");
    ++alive;
    ++copies;
  }
  counted(counted&& other) noexcept : number(std::exchange(other.number, -1)) {
    ++alive;
    ++moves;
  }
  counted& operator=(const counted&) = delete;
  ~counted() { --alive; }

  friend bool operator==(const counted& a, const counted& b) {
    ++comparisons;
    return a.number == b.number;
  }

  int number;
};

long copies_during(auto&& action) {
  const auto before = counted::copies;
  action();
  return counted::copies - before;
}

using numbers = persistent_vector<counted>;

numbers first_numbers(int n) {
  numbers v;
  for (int i = 0; i != n; ++i)
    v.push_back(i);
  return v;
}

/// Reads v in every way there is.
bool holds(const numbers& v, const std::vector<int>& model) {
  const auto same = [](const counted& a, int b) { return a.number == b; };
  if (v.size() != model.size() || v.empty() != model.empty())
    return false;
  for (std::size_t i = 0; i != model.size(); ++i)
    if (v[i].number != model[i])
      return false;
  if (!std::equal(v.begin(), v.end(), model.begin(), model.end(), same))
    return false;
  if (!std::equal(std::make_reverse_iterator(v.end()), std::make_reverse_iterator(v.begin()),
                  model.rbegin(), model.rend(), same))
    return false;
  std::vector<int> by_chunk;
  v.for_each_chunk([&by_chunk](std::span<const counted> chunk) {
    for (const auto& x : chunk)
      by_chunk.push_back(x.number);
  });
  return by_chunk == model
         && (model.empty()
             || (v.front().number == model.front() && v.back().number == model.back()));
}

std::vector<int> iota(int n) {
  std::vector<int> model(static_cast<std::size_t>(n));
  std::iota(model.begin(), model.end(), 0);
  return model;
}

/// Around every size at which a chunk or a level of the trie fills up.
constexpr std::array sizes{0,    1,     3,     4,     5,     12,    13,    16,   31,   32,
                           33,   63,    64,    65,    1023,  1024,  1025,  1055, 1056, 1057,
                           2048, 32767, 32768, 32769, 32799, 32800, 32801, 40000};

struct tree {
  counted label = 0;
  persistent_vector<tree, troupe::tail_sharing::off> children;
  friend bool operator==(const tree&, const tree&) = default;
};

static_assert(std::random_access_iterator<numbers::const_iterator>);
static_assert(sizeof(numbers) <= 32);
static_assert(std::is_nothrow_copy_constructible_v<numbers>);
static_assert(std::is_nothrow_move_constructible_v<numbers>);

}  // namespace

TEST_SUITE("persistent_vector") {
  TEST_CASE("a vector of any size holds what was appended and in that order") {
    for (int n : sizes) {
      CAPTURE(n);
      CHECK(holds(first_numbers(n), iota(n)));
    }
    CHECK(counted::alive == 0);
  }

  TEST_CASE("versions and forks under random operations stay what they were") {
    CHECK(rc::check("like std::vector", [] {
      using operation = std::tuple<int, std::size_t, int>;
      const auto operations = *rc::gen::container<std::vector<operation>>(
          rc::gen::tuple(rc::gen::inRange(0, 10), rc::gen::inRange<std::size_t>(0, 1000),
                         rc::gen::inRange(0, 1200)));
      std::vector<std::pair<numbers, std::vector<int>>> versions(1);
      int next = 0;
      for (const auto& [what, which, amount] : operations) {
        const auto at = which % versions.size();
        auto& [v, model] = versions[at];
        if (what <= 4) {  // mostly a few, sometimes over a level
          for (int i = what == 0 ? amount : amount % 40; i >= 0; --i) {
            v.push_back(next);
            model.push_back(next++);
          }
        } else if (what <= 6) {
          auto copy = versions[at];
          versions.push_back(std::move(copy));
        } else if (what == 7) {
          const auto n = static_cast<std::size_t>(amount) % (model.size() + 2);
          auto kept = std::vector<int>(
              model.begin(),
              model.begin() + static_cast<std::ptrdiff_t>(std::min(n, model.size())));
          auto shorter = v.take(n);
          RC_ASSERT(shared_prefix(shorter, v) == kept.size());
          versions.emplace_back(std::move(shorter), std::move(kept));
        } else if (what == 8) {
          v = v.take(static_cast<std::size_t>(amount));
          model.resize(std::min(model.size(), static_cast<std::size_t>(amount)));
        } else if (versions.size() > 1) {
          versions.erase(versions.begin() + static_cast<std::ptrdiff_t>(at));
        }
      }
      for (const auto& [v, model] : versions) {
        RC_ASSERT(holds(v, model));
        const auto& [other, other_model] = versions.front();
        const auto common = static_cast<std::size_t>(
            std::mismatch(model.begin(), model.end(), other_model.begin(), other_model.end()).first
            - model.begin());
        RC_ASSERT(common_prefix(v, other) == common);
        RC_ASSERT(shared_prefix(v, other) <= common);
        RC_ASSERT((v == other) == (model == other_model));
      }
      versions.clear();
      RC_ASSERT(counted::alive == 0);
    }));
  }

  TEST_CASE(
      "the first n elements of a vector of any size are shared and hold nothing behind them") {
    for (int n : sizes) {
      const auto whole = first_numbers(n);
      for (int m : sizes) {
        if (m > n)
          continue;
        CAPTURE(n);
        CAPTURE(m);
        numbers part;
        CHECK(copies_during([&] { part = whole.take(static_cast<std::size_t>(m)); }) == 0);
        CHECK(shared_prefix(part, whole) == static_cast<std::size_t>(m));
        part.push_back(-7);
        CHECK(part.back().number == -7);
        CHECK(holds(part.take(static_cast<std::size_t>(m)), iota(m)));
      }
      CHECK(holds(whole, iota(n)));
    }
    auto kept = first_numbers(40000).take(100);
    CHECK(counted::alive <= 128);
    CHECK(holds(kept, iota(100)));
  }

  TEST_CASE("a copy copies no element") {
    const auto v = first_numbers(10000);
    CHECK(copies_during([&] {
            numbers copy = v;
            numbers assigned;
            assigned = copy;
            CHECK(&assigned[0] == &v[0]);
            CHECK(&assigned.back() == &v.back());
          })
          == 0);
  }

  TEST_CASE(
      "an append beside every older version copies at most one chunk and elements only once") {
    std::vector<numbers> versions(1);
    long total = 0;
    for (int i = 0; i != 3000; ++i) {
      auto next = versions.back();
      const auto copied = copies_during([&] { next.push_back(i); });
      CHECK(copied < 32);
      total += copied;
      versions.push_back(std::move(next));
    }
    CHECK(total <= 4 + 8 + 12 + 16 + 24);  // the first chunk grows, no other is ever copied
    for (std::size_t n = 0; n < versions.size(); n += 97)
      CHECK(holds(versions[n], iota(static_cast<int>(n))));
    versions.clear();
    CHECK(counted::alive == 0);
  }

  TEST_CASE("the only owner of a history copies no element when it appends") {
    CHECK(copies_during([] { CHECK(first_numbers(5000).size() == 5000); }) == 0);
  }

  TEST_CASE("of two forks the first to append copies nothing and the second its last chunk") {
    const auto base = first_numbers(1050);  // 26 elements in the last chunk
    auto first = base;
    auto second = base;
    CHECK(copies_during([&] { first.push_back(1); }) == 0);
    CHECK(copies_during([&] { second.push_back(2); }) == 26);
    CHECK(copies_during([&] {
            first.push_back(3);
            second.push_back(4);
          })
          == 0);
    CHECK(&first[1023] == &second[1023]);
    CHECK(&first[1024] != &second[1024]);
    CHECK(shared_prefix(first, second) == 1024);
    CHECK(shared_prefix(first, base) == 1050);
    CHECK(common_prefix(first, second) == 1050);
    CHECK(first[1050].number == 1);
    CHECK(second[1050].number == 2);
    CHECK(holds(base, iota(1050)));
  }

  TEST_CASE("comparing neighbouring versions looks only at what they do not share") {
    const auto before = first_numbers(10000);
    auto after = before;
    after.push_back(1);
    auto fork = before;
    fork.push_back(2);
    const auto start = counted::comparisons;
    CHECK(common_prefix(before, after) == 10000);
    CHECK(counted::comparisons == start);
    CHECK(common_prefix(after, fork) == 10000);
    CHECK(counted::comparisons - start <= 32);
    CHECK(before != after);
  }

  TEST_CASE("an append that throws leaves the vector as it was") {
    auto base = first_numbers(20);
    auto winner = base;
    winner.push_back(20);
    auto loser = base;
    const counted item = 99;
    counted moved = 99;
    counted::copying_fails = true;
    CHECK_THROWS(loser.push_back(std::move(moved)));
    counted::copying_fails = false;
    CHECK(holds(loser, iota(20)));
    loser.push_back(item);
    CHECK(loser.back().number == 99);
    CHECK(holds(base, iota(20)));
    CHECK(holds(winner, iota(21)));
  }

  TEST_CASE("an element of a vector can be appended to it") {
    numbers v;
    v.push_back(5);
    for (int i = 0; i != 100; ++i)
      v.push_back(v[v.size() / 2]);
    CHECK(std::all_of(v.begin(), v.end(), [](const counted& x) { return x.number == 5; }));
  }

  TEST_CASE("a moved vector leaves an empty one that can be used again") {
    auto v = first_numbers(100);
    const auto moved = std::move(v);
    CHECK(v.empty());  // NOLINT(bugprone-use-after-move): the promise under test
    v.push_back(0);
    CHECK(holds(v, iota(1)));
    CHECK(holds(moved, iota(100)));
    v = std::as_const(v);
    CHECK(holds(v, iota(1)));
    v.clear();
    CHECK(v.empty());
    CHECK(v.begin() == v.end());
  }

  TEST_CASE("an iterator reaches every distance from every position") {
    const auto v = first_numbers(100);
    for (int from = 0; from <= 100; ++from)
      for (int to = 0; to <= 100; ++to) {
        auto it = v.begin() + from;
        it += to - from;
        REQUIRE(it - v.begin() == to);
        if (to != 100)
          REQUIRE(it->number == to);
        if (to != 0)
          REQUIRE((--it)->number == to - 1);
      }
    CHECK(*std::upper_bound(v.begin(), v.end(), 41, [](int n, const counted& x) {
      return n < x.number;
    }) == counted(42));
  }

  TEST_CASE("a value that holds older copies of itself is freed with its last copy") {
    {
      tree root;
      for (int i = 0; i != 100; ++i) {
        const auto before = root;
        root.children.push_back(before);
        CHECK(before.children.size() == static_cast<std::size_t>(i));
        CHECK(root.children.back() == before);
      }
      CHECK(counted::alive > 100);
    }
    CHECK(counted::alive == 0);
  }

  TEST_CASE("an empty vector owns no heap and ten elements of 64 bytes own less than 900 bytes") {
    const troupe::testing::allocation_watch watch;
    persistent_vector<std::array<char, 64>> v;
    auto copy = v;
    const auto when_empty = watch.count();
    for (int i = 0; i != 10; ++i)
      v.push_back({});
    const auto grown = watch.count();
    const auto chunk = watch.largest();
    copy = v;
    CHECK(watch.count() == grown);
    CHECK(when_empty == 0);
    CHECK(grown == 6);  // chunks for 4, 8 and 12 elements with a body each, the last two alive
    CHECK(chunk < 860);
  }

  TEST_CASE("of two threads that append to the same version each sees only its own element") {
    constexpr int rounds = 10000;
    std::vector<persistent_vector<int>> bases(rounds);
    for (auto& base : bases)
      for (int i = 0; i != 5; ++i)
        base.push_back(i);
    std::atomic<int> arrived = 0;
    std::atomic<int> wrong = 0;
    const auto append = [&](int mine) {
      int round = 0;
      for (const auto& base : bases) {
        round += 2;
        ++arrived;
        for (int spins = 0; arrived < round; ++spins)
          if (spins > 1000)  // the other has no processor now
            std::this_thread::yield();
        auto fork = base;
        fork.push_back(mine);
        auto second = fork;
        second.push_back(mine);
        wrong += fork.size() != 6 || fork[5] != mine || second[5] != mine || second[6] != mine;
      }
    };
    std::thread other(append, 100);
    append(200);
    other.join();
    CHECK(wrong == 0);
    CHECK(std::all_of(bases.begin(), bases.end(), [](const auto& v) { return v.size() == 5; }));
  }

  TEST_CASE("threads that copy and drop one version at once lose no count") {
    const auto element = std::make_shared<const int>(1);
    {
      persistent_vector<std::shared_ptr<const int>> v;
      for (int i = 0; i != 100; ++i)
        v.push_back(element);
      const auto work = [&v] {
        for (int i = 0; i != 3000; ++i) {
          auto copy = v;
          copy.push_back(copy.back());
        }
      };
      std::array threads{std::thread(work), std::thread(work), std::thread(work)};
      for (auto& thread : threads)
        thread.join();
      CHECK(v.size() == 100);
    }
    CHECK(element.use_count() == 1);
  }

  TEST_CASE("copies can be read and forked by other threads while the newest is appended to") {
    constexpr int total = 6000;
    std::mutex guard;
    std::condition_variable changed;
    std::deque<persistent_vector<std::string>> handed_over;
    bool finished = false;
    std::atomic<int> wrong = 0;

    const auto read = [&] {
      for (;;) {
        persistent_vector<std::string> v;
        {
          std::unique_lock lock(guard);
          changed.wait(lock, [&] { return finished || !handed_over.empty(); });
          if (handed_over.empty())
            return;
          v = std::move(handed_over.front());
          handed_over.pop_front();
        }
        auto fork = v;
        for (int i = 0; i != 3; ++i)
          fork.push_back("fork");
        std::size_t i = 0;
        for (const auto& text : v)
          wrong += text != std::to_string(i++);
        wrong += i != v.size();
        wrong += shared_prefix(v, fork.take(v.size())) > v.size();
        wrong += fork.back() != "fork";
      }
    };
    std::array readers{std::thread(read), std::thread(read), std::thread(read)};
    persistent_vector<std::string> newest;
    for (int i = 0; i != total; ++i) {
      newest.push_back(std::to_string(i));
      if (i % 8 == 0) {
        const std::lock_guard lock(guard);
        handed_over.push_back(newest);
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
    CHECK(newest.size() == total);
    for (std::size_t i = 0; i != newest.size(); ++i)
      REQUIRE(newest[i] == std::to_string(i));
  }
}
