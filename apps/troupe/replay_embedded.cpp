#include "troupe/replay_embedded.hpp"

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <utility>
#include <vector>

namespace troupe::cli {

namespace {

using clock = std::chrono::steady_clock;

/// One replay in flight. Each lane carries one conversation at a time: its callback sends what
/// comes next. Callbacks run on a runtime thread; only refusals that say "not now" come back to the
/// caller's thread, which waits for that.
class writer {
public:
  writer(runtime& to, std::span<const conversation> told, replay_plan& plan)
      : to_{to},
        told_{told},
        plan_{plan} {}

  void run(std::size_t lanes, const replay_tick& tick) {
    running_ = lanes;
    for (std::size_t i = 0; i < lanes; ++i)
      next_conversation();
    std::unique_lock lock{mutex_};
    while (!changed_.wait_for(lock, tick_interval, [this] { return running_ == 0; })) {
      auto again = std::exchange(refused_, {});
      lock.unlock();
      if (!tick(plan_.done()))
        plan_.stop();
      for (auto& send : again)
        send();
      lock.lock();
    }
  }

private:
  void next_conversation() {
    const auto next = plan_.next_conversation();
    if (!next)
      return end_lane();
    create(*next, 1);
  }

  void create(std::size_t at, int attempt) {
    if (plan_.stopped())
      return end_lane();
    to_.execute({.entity = session_ref(told_[at].id),
                 .operations = {troupe::create{.info = {.user = told_[at].user}}}},
                [this, at, attempt](const expected<command_result>& answer) {
                  if (!answer)
                    return refuse(at, answer.error(), attempt,
                                  [this, at, attempt] { create(at, attempt + 1); });
                  plan_.created(at);
                  append_next(at);
                });
  }

  void append_next(std::size_t at) { append(at, 1, clock::now()); }

  /// `begun` is when the first attempt was: a refusal is part of the time that an append takes.
  void append(std::size_t at, int attempt, clock::time_point begun) {
    const auto index = plan_.next_message(at);
    if (!index)
      return next_conversation();
    to_.execute({.entity = session_ref(told_[at].id),
                 .operations = {append_items{{told_[at].messages[*index]}}}},
                [this, at, index = *index, attempt, begun](const expected<command_result>& answer) {
                  if (!answer)
                    return refuse(at, answer.error(), attempt,
                                  [this, at, attempt, begun] { append(at, attempt + 1, begun); });
                  plan_.acknowledged(at, begun, clock::now());
                  if (answer->first_seq != index + 1)
                    return give_up(
                        at, {errc::revision_conflict, "somebody else writes to this session: item "
                                                          + std::to_string(index + 1) + " became "
                                                          + std::to_string(answer->first_seq)});
                  append_next(at);
                });
  }

  template <class Again>
  void refuse(std::size_t at, const error& why, int attempt, Again again) {
    if (why.code != errc::busy || attempt >= max_busy_attempts)
      return give_up(at, why);
    const std::lock_guard lock{mutex_};
    refused_.push_back(std::move(again));
  }

  void give_up(std::size_t at, error why) {
    plan_.fail(at, std::move(why));
    end_lane();
  }

  void end_lane() {
    const std::lock_guard lock{mutex_};  // held while notifying: the waiting thread destroys this
    if (--running_ == 0)
      changed_.notify_all();
  }

  runtime& to_;
  std::span<const conversation> told_;
  replay_plan& plan_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::size_t running_ = 0;
  std::vector<std::function<void()>> refused_;
};

/// Reads many sessions with some in flight; the answers are looked at on the caller's thread.
class reader {
public:
  using state = expected<runtime::snapshot>;

  explicit reader(runtime& from) : from_{from} {}

