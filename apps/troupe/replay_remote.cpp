#include "troupe/replay_remote.hpp"

#include "troupe/remote_session.hpp"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

namespace troupe::cli {

namespace {

using clock = std::chrono::steady_clock;

/// Runs `work(connection)` on some threads, each with a connection of its own, while the caller's
/// thread ticks.
template <class Work>
void on_connections(const http::endpoint& node, std::chrono::milliseconds patience,
                    std::size_t threads, const std::atomic<bool>& stop, Work work,
                    const std::function<void()>& tick) {
  std::mutex mutex;
  std::condition_variable ended;
  std::size_t running = threads;
  std::vector<std::jthread> workers;
  for (std::size_t i = 0; i < threads; ++i) {
    workers.emplace_back([&] {
      remote_session connection{node, stop, patience};
      work(connection);
      const std::lock_guard lock{mutex};
      --running;
      ended.notify_all();
    });
  }
  std::unique_lock lock{mutex};
  while (!ended.wait_for(lock, tick_interval, [&] { return running == 0; })) {
    lock.unlock();
    tick();
    lock.lock();
  }
}

void write_one(remote_session& connection, const conversation& told, std::size_t at,
               replay_plan& plan) {
  if (auto created = connection.create(told.id, told.user); !created)
    return plan.fail(at, created.error());
  plan.created(at);
  while (const auto index = plan.next_message(at)) {
    const auto sent = clock::now();
    const auto seq = connection.append(told.id, told.messages[*index], *index);
    if (!seq)
      return plan.fail(at, seq.error());
    plan.acknowledged(at, sent, clock::now());
    if (*seq != *index + 1)
      return plan.fail(at, {errc::revision_conflict, "somebody else writes to this session: item "
                                                         + std::to_string(*index + 1) + " became "
                                                         + std::to_string(*seq)});
  }
}

/// Takes indices one by one on all connections; ends early after an error or when `tick` says so.
template <class Each>
expected<bool> for_each_index(const http::endpoint& node, std::chrono::milliseconds patience,
                              std::size_t threads, std::size_t count, const replay_tick& tick,
                              Each each) {
  std::atomic<std::size_t> next = 0;
  std::atomic<std::uint64_t> done = 0;
  std::atomic<bool> stop = false;
  bool interrupted = false;
  std::mutex mutex;
  std::optional<error> failed;
  const auto work = [&](remote_session& connection) {
    for (auto at = next++; at < count && !stop; at = next++) {
      if (auto ok = each(connection, at); !ok) {
        const std::lock_guard lock{mutex};
        if (!failed)
          failed = std::move(ok.error());
        stop = true;
      }
      ++done;
    }
  };
  on_connections(node, patience, std::min(threads, count), stop, work, [&] {
    if (tick(done))
      return;
    interrupted = true;
    stop = true;
  });
  if (failed)
    return unexpected{*std::move(failed)};
  return !interrupted || done == count;
}

}  // namespace

expected<std::vector<std::size_t>> remote_target::count_items(std::span<const conversation> told,
                                                              const replay_tick& tick) {
  std::vector<std::size_t> counts(told.size());
  const auto read =
      for_each_index(node_, patience_, parallel_, told.size(), tick,
                     [&](remote_session& connection, std::size_t at) -> expected<void> {
                       auto ok = connection.for_each_item(
                           told[at].id, 1, [&](std::uint64_t, value_view) { ++counts[at]; });
                       if (!ok && ok.error().code == errc::not_found)
                         return {};
                       return ok;
                     });
  if (!read)
    return unexpected{read.error()};
  return counts;
}

void remote_target::write(std::span<const conversation> told, replay_plan& plan,
                          const replay_tick& tick) {
  std::atomic<bool> stop = false;
  const auto work = [&](remote_session& connection) {
    while (const auto at = plan.next_conversation())
      write_one(connection, told[*at], *at, plan);
  };
  on_connections(node_, patience_, std::min(parallel_, told.size()), stop, work, [&] {
    if (!tick(plan.done()))
      plan.stop();
    stop = plan.stopped();
  });
}

expected<comparison> remote_target::compare(std::span<const conversation> told,
                                            std::span<const std::optional<std::size_t>> counts,
                                            extra_items extra, const replay_tick& tick) {
  comparison out;
  std::mutex mutex;
  std::atomic<std::uint64_t> items = 0;
  const auto begin = clock::now();
  const auto compare_one = [&](remote_session& connection, std::size_t at) -> expected<void> {
    if (!counts[at])
      return {};
    comparison one;
    session_check check{one, told[at], *counts[at], extra};
    auto read = connection.for_each_item(told[at].id, 0, [&](std::uint64_t seq, value_view fields) {
      check.item(seq, fields);
      ++items;
    });
    if (read)
      check.finish();
    else if (read.error().code == errc::not_found)
      check.missing();
    else
      return read;
    const std::lock_guard lock{mutex};
    out += one;
    return {};
  };
  const auto read = for_each_index(
      node_, patience_, parallel_, told.size(), [&](std::uint64_t) { return tick(items); },
      compare_one);
  if (!read)
    return unexpected{read.error()};
  out.complete = *read;
  out.elapsed = clock::now() - begin;
  return out;
}

}  // namespace troupe::cli
