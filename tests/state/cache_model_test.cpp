#include <troupe/state/cache.hpp>

#include "../support/caches.hpp"
#include "../support/naive_cache.hpp"
#include "../support/printing.hpp"
#include "../support/seed.hpp"
#include <doctest/doctest.h>

#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

using namespace troupe;
using namespace troupe::testing;

namespace {

using milliseconds = std::chrono::milliseconds;

/// A cache and its model, given the same random commands; every answer is compared.
template <class Policy, class Order>
class twins {
public:
  explicit twins(std::uint64_t seed) : random_{seed} {}

  void round(int commands) {
    limits_ = {.max_entries = below(12) == 0 ? below(2) : 1 + below(20),
               .max_bytes = below(3) == 0 ? 600 + below(6000) : 1 << 20,
               .hash_seed = random_()};
    real_ = cache<Policy>{limits_};
    model_ = naive_cache<Order>{limits_};
    for (int i = 0; i < commands; ++i) {
      command();
      REQUIRE(real_.consistent());
      same_stats();
      if (below(8) == 0)
        same_entries();
    }
    same_entries();
  }

private:
  std::uint64_t below(std::uint64_t n) { return random_() % n; }
  cache_key any_key() { return key_of(below(30)); }
  std::string any_text(const std::string& kind) {
    return below(4) == 0 ? "" : kind + std::to_string(below(3));
  }

  cache_content any_content() {
    cache_content out{.output = std::string(below(20) == 0 ? below(7000) : below(300), 'x')};
    if (below(2) == 0)
      out.request = value::map({{"n", below(1000)}});
    out.agent = any_text("same");  // one text as agent, owner, hash and tag: four labels
    out.owner = any_text("same");
    out.content_hash = any_text("same");
    for (auto n = below(4); n > 0; --n)
      out.tags.push_back(any_text("same"));
    return out;
  }

