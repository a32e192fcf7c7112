// Where the tails of entities stand: as the index says, beside a model that keeps every change.

#include <troupe/persistence/internal/tail_index.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <random>
#include <string>
#include <unordered_set>
#include <vector>

using namespace troupe;

namespace {

/// Of the tails that begin at or before `from`.
void begin_fold(internal::tail_index& index, std::uint64_t from, std::uint64_t newest) {
  index.begin_fold(newest, [&](const auto& oldest) { return oldest.value.first <= from; });
}

}  // namespace

TEST_CASE("the index notes the first change behind a fold and forgets one that is taken back") {
  internal::tail_index index{100};
  auto& a = index.append(nullptr, "a", {1, 1});
  auto& b = index.append(nullptr, "b", {1, 2});
  begin_fold(index, 2, 2);
  index.append(&a, "a", {2, 3});
  index.take_back(a, {1, 1});
  index.append(&a, "a", {2, 4});
  index.append(&a, "a", {3, 5});
  index.take_back(a, {2, 4});
  index.materialised(a, {1, 1});
  index.materialised(b, {1, 2});
  index.end_fold();
  REQUIRE(index.find("a") == &a);
  CHECK(a.value.first == 4);
  CHECK(a.value.newest.position == 4);
  CHECK(index.find("b") == nullptr);
}

TEST_CASE("the index knows whether all changes of a tail fold by state whatever is taken back") {
  internal::tail_index index{100};
  auto& a = index.append(nullptr, "a", {1, 1}, true);
  CHECK(a.value.by_state);
  index.append(&a, "a", {2, 2}, false);
  CHECK_FALSE(a.value.by_state);
  index.take_back(a, {1, 1});
  CHECK_FALSE(a.value.by_state);  // too careful, and no harm
  begin_fold(index, 1, 1);
  index.append(&a, "a", {2, 2}, true);
  index.append(&a, "a", {3, 3}, true);
  index.materialised(a, {1, 1});
  index.end_fold();
  CHECK(a.value.by_state);
  begin_fold(index, 2, 3);
  index.append(&a, "a", {4, 4}, true);
  index.append(&a, "a", {5, 5}, false);
  index.materialised(a, {3, 3});
  index.end_fold();
  CHECK_FALSE(a.value.by_state);
  CHECK(a.value.first == 4);
  CHECK_FALSE(index.append(nullptr, "b", {1, 6}).value.by_state);
}

TEST_CASE("what came while a fold was out that was given up is nothing to the next") {
  internal::tail_index index{100};
  auto& a = index.append(nullptr, "a", {1, 1});
  begin_fold(index, 1, 1);
  index.append(&a, "a", {2, 2});
  begin_fold(index, 1, 2);
  index.append(&a, "a", {3, 3});
  index.materialised(a, {2, 2});
  CHECK(a.value.first == 3);
}

