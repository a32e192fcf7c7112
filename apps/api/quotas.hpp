#pragma once

#include <troupe/runtime/runtime.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

/// How much one user and one namespace may keep.
namespace troupe::api {

struct quota_limits {
  std::size_t user_sessions = 0;       ///< then: 429 `too_many_sessions`. 0: any number
  std::uint64_t name_space_bytes = 0;  ///< of keys, values and items; then: 409 `quota_exceeded` to
                                       ///< what adds. 0: any number
};

/// Counts by walking over the store's list, which wakes nobody: when a namespace is first asked for
/// and again while it is written to, once a second, or less often where a walk takes long. Sessions
/// that are made in between are added; bytes may exceed their limit by what comes in between.
/// Nothing is counted, and nothing costs, where nothing is limited. Any thread.
class quotas {
public:
  using callback = std::function<void(expected<command_result>)>;

  /// The runtime outlives this, and its last callback.
  quotas(runtime& backend, quota_limits limits) : backend_{backend}, limits_{limits} {}

  [[nodiscard]] bool any() const noexcept {
    return limits_.user_sessions != 0 || limits_.name_space_bytes != 0;
  }

  /// Has the runtime carry out what fits. Errors: also `too_many_sessions`, `quota_exceeded`.
  void execute(command request, callback done);

  /// May what adds be added? Errors: `quota_exceeded`.
  expected<void> check_bytes(const std::string& name_space);
  /// May a user have so many sessions more? Errors: `too_many_sessions`.
  expected<void> check_sessions(const std::string& name_space, const std::string& user,
                                std::size_t more);

private:
  struct tally {
    std::uint64_t bytes = 0;
    std::map<std::string, std::size_t, std::less<>> sessions;  ///< by user
    std::map<std::string, std::size_t, std::less<>> since;     ///< made since the walk began
    std::vector<std::function<void()>> waiting;                ///< for the first walk
    bool known = false, walking = false;
    timestamp walked{};  ///< when the last walk ended
    std::int64_t every_ms = 1'000;
  };
  struct walk;

  std::shared_ptr<tally> counted(const std::string& name_space);
  void walk_on(std::shared_ptr<walk> of);
  void end_walk(const walk& of);
  void execute_counted(command request, callback done);
  void note_session(const std::string& name_space, const std::string& user);

  runtime& backend_;
  const quota_limits limits_;
  std::mutex mutex_;  ///< of all accounts
  std::map<std::string, std::shared_ptr<tally>, std::less<>> accounts_;
};

}  // namespace troupe::api
