#pragma once

#include <troupe/state/entity.hpp>

#include "responders/responder.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>

/// What the agent API (`/api/agent/quick`, `/api/sessions/{id}`) goes by.
namespace troupe::api {

struct agent_options {
  responders::responder answers{};                ///< who answers messages
  std::chrono::milliseconds max_age{86'400'000};  ///< without use, then deleted; 0: never
  std::uint64_t history_limit = 100;  ///< messages; then: the oldest are forgotten; 0: none is
};

/// What the sessions that this API creates are known by. Age and history limit are for them alone.
inline constexpr std::string_view agent_tag = "agent-api";

/// Which of many equal warnings are logged: the first of each ten seconds. Any thread.
class seldom {
public:
  /// How many were left out since the last one; nothing: so is this one.
  std::optional<std::size_t> pass(timestamp now) {
    constexpr std::int64_t apart_ms = 10'000;
    const std::lock_guard lock{mutex_};
    if (last_ && now.ms >= last_->ms && now.ms - last_->ms < apart_ms) {
      ++left_out_;
      return std::nullopt;
    }
    last_ = now;
    return std::exchange(left_out_, 0);
  }

private:
  std::mutex mutex_;
  std::optional<timestamp> last_;
  std::size_t left_out_ = 0;
};

/// The options, the keyed requests under way, and failures of the responder. Any thread.
class agent_desk {
public:
  explicit agent_desk(agent_options options) : options_{std::move(options)} {}

  [[nodiscard]] const agent_options& options() const { return options_; }

  [[nodiscard]] seldom& failures() { return failures_; }

  /// A request under this key begins; it ends with the last copy. Null: one is under way.
  [[nodiscard]] std::shared_ptr<void> begin(const entity_ref& session, const std::string& key) {
    auto name = std::pair{session, key};
    const std::lock_guard lock{mutex_};
    if (!under_way_.insert(name).second)
      return nullptr;
    return {this, [name = std::move(name)](agent_desk* self) {
              const std::lock_guard held{self->mutex_};
              self->under_way_.erase(name);
            }};
  }

private:
  struct by_name {
    using key = std::pair<entity_ref, std::string>;
    bool operator()(const key& a, const key& b) const {
      return std::tie(a.first.name_space, a.first.id, a.second)
             < std::tie(b.first.name_space, b.first.id, b.second);
    }
  };
  agent_options options_;
  seldom failures_;
  std::mutex mutex_;
  std::set<by_name::key, by_name> under_way_;
};

/// Whether the agent API has created it.
[[nodiscard]] bool is_agents(const entity_state& session);
/// The index of the oldest message that the API shows.
[[nodiscard]] std::size_t first_shown(const entity_state& session, const agent_options& how);

class call;
/// POST /api/agent/quick, whose steps stand in agent_turn.cpp.
void post_quick(const std::shared_ptr<call>& c);
[[nodiscard]] std::string quick_request_schema();
[[nodiscard]] std::string quick_answer_schema();

}  // namespace troupe::api
