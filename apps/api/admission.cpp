#include "api/admission.hpp"

#include "http/peer_counts.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

namespace troupe::api {

namespace {

constexpr std::int64_t login_window_ms = 60'000;
constexpr std::size_t most_addresses = 10'000;  // remembered; then: all are forgotten
constexpr std::uint64_t soon_ms = 100;          // what is in flight is answered meanwhile
constexpr double longest_turn_ms = 1e3;         // that a rate tells; then: several have the same

unexpected too_many(errc code, std::string what, std::size_t limit, std::uint64_t wait_ms) {
  return tl::unexpected(
      error{.code = code, .message = std::move(what), .limit = limit, .retry_after_ms = wait_ms});
}

unexpected too_many_in_flight(const char* whose, std::size_t limit) {
  return too_many(errc::busy,
                  std::string{"this "} + whose + " has " + std::to_string(limit)
                      + " requests in flight: wait for answers",
                  limit, soon_ms);
}

}  // namespace

admission::ticket& admission::ticket::operator=(ticket&& other) noexcept {
  give_back();
  name_space_ = std::move(other.name_space_);
  user_ = std::move(other.user_);
  most_past_ = other.most_past_;
  past_ = std::exchange(other.past_, false);
  return *this;
}

void admission::ticket::give_back() noexcept {
  if (user_ && std::exchange(past_, false))
    --user_->past;
  for (const auto* one : {&name_space_, &user_})
    if (*one)
      --(**one).in_flight;
  name_space_.reset();
  user_.reset();
}

expected<void> admission::ticket::look_back() {
  if (!user_ || past_)
    return {};
  past_ = ++user_->past <= most_past_;
  if (past_)
    return {};
  --user_->past;
  return too_many(errc::busy,
                  "this user has as many reads of earlier revisions in flight as may be",
                  most_past_, soon_ms);
}

std::shared_ptr<admission::account> admission::account_of(const std::string& name) {
  auto& out = accounts_[name];
  if (!out)
    out = std::make_shared<account>();
  return out;
}

/// A second's worth may come at once.
expected<void> admission::spend(account& of, std::size_t rate, std::int64_t now_ms) {
  if (rate == 0)
    return {};
  const auto full = static_cast<double>(rate);
  const auto gained =
      static_cast<double>(std::max<std::int64_t>(0, now_ms - of.at_ms)) * full / 1e3;
  of.left = of.begun ? std::min(full, of.left + gained) : full;
  of.begun = true;
  of.at_ms = std::max(of.at_ms, now_ms);
  if (of.left < 1.0) {  // each has a turn of its own, so that they do not all come at once
    const auto now = static_cast<double>(now_ms), soonest = now + (1.0 - of.left) * 1e3 / full;
    of.turn_ms =
        std::clamp(of.turn_ms + 1e3 / full, soonest, std::max(soonest, now + longest_turn_ms));
    return too_many(errc::rate_limited,
                    "more than " + std::to_string(rate) + " requests a second: come back later",
                    rate, static_cast<std::uint64_t>(std::ceil(of.turn_ms - now)));
  }
  of.left -= 1.0;
  return {};
}

expected<admission::ticket> admission::enter(const identity& who, timestamp now) {
  const std::lock_guard lock{mutex_};
  if (accounts_.size() >= sweep_at_) {
    std::erase_if(accounts_, [&](const auto& one) {
      return one.second.use_count() == 1 && now.ms - one.second->at_ms > 1'000;
    });
    sweep_at_ = std::max<std::size_t>(1'024, 2 * accounts_.size());
  }
  ticket out;
  auto name_space = account_of(who.name_space);
  std::shared_ptr<account> user;
  if (!who.token.empty())  // without tokens there is nobody to be told from others
    user = account_of(who.name_space + '\0' + who.by.user);
  if (name_space->in_flight >= limits_.name_space_in_flight)
    return too_many_in_flight("namespace", limits_.name_space_in_flight);
  if (user && user->in_flight >= limits_.user_in_flight)
    return too_many_in_flight("user", limits_.user_in_flight);
  if (user)
    if (auto ok = spend(*user, limits_.user_rate, now.ms); !ok)
      return tl::unexpected(std::move(ok.error()));
  if (auto ok = spend(*name_space, limits_.name_space_rate, now.ms); !ok)
    return tl::unexpected(std::move(ok.error()));
  ++name_space->in_flight;
  out.name_space_ = std::move(name_space);
  if (user)
    ++user->in_flight;
  out.user_ = std::move(user);
  out.most_past_ = limits_.user_past;
  return out;
}

expected<void> admission::failed_login(const std::string& address, timestamp now) {
  const std::lock_guard lock{mutex_};
  const auto over = [&](const failures& x) { return now.ms - x.since_ms >= login_window_ms; };
  if (failed_.size() >= most_addresses)
    std::erase_if(failed_, [&](const auto& one) { return over(one.second); });
  if (failed_.size() >= most_addresses)
    failed_.clear();
  auto& of = failed_[http::network_of(address)];
  if (of.count == 0 || over(of))
    of = {0, now.ms};
  if (of.count >= limits_.failed_logins)
    return too_many(errc::rate_limited,
                    "too many tokens that do not hold came from this address: come back later",
                    limits_.failed_logins,
                    static_cast<std::uint64_t>(of.since_ms + login_window_ms - now.ms));
  ++of.count;
  return {};
}

}  // namespace troupe::api
