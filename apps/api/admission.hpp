#pragma once

#include <troupe/state/expected.hpp>
#include <troupe/state/time.hpp>

#include "api/access.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

/// How much one namespace, one user and one address may ask of a node, so that none takes it from
/// the others. Work beyond a limit is refused before it has any effect.
namespace troupe::api {

struct admission_limits {
  std::size_t name_space_in_flight = 4'096;  ///< requests; then: 429 `busy`
  std::size_t user_in_flight = 256;          ///< of one user's tokens; then: 429 `busy`
  std::size_t user_past = 2;        ///< of these, that read earlier revisions; then: 429 `busy`
  std::size_t name_space_rate = 0;  ///< requests a second; then: 429 `rate_limited`. 0: any number
  std::size_t user_rate = 0;        ///< likewise, of one user's tokens
  std::size_t failed_logins = 10;   ///< a minute and address; then: 429 `rate_limited`
};

/// Counts what is in flight and what came in the last second. Any thread.
class admission {
public:
  explicit admission(admission_limits limits) : limits_{limits} {}

private:
  struct account {
    std::atomic<std::size_t> in_flight = 0;
    std::atomic<std::size_t> past = 0;  ///< of these, that read earlier revisions
    double left = 0.0;                  ///< requests that may come at once; under the mutex, as is:
    std::int64_t at_ms = 0;
    double turn_ms = 0.0;  ///< until then those that were refused are told to come again
    bool begun = false;
  };

public:
  /// A request that was let in, for as long as it is kept.
  class ticket {
  public:
    ticket() = default;
    ticket(ticket&&) noexcept = default;
    ticket& operator=(ticket&& other) noexcept;
    ~ticket() { give_back(); }

    /// The request reads an earlier revision, for which others may wait. Errors: `busy`: this user
    /// has as many of these as may be.
    expected<void> look_back();

  private:
    friend class admission;
    void give_back() noexcept;
    std::shared_ptr<account> name_space_, user_;
    std::size_t most_past_ = 0;
    bool past_ = false;
  };

  /// Errors: `busy`, `rate_limited`, with the limit and when to come back.
  expected<ticket> enter(const identity& who, timestamp now);

  /// A token that did not hold came from `address`. Errors: `rate_limited`: it was one too many.
  expected<void> failed_login(const std::string& address, timestamp now);

private:
  struct failures {
    std::size_t count = 0;
    std::int64_t since_ms = 0;
  };

  std::shared_ptr<account> account_of(const std::string& name);
  static expected<void> spend(account& of, std::size_t rate, std::int64_t now_ms);

  const admission_limits limits_;
  std::mutex mutex_;
  std::unordered_map<std::string, std::shared_ptr<account>> accounts_;
  std::size_t sweep_at_ = 1'024;  ///< accounts; then those that are not used are forgotten
  std::map<std::string, failures, std::less<>> failed_;
};

}  // namespace troupe::api
