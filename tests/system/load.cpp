/// Everything that a host may do to one runtime at once, for a while: threads that write at every
/// level of durability, move amounts between sessions by change sets, read what is published and
/// what must wake, follow the stream, use the cache, and clean up, list and measure meanwhile;
/// sessions sleep and wake all the time, and the journal is folded and freed. Meant for a build
/// that watches memory and threads: `tsan` above all.
///
///   load [--seconds 120] [--dir DIRECTORY]
///
/// Exit code 1 and lines "VIOLATION" where amounts do not add up, or a stream has a gap or a
/// repeat.

#include <troupe/actors/result_cache.hpp>
#include <troupe/actors/subscription.hpp>
#include <troupe/runtime/runtime.hpp>

#include <stdlib.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <map>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

using namespace troupe;

namespace {

using clock_type = std::chrono::steady_clock;

constexpr std::size_t accounts = 40;  // more than may live
constexpr std::int64_t each = 1'000;

std::atomic<bool> sound = true;

void violated(const std::string& what) {
  std::printf("VIOLATION: %s\n", what.c_str());
  sound = false;
}

void must(bool good, const char* what) {
  if (!good)
    throw std::runtime_error{what};
}

entity_ref account(std::uint64_t i) {
  return session_ref("account" + std::to_string(i % accounts));
}

std::int64_t number(const entity_state& state, const char* key) {
  const auto* found = find(state, section::state, key, timestamp{});
  return found == nullptr ? 0 : found->data.view().as_int64().value_or(0);
}

class load {
public:
  load(const std::filesystem::path& dir, double seconds) : end_{ends_after(seconds)} {
    auto opened = runtime::open({.data = dir,
                                 .journal_tail_bytes = 1 << 20,
                                 .journal_kept_bytes = 2 << 20,
                                 .max_live = accounts / 2,
                                 .idle = std::chrono::milliseconds{500}});
    if (!opened)
      throw std::runtime_error{opened.error().message};
    node_ = *std::move(opened);
    for (std::size_t i = 0; i < accounts; ++i)
      must(node_
               ->execute({account(i),
                          {create{}, patch_state{{set_key{.key = "n", .data = value{each}}}}}})
               .has_value(),
           "an account is not there");
  }

  void run() {
    auto stream = node_->subscribe({});
    must(stream.has_value(), "cannot subscribe");
    std::vector<std::thread> all;
    for (std::uint64_t seed : {1, 2})
      all.emplace_back([this, seed] { write(seed); });
    all.emplace_back([this] { move_amounts(3); });
    all.emplace_back([this] { move_amounts(4); });
    all.emplace_back([this] { read(5); });
    all.emplace_back([this] { use_the_cache(6); });
    all.emplace_back([this] { look_after_it(7); });
    all.emplace_back(
        [this, from = std::make_shared<subscription>(*std::move(stream))] { follow(*from); });
    for (auto& one : all)
      one.join();
    check();
    node_->close();
  }

  void print(double seconds) const {
    std::printf(
        "{\"bench\":\"load\",\"seconds\":%.1f,\"written\":%llu,\"moved\":%llu,\"read\":%llu,"
        "\"told\":%llu,\"cached\":%llu,\"refused\":%llu,\"violations\":%d}\n",
        seconds, count(written_), count(moved_), count(read_), count(told_), count(cached_),
        count(refused_), sound ? 0 : 1);
  }

private:
  using counter = std::atomic<std::uint64_t>;

  static unsigned long long count(const counter& of) { return of.load(); }
  static clock_type::time_point ends_after(double seconds) {
    return clock_type::now()
           + std::chrono::duration_cast<clock_type::duration>(
               std::chrono::duration<double>(seconds));
  }
  [[nodiscard]] bool goes_on() const { return clock_type::now() < end_; }

  /// Only what is too much now may be refused.
  template <class T>
  bool done(const expected<T>& answer, counter& of) {
    of += answer ? 1 : 0;
    refused_ += answer ? 0 : 1;
    if (!answer && answer.error().code != errc::busy)
      violated("a request was refused: " + answer.error().message);
    return answer.has_value();
  }

  /// Counts up, and keeps a history of which little is left.
  void write(std::uint64_t seed) {
    std::mt19937_64 random{seed};
    std::atomic<int> on_their_way = 0;
    while (goes_on()) {
      command what{.entity = account(random()),
                   .operations = {patch_state{{add_to{"writes", value{1}}}}},
                   .level = static_cast<durability>(random() % 3)};
      if (random() % 4 == 0)
        what.operations.emplace_back(append_items{{value::map({{"role", "user"}})}});
      if (random() % 16 == 0)
        what.operations.emplace_back(clear_items{});
      if (random() % 8 == 0)
        what.once = idempotency{"", std::to_string(seed) + ' ' + std::to_string(random()), "body"};
      ++on_their_way;
      node_->execute(std::move(what), [&](const expected<command_result>& answer) {
        done(answer, written_);
        --on_their_way;
      });
      while (on_their_way > 32)
        std::this_thread::yield();
    }
    while (on_their_way != 0)
      std::this_thread::yield();
  }

