#include "http/peer_counts.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <utility>

namespace troupe::http {

std::string network_of(const std::string& address) {
  std::array<unsigned char, 16> bytes{};
  if (inet_pton(AF_INET6, address.c_str(), bytes.data()) != 1)
    return address;
  constexpr std::array<unsigned char, 12> of_ipv4{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  if (std::equal(of_ipv4.begin(), of_ipv4.end(), bytes.begin()))
    return address.substr(address.rfind(':') + 1);
  return {bytes.begin(), bytes.begin() + 8};
}

peer_counts::place::place(place&& other) noexcept
    : all_{std::exchange(other.all_, nullptr)},
      of_{other.of_},
      before_{other.before_} {}

peer_counts::place& peer_counts::place::operator=(place&& other) noexcept {
  leave();
  all_ = std::exchange(other.all_, nullptr);
  of_ = other.of_;
  before_ = other.before_;
  return *this;
}

void peer_counts::place::leave() noexcept {
  if (all_ == nullptr)
    return;
  const std::lock_guard lock{all_->mutex_};
  if (--of_->second == 0)
    all_->counts_.erase(of_);
  all_ = nullptr;
}

peer_counts::place peer_counts::enter(std::string peer) {
  place out;
  const std::lock_guard lock{mutex_};
  out.of_ = counts_.try_emplace(std::move(peer), 0).first;
  out.before_ = out.of_->second++;
  out.all_ = this;
  return out;
}

}  // namespace troupe::http
