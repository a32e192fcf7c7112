#include "faults.hpp"

#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace troupe::faults {

namespace {

plan armed;
std::atomic<bool> active = false;
std::atomic<bool> hit = false;
std::array<std::atomic<std::uint64_t>, std::size(all_calls)> counts{};

}  // namespace

std::string_view to_string(call which) noexcept {
  switch (which) {
    case call::open: return "open";
    case call::read: return "read";
    case call::write: return "write";
    case call::sync: return "sync";
    case call::resize: return "resize";
  }
  return "?";
}

void arm(const plan& what) noexcept {
  armed = what;
  hit = false;
  for (auto& count : counts)
    count = 0;
  active = true;
}

void disarm() noexcept {
  active = false;
}

std::uint64_t calls(call which) noexcept {
  return counts[static_cast<std::size_t>(which)];
}

bool struck() noexcept {
  return hit;
}

fate next(call which) noexcept {
  if (!active)
    return {};
  const auto number = ++counts[static_cast<std::size_t>(which)];
  if (which != armed.which || (armed.sticky ? number < armed.nth : number != armed.nth))
    return {};
  hit = true;
  return {.fails = armed.code != 0 && !armed.swallow,
          .halved = armed.code == 0 && !armed.swallow,
          .swallowed = armed.swallow,
          .code = armed.code};
}

void read_environment() noexcept {
  const char* text = std::getenv("TROUPE_FAULT");
  std::array<char, 16> name{}, how{};
  unsigned long long nth = 0;
  int code = 0;
  if (text == nullptr
      || std::sscanf(text, "%15s %llu %d %15s", name.data(), &nth, &code, how.data()) != 4)
    return;
  for (const auto which : all_calls)
    if (to_string(which) == name.data())
      arm({.which = which,
           .nth = nth,
           .code = code,
           .sticky = std::strcmp(how.data(), "sticky") == 0});
}

std::uint64_t file_system() noexcept {
  static const auto out = [] {
    const char* text = std::getenv("TROUPE_FAULT_FS");
    return text == nullptr ? 0 : std::strtoull(text, nullptr, 0);
  }();
  return out;
}

}  // namespace troupe::faults
