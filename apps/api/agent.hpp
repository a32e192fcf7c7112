#pragma once

#include <troupe/state/entity.hpp>

#include "responders/responder.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
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

/// The options, and the keyed requests under way. Any thread.
class agent_desk {
public:
  explicit agent_desk(agent_options options) : options_{std::move(options)} {}

  [[nodiscard]] const agent_options& options() const { return options_; }

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
