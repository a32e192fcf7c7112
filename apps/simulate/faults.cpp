#include "simulate/faults.hpp"

#include "simulate/random.hpp"
#include "troupe/number_range.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

namespace troupe::simulate {

expected<std::vector<planned_fault>> plan_faults(const std::vector<std::string>& wanted,
                                                 double run_s, std::uint64_t seed) {
  std::vector<planned_fault> out;
  random_source random{mix(seed) ^ 0xfa};
  for (const auto& text : wanted) {
    const auto sign = text.find_first_of("=@");
    const auto rest = sign == std::string::npos ? std::string{} : text.substr(sign + 1);
    if (sign == std::string::npos || sign == 0 || rest.empty())
      return fail(errc::malformed, "'" + text + "' is no fault: write kill=50 or kill@10s");
    const auto kind = text.substr(0, sign);
    if (text[sign] == '@') {
      const auto at = cli::parse_seconds(rest);
      if (!at || *at > run_s)
        return fail(errc::malformed, "'" + rest + "' is no time within the run");
      out.push_back({kind, *at});
      continue;
    }
    std::uint32_t count = 0;
    const auto [end, ec] = std::from_chars(rest.data(), rest.data() + rest.size(), count);
    if (ec != std::errc{} || end != rest.data() + rest.size() || count > 100'000)
      return fail(errc::malformed, "'" + rest + "' is no number of faults");
    for (std::uint32_t i = 0; i < count; ++i)
      out.push_back({kind, run_s * (i + random.unit()) / count});
  }
  std::ranges::stable_sort(out, {}, &planned_fault::at_s);
  return out;
}

fault_injector::fault_injector(std::vector<planned_fault> plan, fault_hooks hooks)
    : plan_{std::move(plan)},
      hooks_{std::move(hooks)} {
  if (!plan_.empty())
    thread_ = std::thread{[this] { run(); }};
}

void fault_injector::stop() {
  stopped_ = true;
  if (thread_.joinable())
    thread_.join();
}

void fault_injector::run() {
  using clock = std::chrono::steady_clock;
  const auto start = clock::now();
  const auto since = [](clock::time_point from) {
    return std::chrono::duration<double>(clock::now() - from).count();
  };
  for (const auto& fault : plan_) {
    while (!stopped_ && since(start) < fault.at_s)
      std::this_thread::sleep_for(std::chrono::milliseconds{2});
    if (stopped_)
      return;
    const auto begun = clock::now();
    fault_report told{.kind = fault.kind, .at_s = since(start)};
    auto note = hooks_.at(fault.kind)();
    told.took_s = since(begun);
    told.failed = !note;
    told.note = note ? *std::move(note) : note.error().message;
    done_.push_back(std::move(told));
    ++count_;
  }
}

}  // namespace troupe::simulate