TEST_CASE("the index remembers entities without tail in bounded number and those with one always") {
  using change = internal::newest_change;
  internal::tail_index index{100};
  for (int i = 0; i < 10'000; ++i)
    index.remember("clean" + std::to_string(i), {1, 2});
  CHECK(index.clean() <= 102);
  CHECK(index.newest("clean9999") == change{1, 2});
  CHECK_FALSE(index.newest("clean0").has_value());
  for (int i = 0; i < 1'000; ++i)
    index.append(nullptr, "tail" + std::to_string(i), {7, 5});
  CHECK(index.tails() == 1'000);
  CHECK(index.newest("tail0") == change{7, 5});
  index.take_back(*index.find("tail0"), {6, 3});
  CHECK(index.find("tail0") == nullptr);
  CHECK(index.newest("tail0") == change{6, 3});
}

TEST_CASE(
    "the index knows the newest and the first change of every tail and takes the newest back") {
  using change = internal::newest_change;
  internal::tail_index index{4};
  for (std::uint64_t entity = 0; entity < 200; ++entity) {  // the table grows over and over
    internal::tail_index::node* node = nullptr;
    for (std::uint64_t i = 1; i <= entity % 20 + 1; ++i)
      node = &index.append(node, "entity" + std::to_string(entity), {i, 1'000 * i + entity});
  }
  for (std::uint64_t entity = 0; entity < 200; ++entity) {
    auto* node = index.find("entity" + std::to_string(entity));
    REQUIRE(node != nullptr);
    REQUIRE(node->key() == "entity" + std::to_string(entity));
    for (auto left = entity % 20 + 1; left > 0; --left) {
      REQUIRE(node->value.newest == change{left, 1'000 * left + entity});
      REQUIRE(node->value.first == 1'000 + entity);
      index.take_back(*node, {left - 1, left == 1 ? 7 : 1'000 * (left - 1) + entity});
    }
    REQUIRE(index.find("entity" + std::to_string(entity)) == nullptr);
    REQUIRE(index.newest("entity" + std::to_string(entity)) == change{0, 7});
  }
  CHECK(index.tails() == 0);
}

namespace {

/// The same as a list of all changes that no snapshot covers.
class index_model {
public:
  using node = internal::tail_index::node;

  explicit index_model(std::uint32_t seed) : random_{seed} {}

  /// Some entities get a change each, as a batch does, which may be taken back.
  void append(bool taken_back) {
    struct undo {
      std::string key;
      internal::newest_change before;
    };
    std::vector<undo> done;
    const auto position = position_, bytes = bytes_;
    for (auto left = 1 + random_() % 4; left > 0; --left) {
      ++position_;
      for (auto set = 1 + random_() % 2; set > 0; --set) {  // two may stand in one record
        const auto key = "e" + std::to_string(random_() % 12);
        if (newest_[key].position == position_)
          continue;
        done.push_back({key, newest_[key]});
        auto& newest = newest_[key];
        newest = {newest.sequence + 1, position_};
        index_.append(index_.find(key), key, newest, true, bytes_);
        uncovered_[key].push_back({position_, bytes_});
      }
      bytes_ += 50 + random_() % 100;
    }
    if (!taken_back)
      return;
    for (; !done.empty(); done.pop_back()) {
      const auto& [key, before] = done.back();
      index_.take_back(*index_.find(key), before);
      newest_[key] = before;
      uncovered_[key].pop_back();
    }
    position_ = position;
    bytes_ = bytes;
  }

  void begin_fold() {
    picked_.clear();
    auto left = random_() % 6;
    std::uint64_t last = 0;
    index_.begin_fold(position_, [&](const node& oldest) {
      if (left-- == 0)
        return false;
      CHECK(oldest.value.first >= last);
      last = oldest.value.first;
      picked_.emplace_back(oldest.key(), oldest.value);
      return true;
    });
    folded_to_ = position_;
  }

  /// A first part of what was picked, but for those that were materialised meanwhile.
  void end_fold() {
    picked_.resize(random_() % (picked_.size() + 1));
    std::vector<std::pair<node*, internal::newest_change>> ready;
    for (const auto& [key, tail] : picked_)
      if (auto* entry = index_.find(key); entry != nullptr && entry->value.first == tail.first)
        ready.emplace_back(entry, tail.newest);
    std::unordered_set<const node*> whose;
    for (const auto& [entry, upto] : ready) {
      whose.insert(entry);
      std::erase_if(uncovered_[std::string{entry->key()}],
                    [&](const auto& at) { return at.position <= folded_to_; });
    }
    check(whose);
    for (const auto& [entry, upto] : ready)
      index_.materialised(*entry, upto);
    index_.end_fold();
    picked_.clear();
  }

  void materialise_one() {
    const auto key = "e" + std::to_string(random_() % 12);
    auto* entry = index_.find(key);
    CHECK((entry != nullptr) == !uncovered_[key].empty());
    if (entry == nullptr)
      return;
    uncovered_[key].clear();
    check({entry});
    index_.materialised(*entry, newest_[key]);
  }

  void lengthen() {
    const auto at = 1 + random_() % (position_ + 1);
    const std::uint64_t by = random_() % 41 - 20ULL;
    index_.lengthened(at, by);
    for (auto& [key, changes] : uncovered_)
      for (auto& one : changes)
        one.bytes_before += one.position > at ? by : 0;
    bytes_ += by;
  }

  void check(const std::unordered_set<const node*>& whose = {}) {
    const internal::journal_place* wanted = nullptr;
    for (const auto& [key, changes] : uncovered_)
      if (!changes.empty() && (wanted == nullptr || changes.front().position < wanted->position))
        wanted = &changes.front();
    const auto* found = index_.oldest_without(whose);
    REQUIRE((found != nullptr) == (wanted != nullptr));
    if (found == nullptr)
      return;
    REQUIRE(found->position == wanted->position);
    REQUIRE(found->bytes_before == wanted->bytes_before);
  }

  void step() {
    switch (random_() % 8) {
      case 0: return begin_fold();
      case 1: return end_fold();
      case 2: return materialise_one();
      case 3: return append(true);
      case 4: return lengthen();
      default: return append(false);
    }
  }

private:
  std::mt19937 random_;
  internal::tail_index index_{100};
  std::map<std::string, std::vector<internal::journal_place>> uncovered_;
  std::map<std::string, internal::newest_change> newest_;
  std::vector<std::pair<std::string, internal::tail_entry>> picked_;
  std::uint64_t position_ = 0, bytes_ = 0, folded_to_ = 0;
};

}  // namespace

TEST_CASE("the index knows the oldest change that no snapshot covers whatever is folded") {
  for (std::uint32_t seed = 1; seed <= 100; ++seed) {
    CAPTURE(seed);
    index_model model{seed};
    for (int i = 0; i < 400; ++i) {
      model.step();
      model.check();
    }
  }
}
