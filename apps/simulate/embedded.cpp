#include "simulate/embedded.hpp"

#include <troupe/actors/result_cache.hpp>
#include <troupe/actors/subscription.hpp>
#include <troupe/runtime/runtime.hpp>

#include "simulate/faulty_store.hpp"
#include "simulate/metrics_text.hpp"
#include "simulate/troupe_commands.hpp"
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <latch>
#include <set>
#include <thread>
#include <utility>

namespace troupe::simulate {

namespace {

/// `patient`: what was asked may be asked again whatever became of it.
answer refusal(const error& why, bool patient) {
  const bool unknown = why.code == errc::outcome_unknown;
  const bool passing = unknown || why.code == errc::store_failed || why.code == errc::in_flight;
  return {.what = unknown ? outcome::unknown : outcome::refused,
          .again = why.code == errc::busy || (patient && passing),
          .why = std::string{to_string(why.code)} + ": " + why.message};
}

/// Reads as an agent does that makes a prompt of them: every byte.
std::size_t look_at(const entity_state& state, std::size_t newest) {
  const auto size = state.items.size();
  std::size_t sum = 0;
  for (auto at =
           state.items.begin() + static_cast<std::ptrdiff_t>(size > newest ? size - newest : 0);
       at != state.items.end(); ++at)
    for (const char c : text_in((*at).fields))
      sum += static_cast<unsigned char>(c);
  return sum;
}

class embedded final : public embedded_driver {
public:
  embedded(const workload& what, embedded_options options)
      : what_{what},
        options_{std::move(options)} {}
  ~embedded() override {
    stop_watching();
    slow_.clear();
    runtime_.reset();
  }

  expected<void> start() {
    auto opened =
        internal::open_around({.data = options_.data,
                               .now = [this] { return now(); },
                               .quota_bytes = options_.quota_bytes,
                               .max_live = options_.max_live,
                               .idle = std::chrono::milliseconds{options_.idle_ms}},
                              [this](std::unique_ptr<store> below) -> std::unique_ptr<store> {
                                if (options_.around)
                                  below = options_.around(std::move(below));
                                return std::make_unique<faulty_store>(std::move(below), commits_);
                              });
    if (!opened)
      return unexpected{opened.error()};
    runtime_ = *std::move(opened);
    for (std::size_t i = 0; i < options_.slow_subscribers; ++i) {
      auto one = runtime_->subscribe({.max_bytes = 1 << 16, .max_deliveries = 100});
      if (!one)
        return unexpected{one.error()};
      slow_.push_back(*std::move(one));
    }
    return {};
  }

  void send(const intent& what, callback done) override {
    switch (what.what) {
      case action::read_history:
      case action::read_all: {
        const auto newest = what.what == action::read_all ? SIZE_MAX : what.count;
        return runtime_->read(
            entity_of(what.whom), [=, this](const expected<runtime::snapshot>& x) {
              if (!x)
                return done(refuse(x.error()));
              looked_at_.fetch_add(look_at(**x, newest), std::memory_order_relaxed);
              done({});
            });
      }
      case action::read_state:
        return runtime_->read(entity_of(what.whom),
                              [=, this](const expected<runtime::snapshot>& x) {
                                if (!x)
                                  return done(refuse(x.error()));
                                const auto all = section_as_map(**x, section::state, timestamp{});
                                looked_at_.fetch_add(all.bytes().size(), std::memory_order_relaxed);
                                done({});
                              });
      case action::cache_lookup: return look_up(what, std::move(done));
      default: return change(what, std::move(done));
    }
  }

  expected<contents> read_back(const subject& whom) override {
    return read_back_all({whom}).front();
  }

  std::vector<expected<contents>> read_back_all(const std::vector<subject>& all) override {
    std::vector<expected<contents>> out(all.size());
    const auto left = std::make_shared<std::latch>(static_cast<std::ptrdiff_t>(all.size()));
    for (std::size_t i = 0; i < all.size(); ++i)
      runtime_->read_latest(entity_of(all[i]),
                            [&, i, left](const expected<runtime::snapshot>& found) {
                              if (found)
                                out[i] = contents_of(**found);
                              else if (found.error().code != errc::not_found)
                                out[i] = unexpected{found.error()};
                              left->count_down();
                            });
    left->wait();
    return out;
  }

