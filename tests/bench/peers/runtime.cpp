// All of Troupe: commands go through the facade, the supervisor, the session's actor and its rules
// to the store, with default options, so that snapshots are written beside the appends.

#include <troupe/runtime/runtime.hpp>

#include "peer.hpp"

#include <atomic>
#include <mutex>
#include <semaphore>
#include <stdexcept>

namespace troupe::bench {

namespace {

/// Keeps commands in flight from the threads that answer them.
class client {
public:
  client(runtime& to, const workload& work)
      : runtime_{to},
        work_{work},
        ids_{session_ids(work)},
        turn_{value::map({{"role", "user"}, {"content", payload_of(work)}})} {
    out_.latencies_us.reserve(1 << 20);
  }

  /// Every session is there before the time begins.
  void create_sessions() {
    constexpr std::ptrdiff_t at_once = 512;
    std::counting_semaphore<at_once> room{at_once};
    for (const auto& id : ids_) {
      room.acquire();
      runtime_.execute({session_ref(id), {create{}}}, [&](const expected<command_result>& answer) {
        if (!answer)
          refused(answer.error());
        room.release();
      });
    }
    for (std::ptrdiff_t i = 0; i < at_once; ++i)
      room.acquire();
  }

  result run() {
    start_ = clock_type::now();
    const auto cpu_before = cpu_seconds();
    waiting_ = work_.in_flight;
    for (std::size_t i = 0; i < work_.in_flight; ++i)
      send();
    done_.acquire();
    out_.seconds = seconds_since(start_);
    out_.cpu_seconds = cpu_seconds() - cpu_before;
    return std::move(out_);
  }

private:
  void send() {
    const auto i = next_++ % ids_.size();
    const auto sent = clock_type::now();
    runtime_.execute(
        {session_ref(ids_[i]), {append_items{{turn_}}}},
        [this, sent](const expected<command_result>& answer) { on_answer(sent, answer); });
  }

  void on_answer(clock_type::time_point sent, const expected<command_result>& answer) {
    const auto now = clock_type::now();
    const bool on = answer && std::chrono::duration<double>(now - start_).count() < work_.seconds;
    if (!answer)
      refused(answer.error());
    else {
      const std::lock_guard lock{mutex_};
      out_.latencies_us.push_back(std::chrono::duration<float, std::micro>(now - sent).count());
    }
    if (on)
      send();
    else if (--waiting_ == 0)
      done_.release();
  }

  void refused(const error& why) {
    const std::lock_guard lock{mutex_};
    out_.not_run = "refused: " + why.message;
  }

  runtime& runtime_;
  const workload& work_;
  std::vector<std::string> ids_;
  value turn_;
  result out_;
  std::mutex mutex_;
  std::atomic<std::size_t> next_ = 0;
  std::atomic<std::size_t> waiting_ = 0;
  std::binary_semaphore done_{0};
  clock_type::time_point start_;
};

}  // namespace

result whole_runtime(const workload& work) {
  auto opened = runtime::open({.data = work.dir / "store", .now = {}});
  if (!opened)
    throw std::runtime_error{opened.error().message};
  client driver{**opened, work};
  driver.create_sessions();
  const auto before = (*opened)->stats().commits;
  auto out = driver.run();
  out.commits = (*opened)->stats().commits - before;
  return out;
}

}  // namespace troupe::bench
