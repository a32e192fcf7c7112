#include <troupe/state/internal/stored.hpp>
#include <troupe/state/session.hpp>

#include <algorithm>
#include <array>
#include <charconv>

namespace troupe {

using internal::always, internal::number_at, internal::text_at;

namespace {

constexpr std::array<std::string_view, 4> status_names{"pending", "in_progress", "completed",
                                                       "cancelled"};
constexpr std::array<std::string_view, 3> priority_names{"high", "medium", "low"};

template <class Enum, std::size_t N>
expected<Enum> named(std::string_view text, const std::array<std::string_view, N>& names) {
  const auto at = std::find(names.begin(), names.end(), text);
  if (at != names.end())
    return static_cast<Enum>(at - names.begin());
  std::string all;
  for (const auto name : names)
    all += (all.empty() ? "" : ", ") + std::string{name};
  return fail(errc::invalid_value, "this is one of " + all);
}

const value* held(const entity_state& state, section in, std::string_view key) {
  const auto* found = find(state, in, key, always);
  return found ? &found->data : nullptr;
}

}  // namespace

std::string_view to_string(todo_status status) noexcept {
  return status_names[static_cast<std::size_t>(status)];
}
std::string_view to_string(todo_priority priority) noexcept {
  return priority_names[static_cast<std::size_t>(priority)];
}
expected<todo_status> todo_status_from(std::string_view text) {
  return named<todo_status>(text, status_names);
}
expected<todo_priority> todo_priority_from(std::string_view text) {
  return named<todo_priority>(text, priority_names);
}

std::vector<todo> todos_of(const entity_state& state) {
  std::vector<std::pair<std::uint64_t, todo>> found;
  for_each_entry(state, section::todos, always, [&](std::string_view id, const entry& e) {
    const auto x = e.data.view();
    found.emplace_back(
        number_at(x, "position"),
        todo{.id = std::string{id},
             .content = text_at(x, "content"),
             .status = todo_status_from(text_at(x, "status")).value_or(todo_status::pending),
             .priority =
                 todo_priority_from(text_at(x, "priority")).value_or(todo_priority::medium)});
  });
  std::stable_sort(found.begin(), found.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<todo> out;
  for (auto& [position, one] : found)
    out.push_back(std::move(one));
  return out;
}

usage_report usage_from(value_view stored) {
  const auto counters = [&](std::string_view key) {
    const auto x = stored.find(key).value_or(value_view{});
    return usage_counters{number_at(x, "prompt_tokens"), number_at(x, "completion_tokens")};
  };
  return {.last = counters("last"), .total = counters("total")};
}

usage_report usage_of(const entity_state& state, const policy& inherited) {
  usage_report out;
  if (const auto* tokens = held(state, section::usage, "tokens"))
    out = usage_from(*tokens);
  if (const auto* calls = held(state, section::usage, "tool_calls"))
    out.tool_calls = calls->view().as_uint64().value_or(0);
  out.budget = overlay(policy_of(state), inherited).token_budget;
  return out;
}

loop_verdict verdict_from(value_view stored) {
  loop_verdict out{.tool = text_at(stored, "tool"),
                   .count = number_at(stored, "count"),
                   .limit = number_at(stored, "limit")};
  out.looping = out.limit > 0 && out.count >= out.limit;
  return out;
}

std::vector<recorded_call> calls_of(const entity_state& state) {
  std::vector<recorded_call> out;
  for_each_entry(state, section::calls, always, [&](std::string_view key, const entry& e) {
    recorded_call call{.verdict = verdict_from(e.data),
                       .arguments_sha256 = text_at(e.data, "arguments_sha256")};
    std::from_chars(key.data(), key.data() + key.size(), call.number);
    out.push_back(std::move(call));
  });
  return out;
}

loop_verdict loop_of(const entity_state& state, const policy& inherited) {
  const auto limit = overlay(policy_of(state), inherited).loop_limit.value_or(default_loop_limit);
  loop_verdict out;
  for (auto& call : calls_of(state)) {
    if (call.verdict.count > 0)
      out = std::move(call.verdict);
  }
  out.limit = limit;
  out.looping = out.count >= limit;
  return out;
}

notebook notebook_of(const entity_state& state) {
  notebook out{.variables = section_as_map(state, section::variables, always)};
  if (const auto* id = held(state, section::notebook, "id"))
    out.id = id->view().as_string().value_or("");
  if (const auto* count = held(state, section::notebook, "cell_count"))
    out.cell_count = count->view().as_uint64().value_or(0);
  return out;
}

}  // namespace troupe