  void move_amounts(std::uint64_t seed) {
    std::mt19937_64 random{seed};
    while (goes_on()) {
      const auto from = random() % accounts;
      const auto by = static_cast<std::int64_t>(random() % 20);
      change_set what;
      what.commands.push_back(
          {.entity = account(from), .operations = {patch_state{{add_to{"n", value{-by}}}}}});
      what.commands.push_back({.entity = account(from + 1 + random() % (accounts - 1)),
                               .operations = {patch_state{{add_to{"n", value{by}}}}}});
      done(node_->execute_all(std::move(what)), moved_);
    }
  }

  void read(std::uint64_t seed) {
    std::mt19937_64 random{seed};
    while (goes_on()) {
      const auto which = account(random());
      const auto found = random() % 4 == 0 ? node_->read_latest(which) : node_->read(which);
      if (!done(found, read_))
        continue;
      if (random() % 64 == 0)
        done(node_->header(which), read_);
      const auto before = node_->read_at(which, (**found).revision - 1);
      if (before || before.error().code != errc::revision_gone)
        done(before, read_);
    }
  }

  void use_the_cache(std::uint64_t seed) {
    std::mt19937_64 random{seed};
    const auto& cache = node_->cache();
    while (goes_on()) {
      const auto n = static_cast<std::int64_t>(random() % 500);
      const value request{n};
      const value nobody;
      const auto id = make_cache_id({.name_space = "default",
                                     .user = {},
                                     .agent = "square",
                                     .request = request,
                                     .permissions = nobody});
      const auto got = cache.get_or_compute(id, [&]() -> expected<computed_result> {
        return computed_result{.content = {.output = value{n * n}}};
      });
      if (done(got, cached_) && got->view().as_int64() != n * n)
        violated("the cache has another result");
      if (random() % 1'000 == 0)
        done(cache.invalidate({"default", cache_invalidation::everything{}}), cached_);
    }
  }

  void look_after_it(std::uint64_t seed) {
    std::mt19937_64 random{seed};
    while (goes_on()) {
      done(node_->list({.limit = 10}), read_);
      must(!node_->metrics().empty(), "there are no metrics");
      const auto gone = session_ref("gone" + std::to_string(random() % 5));
      done(node_->execute({gone, {create{.info = {.ttl_ms = 1}}}}), written_);
      done(node_->clean_up({.max_age = std::chrono::hours{1}}), read_);
    }
  }

  /// Each revision of an account once, and none is missing.
  void follow(subscription& from) {
    std::map<std::string, std::uint64_t> newest;
    while (goes_on()) {
      auto next = from.next(std::chrono::milliseconds{100});
      if (!next && next.error().code == errc::busy)
        return;  // it is slower than they write: it was cut off, which is no fault
      if (!next)
        return violated("the stream ended: " + next.error().message);
      if (!*next)
        continue;
      const auto* change = std::get_if<std::shared_ptr<const committed_change>>(&(**next).what);
      if (change == nullptr)
        continue;
      ++told_;
      auto& last = newest[(**change).entity.id];
      const auto is = (**change).what.revision;
      if (last != 0 && is != last + 1)
        violated((**change).entity.id + " goes from revision " + std::to_string(last) + " to "
                 + std::to_string(is));
      last = is;
    }
  }

  void check() {
    std::int64_t sum = 0;
    for (std::size_t i = 0; i < accounts; ++i) {
      const auto found = node_->read_latest(account(i));
      must(found.has_value(), "an account is gone");
      sum += number(**found, "n");
    }
    if (sum != each * static_cast<std::int64_t>(accounts))
      violated("the accounts hold " + std::to_string(sum) + " together");
  }

  clock_type::time_point end_;
  counter written_ = 0, moved_ = 0, read_ = 0, told_ = 0, cached_ = 0, refused_ = 0;
  std::unique_ptr<runtime> node_;
};

}  // namespace

int main(int argc, char** argv) {
  try {
    double seconds = 120;
    std::filesystem::path parent = std::filesystem::temp_directory_path();
    for (int i = 1; i < argc; i += 2) {
      const std::string name = argv[i];
      const std::string given = i + 1 < argc ? argv[i + 1] : "";
      if (name == "--seconds")
        seconds = std::stod(given);
      else if (name == "--dir")
        parent = given;
      else
        throw std::runtime_error{"there is no option " + name};
    }
    auto name = (parent / "troupe-load-XXXXXX").string();
    must(::mkdtemp(name.data()) != nullptr, "cannot make a directory");
    {
      load all{std::filesystem::path{name} / "store", seconds};
      all.run();
      all.print(seconds);
    }
    std::filesystem::remove_all(name);
    return sound ? 0 : 1;
  } catch (const std::exception& why) {
    std::fprintf(stderr, "error: %s\n", why.what());
    return 2;
  }
}
