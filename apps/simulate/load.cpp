#include "simulate/load.hpp"

#include <sys/prctl.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <unordered_map>
#include <utility>

namespace troupe::simulate {

namespace {

struct subject_hash {
  std::size_t operator()(const subject& whom) const noexcept {
    return mix(whom.number * 8 + static_cast<std::uint64_t>(whom.kind));
  }
};

struct waiting_intent {
  intent what;
  clock::time_point due;
};

/// What is on its way. Its place is kept until the answer came.
struct slot {
  intent what;
  clock::time_point due, sent;
  int attempt = 1;
  bool in_doubt = false;  ///< an earlier attempt may have done it
};

struct answered {
  std::size_t at = 0;
  clock::time_point when;
  answer what;
};

/// Where answers come in from any thread. Outlives the load when a target never answers.
struct inbox {
  std::mutex mutex;
  std::condition_variable came;
  std::vector<answered> answers;

  void put(answered one) {
    const std::lock_guard lock{mutex};
    answers.push_back(std::move(one));
    if (answers.size() == 1)
      came.notify_one();
  }
};

/// Asks a target how it is on a thread of its own: looking at processes and files takes time that
/// is not the load's.
class state_watch {
public:
  explicit state_watch(driver& target) : thread_{[this, &target] { run(target); }} {}
  ~state_watch() {
    {
      const std::lock_guard lock{mutex_};
      ended_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }

  /// As it was when it was last asked for; and asks anew.
  target_state next() {
    const std::lock_guard lock{mutex_};
    wanted_ = true;
    changed_.notify_all();
    return latest_;
  }

private:
  void run(driver& target) {
    std::unique_lock lock{mutex_};
    while (true) {
      changed_.wait(lock, [this] { return ended_ || wanted_; });
      if (ended_)
        return;
      wanted_ = false;
      lock.unlock();
      auto now = target.state();
      lock.lock();
      latest_ = now;
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  target_state latest_;
  bool wanted_ = true, ended_ = false;
  std::thread thread_;
};

class load {
public:
  load(driver& target, record& books, const std::function<std::optional<intent>()>& next,
       const load_options& options, const std::function<bool(const sample&)>& tick)
      : target_{target},
        books_{books},
        next_{next},
        options_{options},
        tick_{tick},
        most_on_the_way_{options.in_flight > 0 ? options.in_flight : target.in_flight()} {
    slots_.resize(most_on_the_way_);
    for (auto i = most_on_the_way_; i > 0; --i)
      free_.push_back(i - 1);
  }

  load_result run() {
    ::prctl(PR_SET_TIMERSLACK, 1UL);  // what is due is sent on time
    start_ = sampled_ = clock::now();
    measured_from_ = start_ + options_.warm_up;
    const auto end = start_ + options_.duration;
    pull();
    while (!over_ || busy()) {
      const auto now = clock::now();
      if (!over_ && (now >= end || out_.interrupted)) {
        over_ = true;
        ended_ = now;
        send_ahead();
      }
      if (over_ && !draining_since_)
        draining_since_ = now;
      if (draining_since_ && now >= *draining_since_ + drain()) {
        give_up();
        break;
      }
      take_answers();
      send_due(clock::now());
      if (clock::now() >= sampled_ + options_.sample_every)
        take_sample();
      if (!over_ || busy())
        wait();
    }
    take_sample();
    if (out_.interrupted)
      target_.give_up();
    const auto measured = std::max(measured_from_, start_);
    out_.seconds = std::chrono::duration<double>(ended_.value_or(clock::now()) - measured).count();
    return std::move(out_);
  }

private:
  struct lane {
    std::deque<waiting_intent> waiting;
    bool busy = false;
  };

  [[nodiscard]] bool busy() const {
    return free_.size() < most_on_the_way_ || late_ > 0 || !again_.empty();
  }
  [[nodiscard]] clock::duration drain() const {
    return out_.interrupted ? std::min(options_.drain, options_.hurry) : options_.drain;
  }
  [[nodiscard]] bool closed_loop() const { return options_.speed <= 0; }

  [[nodiscard]] clock::time_point due_of(const intent& what) const {
    if (closed_loop())
      return clock::now();
    const auto since = static_cast<double>(what.at_us - *first_at_us_) * 1e3 / options_.speed;
    return start_ + std::chrono::nanoseconds{static_cast<std::int64_t>(since)};
  }

  void pull() {
    ahead_.reset();
    if (out_.sent >= options_.most)
      return;
    if (auto one = next_()) {
      first_at_us_ = first_at_us_.value_or(one->at_us);
      ahead_ = waiting_intent{*one, due_of(*one)};
    }
  }

  /// What was taken of the source is sent, so that whoever goes on with it misses nothing.
  void send_ahead() {
    if (!ahead_)
      return;
    auto one = std::move(*ahead_);
    ahead_.reset();
    one.due = std::min(one.due, clock::now());
    ++out_.sent;
    enter(std::move(one));
  }

  void send_due(clock::time_point now) {
    for (auto at = again_.begin(); at != again_.end() && at->first <= now; at = again_.erase(at))
      send(at->second);
    while (!ready_.empty() && !free_.empty()) {
      auto one = std::move(ready_.front());
      ready_.pop_front();
      --late_;
      start(std::move(one));
    }
    int left = 1'000;  // then: answers and the clock are looked at
    while (left-- > 0 && !over_ && ahead_ && ahead_->due <= now
           && (!closed_loop() || (late_ < most_on_the_way_ && !free_.empty()))) {
      auto one = std::move(*ahead_);
      ++out_.sent;
      pull();
      enter(std::move(one));
    }
    if (!ahead_)
      over_ = true;
  }

  /// A cache key has no order; a fork waits in its parent's line, and its own begins with it.
  void enter(waiting_intent one) {
    if (one.what.whom.kind == subject_kind::cache)
      return launch(std::move(one));
    if (one.what.what == action::fork)
      lanes_[one.what.whom].busy = true;
    auto& line = lanes_[line_of(one.what)];
    if (line.busy) {
      line.waiting.push_back(std::move(one));
      ++late_;
      return;
    }
    line.busy = true;
    launch(std::move(one));
  }

  static subject line_of(const intent& what) {
    return what.what == action::fork ? subject{subject_kind::session, what.other} : what.whom;
  }

  void launch(waiting_intent one) {
    if (free_.empty()) {
      ready_.push_back(std::move(one));
      ++late_;
      return;
    }
    start(std::move(one));
  }

  void start(waiting_intent one) {
    const auto at = free_.back();
    free_.pop_back();
    slots_[at] = {one.what, one.due, clock::now(), 1};
    send(at);
  }

  void send(std::size_t at) {
    target_.send(slots_[at].what, [box = inbox_, at](answer what) {
      box->put({at, clock::now(), std::move(what)});
    });
  }

  void take_answers() {
    {
      const std::lock_guard lock{inbox_->mutex};
      std::swap(taken_, inbox_->answers);
    }
    for (auto& one : taken_)
      finish(one);
    taken_.clear();
  }

  void finish(answered& one) {
    auto& of = slots_[one.at];
    of.in_doubt = of.in_doubt || one.what.what == outcome::unknown;
    if (one.what.again && of.attempt < options_.attempts && !out_.interrupted) {
      ++of.attempt;
      again_.emplace(one.when + options_.pause, one.at);
      return;
    }
    if (of.in_doubt && one.what.what == outcome::refused)
      one.what.what = outcome::unknown;
    count(of, one);
    books_.settle(of.what, one.what.what);
    const auto what = of.what;
    free_.push_back(one.at);
    if (what.whom.kind == subject_kind::cache)
      return;
    leave(line_of(what), one.when);
    if (what.what == action::fork)
      leave(what.whom, one.when);
  }

  void leave(const subject& whose, clock::time_point when) {
    const auto at = lanes_.find(whose);
    auto& line = at->second;
    if (line.waiting.empty()) {
      lanes_.erase(at);
      return;
    }
    auto next = std::move(line.waiting.front());
    line.waiting.pop_front();
    --late_;
    if (next.what.follows)
      next.due = std::max(next.due, when);
    launch(std::move(next));
  }

  void count(const slot& of, const answered& one) {
    const auto ns = [](clock::duration t) {
      return static_cast<std::uint64_t>(std::max<std::int64_t>(0, t / std::chrono::nanoseconds{1}));
    };
    const auto latency = ns(one.when - of.due);
    const bool failed = one.what.what != outcome::acknowledged;
    recent_.add(latency);
    ++now_.done;
    now_.failed += failed ? 1 : 0;
    if (failed && out_.errors.size() < 20)
      out_.errors.push_back(name_of(of.what.whom) + ' ' + std::string{to_string(of.what.what)}
                            + ": " + one.what.why);
    if (!one.what.violation.empty() && out_.violations.size() < max_violations)
      out_.violations.push_back(one.what.violation);
    if (of.due < measured_from_)
      return;
    ++out_.done;
    out_.in_time += !ended_ || one.when <= *ended_ ? 1 : 0;
    out_.failed += failed ? 1 : 0;
    out_.latency.add(latency);
    out_.service.add(ns(one.when - of.sent));
    out_.by_action.at(static_cast<std::size_t>(of.what.what)).add(latency);
    if (of.what.what == action::cache_lookup) {
      ++out_.lookups;
      out_.hits += one.what.hit ? 1 : 0;
    }
  }

  void take_sample() {
    const auto now = clock::now();
    now_.at_s = std::chrono::duration<double>(now - start_).count();
    now_.seconds = std::chrono::duration<double>(now - sampled_).count();
    now_.p50_ns = recent_.at(0.5);
    now_.p99_ns = recent_.at(0.99);
    now_.highest_ns = recent_.highest();
    now_.on_the_way = most_on_the_way_ - free_.size();
    now_.late = late_;
    now_.known = books_.known();
    now_.state = state_.next();
    if (!tick_(now_))
      out_.interrupted = true;
    out_.samples.push_back(std::exchange(now_, {}));
    recent_.clear();
    sampled_ = now;
  }

  void wait() {
    auto until = sampled_ + options_.sample_every;
    if (!again_.empty())
      until = std::min(until, again_.begin()->first);
    if (over_)
      until = std::min(until, draining_since_.value_or(clock::now()) + drain());
    if (!over_ && ahead_ && (!closed_loop() || (!free_.empty() && late_ < most_on_the_way_)))
      until = std::min(until, ahead_->due);
    std::unique_lock lock{inbox_->mutex};
    inbox_->came.wait_until(lock, until, [this] { return !inbox_->answers.empty(); });
  }

  /// Nobody knows of what is still on its way; what waits was never sent.
  void give_up() {
    out_.cut_off = true;
    std::vector<bool> idle(slots_.size());
    for (const auto at : free_)
      idle[at] = true;
    for (std::size_t i = 0; i < slots_.size(); ++i)
      if (!idle[i])
        books_.settle(slots_[i].what, outcome::unknown);
    for (const auto& one : ready_)
      books_.settle(one.what, outcome::refused);
    for (const auto& [whose, line] : lanes_)
      for (const auto& one : line.waiting)
        books_.settle(one.what, outcome::refused);
    inbox_ = std::make_shared<inbox>();
  }

  driver& target_;
  record& books_;
  const std::function<std::optional<intent>()>& next_;
  const load_options& options_;
  const std::function<bool(const sample&)>& tick_;
  std::size_t most_on_the_way_;
  std::shared_ptr<inbox> inbox_ = std::make_shared<inbox>();
  std::vector<answered> taken_;
  std::vector<slot> slots_;
  std::vector<std::size_t> free_;
  std::unordered_map<subject, lane, subject_hash> lanes_;
  std::deque<waiting_intent> ready_;  ///< may be sent as soon as there is room
  std::multimap<clock::time_point, std::size_t> again_;
  std::uint64_t late_ = 0;  ///< in lines and in `ready_`
  std::optional<waiting_intent> ahead_;
  std::optional<std::uint64_t> first_at_us_;  ///< the population's time when this load began
  clock::time_point start_, sampled_, measured_from_;
  std::optional<clock::time_point> ended_;  ///< by its duration, not for want of intents
  std::optional<clock::time_point> draining_since_;
  bool over_ = false;
  histogram recent_;
  sample now_;
  load_result out_;
  state_watch state_{target_};
};

}  // namespace

load_result run_load(driver& target, record& books,
                     const std::function<std::optional<intent>()>& next,
                     const load_options& options, const std::function<bool(const sample&)>& tick) {
  return std::make_unique<load>(target, books, next, options, tick)->run();
}

}  // namespace troupe::simulate
