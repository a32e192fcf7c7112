#include "peer.hpp"

#include "turn_text.hpp"
#include <sys/resource.h>

namespace troupe::bench {

std::string payload_of(const workload& work) {
  return turn_text(work.payload_bytes);
}

std::vector<std::string> session_ids(const workload& work) {
  std::vector<std::string> out;
  out.reserve(work.sessions);
  for (std::size_t i = 0; i < work.sessions; ++i)
    out.push_back("conversation-" + std::to_string(i));
  return out;
}

double cpu_seconds() {
  double out = 0;
  for (const int who : {RUSAGE_SELF, RUSAGE_CHILDREN}) {
    rusage used{};
    ::getrusage(who, &used);
    for (const auto& time : {used.ru_utime, used.ru_stime})
      out += static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
  }
  return out;
}

double seconds_since(clock_type::time_point start) {
  return std::chrono::duration<double>(clock_type::now() - start).count();
}

result unavailable(std::string why) {
  result out;
  out.not_run = std::move(why);
  return out;
}

}  // namespace troupe::bench
