// The queue of an entity's changes and answers, against a deque.

#include <troupe/actors/internal/short_queue.hpp>

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <deque>
#include <memory>
#include <utility>
#include <vector>

using troupe::internal::short_queue;

TEST_CASE("a short queue is a deque whatever is put in and taken out") {
  CHECK(rc::check("like std::deque", [](const std::vector<bool>& puts) {
    short_queue<std::unique_ptr<int>> queue;
    std::deque<int> model;
    int next = 0;
    for (const bool put : puts) {
      if (put || model.empty()) {
        queue.push(std::make_unique<int>(next));
        model.push_back(next++);
      } else {
        RC_ASSERT(*queue.front() == model.front());
        RC_ASSERT(*queue.pop() == model.front());
        model.pop_front();
      }
      RC_ASSERT(queue.size() == model.size());
      RC_ASSERT(queue.empty() == model.empty());
      for (const int any : {0, next - 1, next})
        RC_ASSERT(queue.any_of([&](const auto& x) { return *x == any; })
                  == (!model.empty() && model.front() <= any && any <= model.back()));
    }
  }));
}

TEST_CASE("what a short queue was moved to has all of it") {
  short_queue<int> queue;
  for (int i = 0; i < 3; ++i)
    queue.push(std::move(i));
  auto all = std::exchange(queue, {});
  CHECK(queue.empty());
  CHECK(queue.size() == 0);
  CHECK(all.size() == 3);
  CHECK(all.pop() == 0);
  CHECK(all.pop() == 1);
  CHECK(all.pop() == 2);
  CHECK(all.empty());
}
