#include "api/agent.hpp"

#include <troupe/state/items.hpp>
#include <troupe/state/session.hpp>

#include "api/route.hpp"

#include <algorithm>
#include <utility>

/// The agent API: sessions as its clients know them.
namespace troupe::api {

namespace {

constexpr std::uint64_t default_turns = 20;  // of a history, when none are asked for

struct session_body {
  std::string session_id{};
  nullable_text notebook_id{};
  std::uint64_t turn_count = 0;
  std::string last_activity{};  ///< "2025-10-07T13:13:45", UTC
  std::vector<std::string> variables{};
  static constexpr auto fields = std::tuple{field{"session_id", &session_body::session_id},
                                            field{"notebook_id", &session_body::notebook_id},
                                            field{"turn_count", &session_body::turn_count},
                                            field{"last_activity", &session_body::last_activity},
                                            field{"variables", &session_body::variables}};
};
struct message_body {
  std::string role{};
  std::string content{};
  static constexpr auto fields =
      std::tuple{field{"role", &message_body::role}, field{"content", &message_body::content}};
};
struct history_body {
  std::string session_id{};
  std::uint64_t turn_count = 0;
  std::vector<message_body> history{};
  static constexpr auto fields = std::tuple{field{"session_id", &history_body::session_id},
                                            field{"turn_count", &history_body::turn_count},
                                            field{"history", &history_body::history}};
};
struct cleared_body {
  std::string session_id{};
  std::string status = "cleared";
  static constexpr auto fields = std::tuple{field{"session_id", &cleared_body::session_id},
                                            field{"status", &cleared_body::status}};
};

/// In the words that clients of this API read.
error named(error why) {
  if (why.code == errc::not_found)
    why.message = "Session not found";
  return why;
}

/// `{id}`, read.
void with_session(const call_ptr& c, std::function<answer(const entity_state&)> shape) {
  const auto session = c->doors.resolve(c->who, entity_kind::session, c->parameters.front());
  if (!session)
    return c->refuse(session.error());
  session->read(false, [c, shape = std::move(shape)](expected<runtime::snapshot> state) {
    if (!state)
      return c->refuse(named(std::move(state.error())));
    c->send(shape(**state));
  });
}

std::uint64_t turns_of(const entity_state& session, const agent_options& how) {
  return session.items.size() - first_shown(session, how);
}

void get_session(const call_ptr& c) {
  with_session(c, [c](const entity_state& session) {
    const auto held = notebook_of(session);
    session_body out{.session_id = c->parameters.front(),
                     .turn_count = turns_of(session, c->doors.agents().options()),
                     .last_activity = to_rfc3339(session.last_activity).substr(0, 19)};
    if (!held.id.empty())
      out.notebook_id.text = held.id;
    for (auto at = held.variables.view().children(); at.next();)
      out.variables.emplace_back(at.key());
    return to_answer(out);
  });
}

/// Anything is an item; what is no message has no role.
message_body shown(const item_view& item) {
  const auto message = item_as<chat_message>(item);
  return message ? message_body{message->role, message->text()} : message_body{};
}

void get_history(const call_ptr& c) {
  const auto asked = c->number("max_turns");
  if (!asked)
    return c->refuse(asked.error());
  with_session(c, [c, most = asked->value_or(default_turns)](const entity_state& session) {
    const auto turns = turns_of(session, c->doors.agents().options());
    history_body out{c->parameters.front(), turns, {}};
    const auto wanted = most == 0 ? turns : std::min(most, turns);
    for (auto i = session.items.size() - wanted; i < session.items.size(); ++i)
      out.history.push_back(shown(session.items[i]));
    return to_answer(out);
  });
}

void delete_session(const call_ptr& c) {
  const auto session = c->doors.resolve(c->who, entity_kind::session, c->parameters.front());
  if (!session)
    return c->refuse(session.error());
  execute(c, *session, {erase{}}, std::nullopt, [c](const expected<command_result>& done) {
    if (!done)
      return c->refuse(named(done.error()));
    c->send(to_answer(cleared_body{c->parameters.front()}));
  });
}

constexpr route rows[] = {
    {"POST", "/api/agent/quick", no_scope, role::writer, post_quick,
     "One turn: the query joins the history, the node's responder answers it. With `Accept: "
     "text/event-stream` the answer comes as it is made",
     "", quick_request_schema, quick_answer_schema},
    {"GET", "/api/sessions/{id}", no_scope, role::reader, get_session, "A session in short", "",
     nullptr, schema_of<session_body>},
    {"DELETE", "/api/sessions/{id}", no_scope, role::writer, delete_session, "Delete a session", "",
     nullptr, schema_of<cleared_body>},
    {"GET", "/api/sessions/{id}/history", no_scope, role::reader, get_history,
     "The newest messages, 20 unless `max_turns` says how many; 0: all", "max_turns", nullptr,
     schema_of<history_body>},
};

}  // namespace

bool is_agents(const entity_state& session) {
  return find(session, section::tags, agent_tag, {}) != nullptr;
}

std::size_t first_shown(const entity_state& session, const agent_options& how) {
  const auto limit = how.history_limit;
  return limit != 0 && session.items.size() > limit && is_agents(session)
             ? session.items.size() - limit
             : 0;
}

std::span<const route> agent_routes() {
  return rows;
}

}  // namespace troupe::api
