#include <troupe/state/session.hpp>

#include "api/route.hpp"
#include "api/tokens_body.hpp"

#include <utility>

template <>
struct troupe::names_of<troupe::todo_status> {
  static constexpr std::pair<todo_status, std::string_view> value[] = {
      {todo_status::pending, "pending"},
      {todo_status::in_progress, "in_progress"},
      {todo_status::completed, "completed"},
      {todo_status::cancelled, "cancelled"}};
};
template <>
struct troupe::names_of<troupe::todo_priority> {
  static constexpr std::pair<todo_priority, std::string_view> value[] = {
      {todo_priority::high, "high"},
      {todo_priority::medium, "medium"},
      {todo_priority::low, "low"}};
};
template <>
struct troupe::fields_of<troupe::todo> {
  static constexpr auto value =
      std::tuple{field{"id", &todo::id}, field{"content", &todo::content},
                 defaulted{"status", &todo::status}, defaulted{"priority", &todo::priority}};
};

/// What a session counts and keeps of an agent's work: usage, todos, loop history, variables.
namespace troupe::api {

namespace {

// Usage ------------------------------------------------------------------------------------------

struct usage_request {
  std::uint64_t prompt_tokens = 0, completion_tokens = 0;
  static constexpr auto fields =
      std::tuple{defaulted{"prompt_tokens", &usage_request::prompt_tokens},
                 defaulted{"completion_tokens", &usage_request::completion_tokens}};
};
struct usage_body {
  std::uint64_t prompt_tokens = 0, completion_tokens = 0, total_tokens = 0;
  std::optional<std::uint64_t> budget{};
  bool over_budget = false;
  tokens_body last{};
  std::uint64_t revision = 0;
  static constexpr auto fields =
      std::tuple{field{"prompt_tokens", &usage_body::prompt_tokens},
                 field{"completion_tokens", &usage_body::completion_tokens},
                 field{"total_tokens", &usage_body::total_tokens},
                 field{"budget", &usage_body::budget},
                 field{"over_budget", &usage_body::over_budget},
                 field{"last", &usage_body::last},
                 field{"revision", &usage_body::revision}};
};

usage_body to_body(const usage_report& x, std::uint64_t revision) {
  const auto total = tokens_of(x.total);
  return {.prompt_tokens = total.prompt_tokens,
          .completion_tokens = total.completion_tokens,
          .total_tokens = total.total_tokens,
          .budget = x.budget,
          .over_budget = x.over_budget(),
          .last = tokens_of(x.last),
          .revision = revision};
}

void get_usage(const call_ptr& c) {
  read(c, [](const entity_state& state) {
    return to_answer(to_body(usage_of(state), state.revision), state.revision);
  });
}

void post_usage(const call_ptr& c) {
  const auto body = c->body_as<usage_request>();
  if (!body)
    return c->refuse(body.error());
  execute(c, {record_usage{body->prompt_tokens, body->completion_tokens}},
          [](const command_result& result) {
            auto used = result.usage.value_or(usage_report{});
            used.budget = policy_of(*result.state).token_budget;
            return to_answer(to_body(used, result.revision), result.revision);
          });
}

void delete_usage(const call_ptr& c) {
  execute(c, {reset_usage{}}, deleted_answer);
}

// Todos ------------------------------------------------------------------------------------------

struct todos_body {
  std::vector<todo> todos{};
  static constexpr auto fields = std::tuple{field{"todos", &todos_body::todos}};
};
struct todos_patch {
  std::vector<todo> todos{};
  std::vector<std::string> removed{};
  static constexpr auto fields = std::tuple{defaulted{"todos", &todos_patch::todos},
                                            defaulted{"removed", &todos_patch::removed}};
};

void get_todos(const call_ptr& c) {
  read(c, [](const entity_state& state) {
    return to_answer(todos_body{todos_of(state)}, state.revision);
  });
}

void write_todos(const call_ptr& c) {
  auto body = c->body_as<todos_body>();
  if (!body)
    return c->refuse(body.error());
  execute(c, {put_todos{std::move(body->todos)}}, revision_answer);
}

void change_todos(const call_ptr& c) {
  auto body = c->body_as<todos_patch>();
  if (!body)
    return c->refuse(body.error());
  execute(c, {patch_todos{std::move(body->todos), std::move(body->removed)}}, revision_answer);
}

// Loop history -----------------------------------------------------------------------------------

struct call_request {
  std::string tool{};
  value arguments = value::map({});
  bool read_only = false;
  static constexpr auto fields = std::tuple{field{"tool", &call_request::tool},
                                            defaulted{"arguments", &call_request::arguments},
                                            defaulted{"read_only", &call_request::read_only}};
};
struct verdict_body {
  bool looping = false;
  std::uint64_t count = 0, limit = 0;
  std::uint64_t revision = 0;
  static constexpr auto fields =
      std::tuple{field{"looping", &verdict_body::looping}, field{"count", &verdict_body::count},
                 field{"limit", &verdict_body::limit}, field{"revision", &verdict_body::revision}};
};
struct call_body {
  std::uint64_t number = 0;
  std::string tool{};
  std::uint64_t count = 0;
  bool looping = false;
  std::string arguments_sha256{};
  static constexpr auto fields =
      std::tuple{field{"number", &call_body::number}, field{"tool", &call_body::tool},
                 field{"count", &call_body::count}, field{"looping", &call_body::looping},
                 field{"arguments_sha256", &call_body::arguments_sha256}};
};
struct calls_body {
  bool looping = false;
  std::uint64_t count = 0, limit = 0;
  std::vector<call_body> calls{};  ///< of the current turn, the oldest first
  static constexpr auto fields =
      std::tuple{field{"looping", &calls_body::looping}, field{"count", &calls_body::count},
                 field{"limit", &calls_body::limit}, field{"calls", &calls_body::calls}};
};

void get_calls(const call_ptr& c) {
  read(c, [](const entity_state& state) {
    const auto newest = loop_of(state);
    calls_body out{newest.looping, newest.count, newest.limit, {}};
    for (auto& [number, verdict, arguments] : calls_of(state))
      out.calls.push_back(
          {number, std::move(verdict.tool), verdict.count, verdict.looping, std::move(arguments)});
    return to_answer(out, state.revision);
  });
}

void post_call(const call_ptr& c) {
  auto body = c->body_as<call_request>();
  if (!body)
    return c->refuse(body.error());
  execute(c, {record_call{std::move(body->tool), std::move(body->arguments), body->read_only}},
          [](const command_result& result) {
            const auto verdict = result.loop.value_or(loop_verdict{});
            return to_answer(
                verdict_body{verdict.looping, verdict.count, verdict.limit, result.revision},
                result.revision);
          });
}

void delete_calls(const call_ptr& c) {
  execute(c, {reset_calls{}}, deleted_answer);
}

// Variables --------------------------------------------------------------------------------------

struct notebook_patch {
  value variables = value::map({});  ///< name -> type; null removes one
  std::optional<std::string> notebook_id{};
  std::optional<std::uint64_t> cell_count{};
  static constexpr auto fields = std::tuple{defaulted{"variables", &notebook_patch::variables},
                                            field{"notebook_id", &notebook_patch::notebook_id},
                                            field{"cell_count", &notebook_patch::cell_count}};
};
struct notebook_body {
  any_object variables{};
  std::string notebook_id{};
  std::uint64_t cell_count = 0;
  static constexpr auto fields = std::tuple{field{"variables", &notebook_body::variables},
                                            field{"notebook_id", &notebook_body::notebook_id},
                                            field{"cell_count", &notebook_body::cell_count}};
};

void get_variables(const call_ptr& c) {
  read(c, [](const entity_state& state) {
    auto held = notebook_of(state);
    return to_answer(
        notebook_body{{std::move(held.variables)}, std::move(held.id), held.cell_count},
        state.revision);
  });
}

void patch_variables(const call_ptr& c) {
  auto body = c->body_as<notebook_patch>();
  if (!body)
    return c->refuse(body.error());
  execute(c,
          {update_notebook{.id = std::move(body->notebook_id),
                           .cell_count = body->cell_count,
                           .variables = std::move(body->variables)}},
          revision_answer);
}

constexpr route rows[] = {
    {"GET", "{S}/usage", session_only, role::reader, get_usage,
     "Tokens since the session began or was reset", "consistency", nullptr, schema_of<usage_body>},
    {"POST", "{S}/usage", session_only, role::writer, post_usage,
     "Add tokens; succeeds whatever the budget is, and tells whether it is exceeded", "",
     schema_of<usage_request>, schema_of<usage_body>},
    {"DELETE", "{S}/usage", session_only, role::writer, delete_usage, "Count tokens anew", "",
     nullptr, nullptr, 204},
    {"GET", "{S}/todos", session_only, role::reader, get_todos, "The todo list in its order",
     "consistency", nullptr, schema_of<todos_body>},
    {"PUT", "{S}/todos", session_only, role::writer, write_todos, "Replace the todo list", "",
     schema_of<todos_body>, schema_of<revision_body>},
    {"PATCH", "{S}/todos", session_only, role::writer, change_todos,
     "Change or add todos by id, then remove some", "", schema_of<todos_patch>,
     schema_of<revision_body>},
    {"GET", "{S}/loop-history", session_only, role::reader, get_calls,
     "The turn's tool calls and the newest verdict", "consistency", nullptr, schema_of<calls_body>},
    {"POST", "{S}/loop-history", session_only, role::writer, post_call,
     "Record a tool call; tells whether it repeats itself", "", schema_of<call_request>,
     schema_of<verdict_body>},
    {"DELETE", "{S}/loop-history", session_only, role::writer, delete_calls,
     "Begin loop detection anew", "", nullptr, nullptr, 204},
    {"GET", "{S}/variables", session_only, role::reader, get_variables, "Notebook variables",
     "consistency", nullptr, schema_of<notebook_body>},
    {"PATCH", "{S}/variables", session_only, role::writer, patch_variables,
     "Merge variables (null removes one), set the notebook's id and cell count", "",
     schema_of<notebook_patch>, schema_of<revision_body>},
};

}  // namespace

std::span<const route> work_routes() {
  return rows;
}

}  // namespace troupe::api
