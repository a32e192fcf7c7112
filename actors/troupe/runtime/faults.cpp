#include <troupe/runtime/internal/faults.hpp>
#include <troupe/runtime/internal/node_parts.hpp>

#include <caf/send.hpp>

#include <chrono>
#include <thread>
#include <utility>

namespace troupe::internal {

expected<std::unique_ptr<runtime>> open_around(runtime_options options,
                                               const store_wrapper& around) {
  return actor_access::open(std::move(options), around);
}

bool crash(runtime& node, const entity_ref& entity) {
  const auto parts = actor_access::parts_of(node);
  const auto awake = parts ? parts->live->find(entity) : nullptr;
  if (!awake)
    return false;
  caf::anon_send_exit(awake->actor(), caf::exit_reason::kill);
  while (parts->live->find(entity) == awake)  // until the supervisor has seen it
    std::this_thread::sleep_for(std::chrono::microseconds{100});
  return true;
}

}  // namespace troupe::internal
