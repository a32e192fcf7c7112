#pragma once

#include <troupe/state/commands.hpp>
#include <troupe/state/decide.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// What a session holds beyond its items and key-value state: reads of one session as a value. All
/// of them take any entity; one that has no such section reads as empty.
namespace troupe {

/// In the order of the list.
[[nodiscard]] std::vector<todo> todos_of(const entity_state& state);

[[nodiscard]] std::string_view to_string(todo_status status) noexcept;
[[nodiscard]] std::string_view to_string(todo_priority priority) noexcept;
/// Errors: `invalid_value`, naming the words there are.
expected<todo_status> todo_status_from(std::string_view text);
expected<todo_priority> todo_priority_from(std::string_view text);

/// Tokens since the session began or was reset and tool calls since it began, with the budget of
/// its policy over `inherited`.
[[nodiscard]] usage_report usage_of(const entity_state& state, const policy& inherited = {});

/// One tool call of the current turn.
struct recorded_call {
  std::uint64_t number = 0;  ///< 1, 2, 3 ... over the whole session
  loop_verdict verdict{};
  std::string arguments_sha256{};  ///< hex, of the canonical arguments
};
/// At most `max_calls_kept`, oldest first.
[[nodiscard]] std::vector<recorded_call> calls_of(const entity_state& state);
/// The verdict on the newest call that counts; without a tool when there is none.
[[nodiscard]] loop_verdict loop_of(const entity_state& state, const policy& inherited = {});

struct notebook {
  std::string id{};
  std::uint64_t cell_count = 0;
  value variables = value::map({});  ///< name -> type
  friend bool operator==(const notebook&, const notebook&) = default;
};
[[nodiscard]] notebook notebook_of(const entity_state& state);

/// What stands in `section::calls` and under "tokens" in `section::usage`.
[[nodiscard]] loop_verdict verdict_from(value_view stored);
[[nodiscard]] usage_report usage_from(value_view stored);

}  // namespace troupe
