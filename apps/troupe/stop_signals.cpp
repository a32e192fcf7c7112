#include "troupe/stop_signals.hpp"

#include <spdlog/spdlog.h>

namespace troupe::cli {

stop_signals::stop_signals() {
  sigemptyset(&all_);
  for (const int one : {SIGTERM, SIGINT, SIGHUP})
    sigaddset(&all_, one);
  pthread_sigmask(SIG_BLOCK, &all_, nullptr);
}

stop_signals::~stop_signals() {
  if (!watch_.joinable())
    return;
  watch_.request_stop();
  pthread_kill(watch_.native_handle(), SIGHUP);  // wakes it
}

bool stop_signals::is_repeat(int signal) {
  if (signal == SIGHUP)
    return false;
  const auto now = std::chrono::steady_clock::now();
  if (seen_ != 0 && now - last_ < repeat_time)
    return true;
  seen_ = signal;
  last_ = now;
  return false;
}

int stop_signals::wait(std::chrono::milliseconds at_most) {
  const auto until = std::chrono::steady_clock::now() + at_most;
  while (true) {
    const std::chrono::nanoseconds left = until - std::chrono::steady_clock::now();
    if (left.count() <= 0)
      return 0;
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(left);
    const timespec pause{.tv_sec = seconds.count(), .tv_nsec = (left - seconds).count()};
    const int signal = sigtimedwait(&all_, nullptr, &pause);
    if (signal > 0 && !is_repeat(signal))
      return signal;
  }
}

void stop_signals::end_at_next() {
  watch_ = std::jthread{[this](const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      const int signal = sigwaitinfo(&all_, nullptr);
      if (signal <= 0 || signal == SIGHUP || is_repeat(signal))
        continue;
      spdlog::warn("second signal: ending now");
      spdlog::default_logger()->flush();
      std::signal(signal, SIG_DFL);
      pthread_sigmask(SIG_UNBLOCK, &all_, nullptr);
      std::raise(signal);
    }
  }};
}

}  // namespace troupe::cli