  /// False when `tick` stopped it. An error that `each` returns ends it.
  template <class Each>
  expected<bool> run(std::span<const conversation> told, const std::vector<std::size_t>& which,
                     std::size_t parallel, const replay_tick& tick, Each each) {
    std::size_t sent = 0;
    expected<bool> result = true;
    for (std::size_t done = 0; done < sent || (result && *result && sent < which.size());) {
      while (result && *result && sent < which.size() && sent - done < parallel)
        send(told, which[sent++]);
      std::unique_lock lock{mutex_};
      changed_.wait_for(lock, tick_interval, [this] { return !answers_.empty(); });
      auto answers = std::exchange(answers_, {});
      lock.unlock();
      for (auto& [at, answer] : answers) {
        ++done;
        if (result)
          if (auto ok = each(at, std::move(answer)); !ok)
            result = unexpected{ok.error()};
      }
      if (!tick(done) && result && (sent < which.size() || done < sent))
        result = false;
    }
    return result;
  }

private:
  void send(std::span<const conversation> told, std::size_t at) {
    from_.read(session_ref(told[at].id), [this, at](state answer) {
      const std::lock_guard lock{mutex_};  // held while notifying: the waiting thread destroys this
      answers_.emplace_back(at, std::move(answer));
      changed_.notify_all();
    });
  }

  runtime& from_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::pair<std::size_t, state>> answers_;
};

expected<void> compare_state(comparison& result, const conversation& told, std::size_t count,
                             extra_items extra, const expected<runtime::snapshot>& answer) {
  if (!answer && answer.error().code != errc::not_found)
    return fail(answer.error().code, "session " + told.id + ": " + answer.error().message);
  session_check check{result, told, count, extra};
  if (!answer || !(*answer)->live()) {
    check.missing();
    return {};
  }
  check.user(user_of(**answer));
  for (const auto& item : (*answer)->items)
    check.item(item.seq, value{item.fields});
  check.finish();
  return {};
}

}  // namespace

expected<std::unique_ptr<embedded_target>> embedded_target::open(const std::filesystem::path& data,
                                                                 std::size_t parallel) {
  std::unique_ptr<embedded_target> out{new embedded_target{data, parallel}};
  if (auto ok = out->open_runtime(); !ok)
    return unexpected{ok.error()};
  return out;
}

expected<void> embedded_target::open_runtime() {
  const auto begin = clock::now();
  auto opened = runtime::open({.data = data_, .now = {}});
  if (!opened)
    return unexpected{opened.error()};
  opened_in_ = clock::now() - begin;
  runtime_ = *std::move(opened);
  return {};
}

expected<std::vector<std::size_t>> embedded_target::count_items(std::span<const conversation> told,
                                                                const replay_tick& tick) {
  std::vector<std::size_t> counts(told.size()), all(told.size());
  for (std::size_t i = 0; i < all.size(); ++i)
    all[i] = i;
  auto read = reader{*runtime_}.run(
      told, all, parallel_, tick,
      [&](std::size_t at, const reader::state& answer) -> expected<void> {
        if (!answer && answer.error().code != errc::not_found)
          return fail(answer.error().code,
                      "session " + told[at].id + ": " + answer.error().message);
        counts[at] = answer && (*answer)->live() ? (*answer)->items.size() : 0;
        return {};
      });
  if (!read)
    return unexpected{read.error()};
  return counts;
}

void embedded_target::write(std::span<const conversation> told, replay_plan& plan,
                            const replay_tick& tick) {
  writer{*runtime_, told, plan}.run(std::min(parallel_, told.size()), tick);
}

expected<std::optional<std::chrono::nanoseconds>> embedded_target::reopen() {
  runtime_.reset();
  if (auto ok = open_runtime(); !ok)
    return unexpected{ok.error()};
  return std::optional{opened_in_};
}

expected<comparison> embedded_target::compare(std::span<const conversation> told,
                                              std::span<const std::optional<std::size_t>> counts,
                                              extra_items extra, const replay_tick& tick) {
  std::vector<std::size_t> which;
  for (std::size_t i = 0; i < told.size(); ++i) {
    if (counts[i])
      which.push_back(i);
  }
  comparison out;
  const auto begin = clock::now();
  auto read = reader{*runtime_}.run(
      told, which, parallel_, [&](std::uint64_t) { return tick(out.items); },
      [&](std::size_t at, const reader::state& answer) {
        return compare_state(out, told[at], *counts[at], extra, answer);
      });
  if (!read)
    return unexpected{read.error()};
  out.complete = *read;
  out.elapsed = clock::now() - begin;
  return out;
}

}  // namespace troupe::cli
