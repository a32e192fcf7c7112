#include "result_cache_fixture.hpp"
#include "support/naive_cache.hpp"
#include "support/seed.hpp"

#include <random>

using namespace troupe;
using namespace troupe::testing;

namespace {

/// The cache actor and a naive cache for each namespace, given the same random commands. After each
/// command all that can be asked is compared; in a debug build the actor checks its indexes, too.
template <class Order>
class twins {
public:
  twins(cache_policy policy, std::uint64_t seed) : policy_{policy}, random_{seed} {}

  void round(int commands) {
    const cache_limits limits{.max_entries = 1 + below(12),
                              .max_bytes = below(3) == 0 ? 700 + below(5'000) : 1 << 20};
    w_.stop();
    w_.start({.limits = limits, .policy = policy_, .compress_from = 0, .sweep_interval = never});
    model_ = naive_cache<Order>{limits};
    for (int i = 0; i < commands; ++i) {
      command();
      same();
    }
  }

private:
  static constexpr auto never = std::chrono::milliseconds{1'000'000};

  std::uint64_t below(std::uint64_t n) { return random_() % n; }
  std::uint64_t any_key() { return below(20); }
  std::string any_text() { return below(4) == 0 ? "" : "text" + std::to_string(below(3)); }

  cache_content any_content() {
    cache_content out{.output = std::string(below(300), 'x'),
                      .agent = any_text(),
                      .owner = any_text(),
                      .content_hash = any_text()};
    for (auto n = below(4); n > 0; --n)
      out.tags.push_back(any_text());
    return out;
  }

  void command() {
    const auto n = any_key();
    switch (below(10)) {
      case 0:
      case 1:
      case 2: {
        const auto content = any_content();
        std::optional<std::int64_t> ttl;
        if (below(3) != 0)
          ttl = static_cast<std::int64_t>(below(100)) - (below(10) == 0 ? 50 : 0);
        const auto done =
            w_.set({id_of(n), content,
                    ttl ? std::optional{std::chrono::milliseconds{*ttl}} : std::nullopt});
        const auto wanted = model_.set(key_of(n), content, ttl, w_.now());
        REQUIRE(done.has_value() == !wanted.has_value());
        if (!done) {
          REQUIRE(done.error().code == *wanted);
          forget_if_empty();
        }
        return;
      }
      case 3:
      case 4:
      case 5: {  // a hit is noted, and leaves what expired to the sweep
        const auto got = w_.get(n);
        const auto there = model_.inspect(key_of(n), w_.now());
        REQUIRE(got == (there ? std::optional{there->content.output} : std::nullopt));
        if (there)
          model_.touch(key_of(n), 1, w_.now());
        else
          model_.count_misses(1);
        return;
      }
      case 6: REQUIRE((w_.invalidate(by_key(n)) == 1) == model_.invalidate(key_of(n))); return;
      case 7: {
        const auto label = static_cast<cache_label>(below(4));
        const auto text = any_text();
        REQUIRE(w_.invalidate(by_label(label, text)) == model_.invalidate(label, text));
        return;
      }
      case 8:
        if (below(8) == 0)
          REQUIRE(w_.invalidate(all_of()) == model_.clear());
        else
          w_.clock->ms += static_cast<std::int64_t>(below(40));
        return;
      default:
        w_.elapse(never.count());
        w_.clock->ms -= never.count();  // the timer fires, and hardly any time passes
        model_.expire({w_.now().ms + never.count()}, 1'000);
        forget_if_empty();
        return;
    }
  }

  /// A namespace without entries is given up, and with it what S3-FIFO knows of keys that left.
  void forget_if_empty() {
    if (model_.stats().entries == 0)
      model_.clear();
  }

  void same() {
    const auto a = w_.held.stats();
    const auto b = model_.stats();
    REQUIRE(a.entries == b.entries);
    REQUIRE(a.bytes == b.bytes);
    REQUIRE(a.hits == b.hits);
    REQUIRE(a.misses == b.misses);
    REQUIRE(a.evictions() == b.evictions);
    REQUIRE(a.evicted_for_bytes == b.evicted_for_bytes);
    REQUIRE(a.expirations == b.expirations);
    REQUIRE(a.average_access_count == doctest::Approx(b.average_access_count));
    for (std::uint64_t n = 0; n < 20; ++n)
      REQUIRE(w_.held.inspect(id_of(n)) == model_.inspect(key_of(n), w_.now()));
  }

  cache_policy policy_;
  std::mt19937_64 random_;
  cache_world w_;
  naive_cache<Order> model_{{}};
};

template <class Order>
void compare(cache_policy policy) {
  twins<Order> both{policy, campaign_seed()};
  for (int round = 0; round < 50; ++round)
    both.round(200);
}

}  // namespace

TEST_CASE("a least recently used cache actor answers 10000 random commands as a naive cache does") {
  compare<naive_lru>(cache_policy::lru);
}

TEST_CASE("an S3-FIFO cache actor answers 10000 random commands as a naive cache does") {
  compare<naive_s3_fifo>(cache_policy::s3_fifo);
}
