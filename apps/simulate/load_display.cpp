#include "simulate/load_display.hpp"

#include <algorithm>
#include <cstdio>
#include <utility>

namespace troupe::simulate {

namespace {

constexpr double log_every_s = 5;
constexpr std::size_t bar_width = 20;

}  // namespace

load_display::load_display(std::string label, double seconds, std::uint64_t most)
    : label_{std::move(label)},
      seconds_{seconds},
      most_{most} {}

load_display::~load_display() {
  if (written_ && out_.present)
    std::fputs("\r\033[K", stderr);
}

std::string load_display::line(const sample& now, std::size_t faults) const {
  const auto part = std::clamp(seconds_ > 0 ? now.at_s / seconds_
                               : most_ > 0 ? static_cast<double>(done_) / static_cast<double>(most_)
                                           : 0.0,
                               0.0, 1.0);
  const auto full = static_cast<std::size_t>(part * bar_width);
  auto out = label_ + "  [" + std::string(full, '#') + std::string(bar_width - full, '-') + "]  "
             + std::to_string(static_cast<int>(part * 100)) + " %  "
             + cli::human_rate(now.seconds > 0 ? static_cast<double>(now.done) / now.seconds : 0)
             + "/s  p99 "
             + cli::human_duration(std::chrono::nanoseconds{static_cast<std::int64_t>(now.p99_ns)})
             + "  " + cli::group_digits(failed_) + " failed";
  if (now.late > 0)
    out += "  " + cli::group_digits(now.late) + " waiting";
  return faults > 0 ? out + "  " + cli::plural(faults, "fault") : out;
}

void load_display::update(const sample& now, std::size_t faults) {
  done_ += now.done;
  failed_ += now.failed;
  const auto text = line(now, faults);
  if (out_.present) {
    std::fprintf(stderr, "\r\033[K%s", text.substr(0, out_.columns - 1).c_str());
    std::fflush(stderr);
    written_ = true;
  } else if (now.at_s - logged_s_ >= log_every_s) {
    std::fprintf(stderr, "%s\n", text.c_str());
    logged_s_ = now.at_s;
  }
}

}  // namespace troupe::simulate
