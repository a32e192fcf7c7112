#include "troupe/interrupt.hpp"

#include <array>
#include <atomic>
#include <csignal>

namespace troupe::cli {

namespace {

std::atomic<bool> wished = false;
static_assert(std::atomic<bool>::is_always_lock_free);

constexpr std::array signals{SIGINT, SIGTERM};
std::array<struct sigaction, signals.size()> before{};

}  // namespace

interrupt_scope::interrupt_scope() {
  struct sigaction action {};
  action.sa_handler = [](int) { wished = true; };
  action.sa_flags = static_cast<int>(SA_RESETHAND);  // no SA_RESTART: a waiting read returns
  for (std::size_t i = 0; i < signals.size(); ++i)
    ::sigaction(signals[i], &action, &before[i]);
}

interrupt_scope::~interrupt_scope() {
  for (std::size_t i = 0; i < signals.size(); ++i)
    ::sigaction(signals[i], &before[i], nullptr);
}

bool interrupt_scope::requested() noexcept {
  return wished;
}

}  // namespace troupe::cli