  void command() {
    switch (below(21)) {
      case 0:
      case 1:
      case 2:
      case 3:
      case 4:
      case 5: {
        const auto key = any_key();
        const auto content = any_content();
        std::optional<std::int64_t> ttl;
        if (below(3) != 0)
          ttl = static_cast<std::int64_t>(below(100)) - (below(10) == 0 ? 50 : 0);
        const auto before = real_.inspect(key, now_);
        const auto done =
            real_.set(key, content, ttl ? std::optional{milliseconds{*ttl}} : std::nullopt, now_);
        const auto wanted = model_.set(key, content, ttl, now_);
        REQUIRE(done.has_value() == !wanted.has_value());
        if (!done) {
          REQUIRE(done.error().code == *wanted);
          REQUIRE(real_.inspect(key, now_) == before);
        } else {
          REQUIRE(real_.inspect(key, now_)->content.output == content.output);
        }
        return;
      }
      case 6:
      case 7:
      case 8:
      case 9:
      case 10: {
        const auto key = any_key();
        const auto peeked = real_.peek(key, now_);
        const auto got = real_.get(key, now_);
        REQUIRE(peeked == got);
        REQUIRE(got == model_.get(key, now_));
        return;
      }
      case 11: {
        const auto key = any_key();
        REQUIRE(real_.inspect(key, now_) == model_.inspect(key, now_));
        return;
      }
      case 12:
      case 13: {
        const auto key = any_key();
        const auto count = below(5);
        const timestamp at{now_.ms + static_cast<std::int64_t>(below(40)) - 30};
        REQUIRE(real_.touch(key, count, at) == model_.touch(key, count, at));
        return;
      }
      case 14: {
        const auto key = any_key();
        REQUIRE(real_.invalidate(key) == model_.invalidate(key));
        return;
      }
      case 15: {
        const auto label = static_cast<cache_label>(below(4));
        const auto text = below(3) == 0 ? any_text("same") : any_text("none");
        const auto slice = 1 + below(4);  // what an owner does who must answer others in between
        std::size_t count = 0;
        for (auto went = slice; went == slice; count += went)
          REQUIRE((went = real_.invalidate(label, text, slice)) <= slice);
        REQUIRE(count == model_.invalidate(label, text));
        return;
      }
      case 16: {
        const auto max = below(4);
        REQUIRE(real_.expire(now_, max) == model_.expire(now_, max));
        return;
      }
      case 17:
        real_.count_misses(3);
        model_.count_misses(3);
        return;
      case 20: {
        if (below(4) != 0) {
          const auto key = any_key();
          const auto seen = real_.look(key, now_);
          REQUIRE(static_cast<bool>(seen) == real_.peek(key, now_).has_value());
          if (seen) {
            real_.touch(seen.place, now_);
            REQUIRE(model_.inspect(key, now_)->content.output == *seen.output);
            model_.touch(key, 1, std::max(now_, model_.inspect(key, now_)->created));
          }
          return;
        }
        const auto max = below(3);
        REQUIRE(real_.evict(max, now_) == model_.evict(max, now_));
        return;
      }
      case 18:  // the clock: mostly on, sometimes far, sometimes back
        now_.ms += static_cast<std::int64_t>(below(30)) - (below(6) == 0 ? 60 : 0)
                   + (below(30) == 0 ? 10'000 : 0);
        return;
      default:
        if (below(10) == 0)
          REQUIRE(real_.clear() == model_.clear());
        else if (below(10) == 0)
          reload();
        else
          now_.ms += 1;
        return;
    }
  }

  std::vector<saved_entry> saved() {
    std::vector<saved_entry> out;
    real_.for_each(now_, [&](const saved_entry& x) { out.push_back(x); });
    return out;
  }

  void restore(const std::vector<saved_entry>& all, cache<Policy>& real,
               naive_cache<Order>& model) {
    for (const auto& x : all) {
      const auto done = real.restore(x, now_);
      const auto wanted = model.restore(x, now_);
      REQUIRE(done.has_value() == wanted.has_value());
      if (done)
        REQUIRE(*done == *wanted);
    }
  }

  /// What was saved some time ago comes back into the same cache, or what is there into another.
  void reload() {
    if (below(2) == 0) {
      restore(std::exchange(old_, saved()), real_, model_);
      return;
    }
    const auto all = saved();
    limits_.max_entries = 1 + below(20);
    if (below(2) == 0)
      limits_.max_bytes = 600 + below(6000);
    cache<Policy> real{limits_};
    naive_cache<Order> model{limits_};
    now_.ms += static_cast<std::int64_t>(below(50));
    restore(all, real, model);
    real_ = std::move(real);
    model_ = std::move(model);
  }

  void same_entries() {
    const auto real = saved();
    const auto model = model_.all(now_);
    REQUIRE(real.size() == model.size());
    for (std::size_t i = 0; i < real.size(); ++i) {
      REQUIRE(real[i].key == model[i].key);
      REQUIRE(real[i].standing == model[i].standing);
      REQUIRE(real[i].entry == model[i].entry);
    }
  }

  void same_stats() {
    const auto a = real_.stats(), b = model_.stats();
    REQUIRE(a.entries == b.entries);
    REQUIRE(a.bytes == b.bytes);
    REQUIRE(a.hits == b.hits);
    REQUIRE(a.misses == b.misses);
    REQUIRE(a.evictions == b.evictions);
    REQUIRE(a.evicted_for_bytes == b.evicted_for_bytes);
    REQUIRE(a.expirations == b.expirations);
    REQUIRE(a.average_access_count == doctest::Approx(b.average_access_count));
    REQUIRE(a.entries <= limits_.max_entries);
    REQUIRE(a.bytes <= limits_.max_bytes);
  }

  std::mt19937_64 random_;
  cache_limits limits_;
  cache<Policy> real_;
  naive_cache<Order> model_{{}};
  timestamp now_{1'000};
  std::vector<saved_entry> old_;
};

template <class Policy, class Order>
void compare_with_model() {
  twins<Policy, Order> both{campaign_seed()};
  for (int round = 0; round < 200; ++round)
    both.round(500);
}

}  // namespace

TEST_CASE("a least recently used cache answers 100000 random commands as a naive one does") {
  compare_with_model<lru, naive_lru>();
}

TEST_CASE("an S3-FIFO cache answers 100000 random commands as a naive one does") {
  compare_with_model<s3_fifo, naive_s3_fifo>();
}