  target_state state() override {
    auto out = read_metrics(runtime_->metrics());
    out.memory_bytes = bytes_of_process(::getpid());
    return out;
  }

  facts settings() const override {
    constexpr std::array levels{"memory", "relaxed (synced within 50 ms)",
                                "durable (synced before the answer)"};
    return {{"target", "troupe, embedded in this process"},
            {"durability", levels.at(static_cast<std::size_t>(what_.level))},
            {"max_live", std::to_string(options_.max_live)},
            {"idle_ms", std::to_string(options_.idle_ms)},
            {"idempotency keys", options_.keyed ? "on every change" : "none"}};
  }

  /// What is only in memory is told when it is written, and nobody knows when that is.
  expected<bool> watch(event_check& check) override {
    if (what_.level == durability::memory)
      return false;
    auto stream = runtime_->subscribe({.max_bytes = 256 << 20, .max_deliveries = 4'000'000});
    if (!stream)
      return unexpected{stream.error()};
    check_ = &check;
    watching_ = true;
    watcher_ = std::thread{[this, from = *std::move(stream)]() mutable { follow(from); }};
    return true;
  }

  expected<void> end_watch() override {
    // A relaxed change is answered before it is committed, at most 50 ms.
    if (what_.level == durability::relaxed)
      std::this_thread::sleep_for(std::chrono::milliseconds{250});
    const auto last = runtime_->stats().position;
    for (int i = 0; i < 1'000 && watching_ && seen_position_ < last; ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds{10});
    stop_watching();
    return {};
  }

  fault_hooks hooks() override {
    return {{"clock", [this] { return jump_clock(); }},
            {"crash", [this] { return crash_one(); }},
            {"fail-commit", [this] { return fail_commit(); }},
            {"slow-commits", [this] { return slow_commits(); }},
            {"slow-subscribers", []() -> expected<std::string> {
               return std::string{"subscribers that take nothing, since the beginning"};
             }}};
  }

private:
  [[nodiscard]] answer refuse(const error& why) const { return refusal(why, options_.keyed); }

  void change(const intent& what, callback done) {
    auto asked = command_of(what, what_);
    if (options_.keyed)
      asked.once = idempotency{.principal = "simulation", .key = std::to_string(what.number)};
    last_changed_ = what.whom.number * subject_kinds + static_cast<std::uint64_t>(what.whom.kind);
    runtime_->execute(std::move(asked),
                      [this, done = std::move(done)](const expected<command_result>& x) {
                        done(x ? answer{} : refuse(x.error()));
                      });
  }

  // Faults ----------------------------------------------------------------------------------------

  /// An hour ahead, then an hour behind, then right.
  expected<std::string> jump_clock() {
    constexpr std::array<std::int64_t, 3> ahead_s{3'600, -3'600, 0};
    const auto now = ahead_s.at(jumps_++ % ahead_s.size());
    ahead_ms_ = now * 1'000;
    return "the runtime's clock is off by " + std::to_string(now) + " s";
  }

  /// One that was asked for a change just now. Each only once: what crashes again and again is left
  /// alone for a minute.
  expected<std::string> crash_one() {
    for (int i = 0; i < 1'000; ++i) {
      const auto last = last_changed_.load();
      const subject whom{static_cast<subject_kind>(last % subject_kinds), last / subject_kinds};
      if (!crashed_.contains(whom) && internal::crash(*runtime_, entity_of(whom))) {
        crashed_.insert(whom);
        return "the actor of " + name_of(whom) + " ended";
      }
      std::this_thread::sleep_for(std::chrono::milliseconds{1});
    }
    return fail(errc::busy, "nobody was asked for a change who had not crashed before");
  }

  expected<std::string> fail_commit() {
    const auto before = commits_->refused.load();
    ++commits_->to_refuse;
    for (int i = 0; i < 2'000 && commits_->refused == before; ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds{1});
    if (commits_->refused == before)
      return fail(errc::busy, "there was no transaction to refuse for two seconds");
    return std::string{"a transaction was refused"};
  }

  expected<std::string> slow_commits() {
    const auto before = commits_->delayed.load();
    commits_->delay_ms = 50;
    std::this_thread::sleep_for(std::chrono::seconds{1});
    commits_->delay_ms = 0;
    return std::to_string(commits_->delayed - before) + " transactions took 50 ms longer";
  }

  [[nodiscard]] timestamp now() const {
    const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(
        std::chrono::system_clock::now().time_since_epoch());
    return timestamp{ms.count() + ahead_ms_.load(std::memory_order_relaxed)};
  }

  void look_up(const intent& what, callback done) {
    const auto request = value{name_of(what.whom)};
    const value nobody;
    const auto id = make_cache_id({.name_space = "default",
                                   .user = std::nullopt,
                                   .agent = "simulation",
                                   .request = request.view(),
                                   .permissions = nobody.view()});
    if (const auto kept = runtime_->cache().get(id)) {
      subject of;
      std::uint64_t number = 0;
      answer out{.hit = true};
      const auto text = kept->view().as_string().value_or(std::string_view{});
      if (!read_text(text, of, number) || of != what.whom)
        out.violation = "isolation: the cache answers " + name_of(what.whom) + " with "
                        + std::string{text.substr(0, 40)};
      return done(std::move(out));
    }
    runtime_->cache().set({.id = id,
                           .content = {.output = value{text_of(what.whom, 1, what.bytes)},
                                       .request = request,
                                       .agent = "simulation"}},
                          [this, done = std::move(done)](const expected<void>& x) {
                            done(x ? answer{} : refuse(x.error()));
                          });
  }

  void follow(subscription& from) {
    while (watching_) {
      const auto next = from.next(std::chrono::milliseconds{100});
      if (!next) {
        check_->on_gap(next.error().message);
        watching_ = false;
        return;
      }
      if (!*next)
        continue;
      if (std::get_if<event_gap>(&(*next)->what) != nullptr) {
        check_->on_gap("the subscriber was cut off or something is not kept");
        continue;
      }
      const auto& change = *std::get<std::shared_ptr<const committed_change>>((*next)->what);
      std::vector<std::string> items;
      for (const auto& event : change.what.events)
        if (const auto* appended = std::get_if<items_appended>(&event))
          for (const auto& item : appended->items)
            items.emplace_back(text_in(item));
      check_->on_change(change.entity.id, change.what.revision, items);
      seen_position_ = change.position;
    }
  }

  void stop_watching() {
    watching_ = false;
    if (watcher_.joinable())
      watcher_.join();
  }

  const workload what_;
  const embedded_options options_;
  static constexpr std::uint64_t subject_kinds = 5;
  std::atomic<std::uint64_t> last_changed_{0};  // whom; number and kind in one
  std::atomic<std::int64_t> ahead_ms_{0};
  std::shared_ptr<commit_faults> commits_ = std::make_shared<commit_faults>();
  std::size_t jumps_ = 0;        // the injector's
  std::set<subject> crashed_{};  // the injector's
  std::atomic<std::size_t> looked_at_{0};
  event_check* check_ = nullptr;
  std::atomic<bool> watching_{false};
  std::atomic<std::uint64_t> seen_position_{0};
  std::thread watcher_;
  std::unique_ptr<runtime> runtime_;
  std::vector<subscription> slow_;
};

}  // namespace

expected<std::unique_ptr<embedded_driver>> embedded_driver::open(const workload& what,
                                                                 embedded_options options) {
  auto out = std::make_unique<embedded>(what, std::move(options));
  if (auto ok = out->start(); !ok)
    return unexpected{ok.error()};
  return out;
}

}  // namespace troupe::simulate
