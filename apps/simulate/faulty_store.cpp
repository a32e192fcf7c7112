#include "simulate/faulty_store.hpp"

#include <chrono>
#include <thread>

namespace troupe::simulate {

std::vector<expected<commit_receipt>> faulty_store::commit(
    std::span<const commit_request> requests) {
  if (const auto ms = how_->delay_ms.load(); ms > 0) {
    std::this_thread::sleep_for(std::chrono::milliseconds{ms});
    ++how_->delayed;
  }
  if (how_->to_refuse > 0) {  // taken away only here
    --how_->to_refuse;
    ++how_->refused;
    return std::vector<expected<commit_receipt>>(
        requests.size(), fail(errc::store_failed, "the simulated transaction failed"));
  }
  return forwarding_store::commit(requests);
}

}  // namespace troupe::simulate
