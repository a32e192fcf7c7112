#include "troupe/progress.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <utility>

namespace troupe::cli {

namespace {

/// "0:07", "12:03", "1:00:00"
std::string clock_text(double seconds) {
  const auto s = static_cast<std::uint64_t>(std::llround(seconds));
  const auto two = [](std::uint64_t n) { return (n < 10 ? "0" : "") + std::to_string(n); };
  if (s < 3600)
    return std::to_string(s / 60) + ':' + two(s % 60);
  return std::to_string(s / 3600) + ':' + two(s / 60 % 60) + ':' + two(s % 60);
}

std::string bar(std::uint64_t done, std::uint64_t total, std::size_t width) {
  const auto share = total == 0 ? 1.0 : static_cast<double>(done) / static_cast<double>(total);
  const auto filled = std::min(width, static_cast<std::size_t>(share * static_cast<double>(width)));
  return '[' + std::string(filled, '#') + std::string(width - filled, '.') + ']';
}

}  // namespace

progress::progress(std::string label, std::uint64_t total, terminal out, clock::time_point start)
    : label_{std::move(label)},
      total_{total},
      out_{out},
      start_{start},
      last_{start} {}

std::string progress::numbers(std::uint64_t done, clock::time_point now) const {
  const auto seconds = std::chrono::duration<double>(now - start_).count();
  const auto rate = seconds > 0 ? static_cast<double>(done) / seconds : 0.0;
  const auto percent =
      total_ == 0
          ? 100
          : static_cast<unsigned>(100.0 * static_cast<double>(done) / static_cast<double>(total_));
  auto out = std::to_string(percent) + "%  " + group_digits(done) + '/' + group_digits(total_)
             + "  " + human_rate(rate) + "/s";
  if (done < total_)
    out += "  eta "
           + (rate > 0 ? clock_text(static_cast<double>(total_ - done) / rate) : std::string{"?"});
  return out;
}

std::string progress::update(std::uint64_t done, clock::time_point now) {
  if (now - last_ < (out_.present ? terminal_interval : log_interval))
    return {};
  last_ = now;
  written_ = true;
  const auto text = numbers(done, now);
  if (!out_.present)
    return label_ + "  " + text + '\n';
  constexpr std::size_t widest_bar = 40;
  const auto taken =
      length(label_) + length(text) + 7;  // spaces, brackets, and the last column stays free
  const auto room = out_.columns > taken ? std::min(out_.columns - taken, widest_bar) : 0;
  auto line = label_ + "  " + (room >= 5 ? bar(done, total_, room) + "  " : "") + text;
  return "\r\x1b[K" + line.substr(0, out_.columns > 1 ? out_.columns - 1 : 1);
}

std::string progress::finish(std::uint64_t done, clock::time_point now) {
  if (!std::exchange(written_, false))
    return {};
  return out_.present ? "\r\x1b[K" : label_ + "  " + numbers(done, now) + '\n';
}

progress_display::progress_display(std::string label, std::uint64_t total)
    : state_{std::move(label), total, terminal_of(stderr), progress::clock::now()} {}

progress_display::~progress_display() {
  std::fputs(state_.finish(done_, progress::clock::now()).c_str(), stderr);
}

void progress_display::update(std::uint64_t done) {
  done_ = done;
  if (const auto text = state_.update(done, progress::clock::now()); !text.empty())
    std::fputs(text.c_str(), stderr);
}

}  // namespace troupe::cli
