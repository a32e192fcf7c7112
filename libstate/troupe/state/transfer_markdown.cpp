#include <troupe/state/items.hpp>
#include <troupe/state/json.hpp>
#include <troupe/state/session.hpp>
#include <troupe/state/team.hpp>
#include <troupe/state/transfer.hpp>
#include <troupe/state/versions.hpp>
#include <troupe/state/workflow.hpp>

#include <algorithm>

namespace troupe {

namespace {

/// Text that stands within a line, never at its beginning, and means nothing but itself: control
/// characters as JSON has them, and a backslash before whatever Markdown could read there.
std::string inline_text(std::string_view text) {
  std::string json;
  append_json_string(json, text);
  std::string out;
  bool escape = false;  // behind a backslash of JSON
  for (const char c : std::string_view{json}.substr(1, json.size() - 2)) {
    if (escape && (c == '"' || c == '\\')) {
      out += c == '"' ? "\"" : "\\\\";
      escape = false;
      continue;
    }
    if (escape)
      out += "\\\\";
    escape = false;
    if (c == '\\') {
      escape = true;
      continue;
    }
    if (std::string_view{"`*_[]<>#|&~$"}.find(c) != std::string_view::npos)
      out += '\\';
    out += c;
  }
  return out;
}

/// A fence that is longer than any run of backticks within.
void fenced(std::string& out, std::string_view language, std::string_view content) {
  std::size_t longest = 0, run = 0;
  for (const char c : content) {
    run = c == '`' ? run + 1 : 0;
    longest = std::max(longest, run);
  }
  const std::string fence(std::max<std::size_t>(3, longest + 1), '`');
  out += fence;
  out += language;
  out += '\n';
  out += content;
  if (!content.empty() && content.back() != '\n')
    out += '\n';
  out += fence;
  out += "\n\n";
}

void heading(std::string& out, std::string_view text) {
  out += "## ";
  out += text;
  out += "\n\n";
}

void fact(std::string& out, std::string_view name, std::string_view text) {
  if (!text.empty())
    out += "- " + std::string{name} + ": " + inline_text(text) + '\n';
}

void row(std::string& out, std::initializer_list<std::string> cells) {
  for (const auto& cell : cells)
    out += "| " + cell + ' ';
  out += "|\n";
}

std::string joined(const std::vector<std::string>& texts) {
  std::string out;
  for (const auto& text : texts)
    out += (out.empty() ? "" : ", ") + text;
  return out;
}

void facts(std::string& out, const entity_ref& ref, const entity_state& state) {
  const auto info = info_of(state);
  out += "# " + std::string{to_string(ref.kind)} + ' ' + inline_text(ref.id) + "\n\n";
  fact(out, "namespace", ref.name_space);
  fact(out, "status",
       state.live()                         ? "live"
       : state.status == lifecycle::deleted ? "deleted"
                                            : "absent");
  fact(out, "revision", std::to_string(state.revision));
  if (state.live()) {
    fact(out, "created", to_rfc3339(state.created));
    fact(out, "last activity", to_rfc3339(state.last_activity));
  }
  fact(out, "user", info.user);
  fact(out, "workflow", info.workflow);
  fact(out, "team", info.team);
  fact(out, "tags", joined(info.tags));
  std::vector<std::string> shares;
  for (const auto& [user, allowed] : info.shares)
    shares.push_back(user + (allowed == access::write ? " (write)" : " (read)"));
  fact(out, "shared with", joined(shares));
  if (info.forked_from)
    fact(out, "forked from",
         to_string(info.forked_from->parent) + " at " + std::to_string(info.forked_from->at));
  if (info.metadata.view().size() > 0)
    fact(out, "metadata", to_json(info.metadata));
  out += '\n';
}

void message_body(std::string& out, const chat_message& message) {
  if (message.content && !message.content->is_null()) {
    if (message.content->type() == value_type::string)
      fenced(out, "text", message.text());
    else
      fenced(out, "json", to_json(*message.content));
  }
  if (message.tool_calls) {
    for (const auto& call : *message.tool_calls) {
      out += "calls " + inline_text(call.function.name) + "\n\n";
      const auto text = call.function.arguments.view().as_string();
      fenced(out, "json", text ? std::string{*text} : to_json(call.function.arguments));
    }
  }
}

void item(std::string& out, const item_view& one) {
  const auto title = [&](std::string_view who) {
    out += "### " + std::to_string(one.seq) + ". " + inline_text(who) + " (" + to_rfc3339(one.at)
           + ")\n\n";
  };
  if (const auto chat = item_as<chat_message>(one)) {
    title(chat->name ? chat->role + ' ' + *chat->name : chat->role);
    message_body(out, *chat);
  } else if (const auto log = item_as<exchange>(one)) {
    title("request");
    fenced(out, "text", log->user_request);
    out += "answered by " + inline_text(log->agent) + " in " + std::to_string(log->duration.count())
           + " ms\n\n";
    const auto text = log->response.view().as_string();
    fenced(out, text ? "text" : "json", text ? std::string{*text} : to_json(log->response));
    for (const auto& x : log->escalations)
      out += "- escalated from " + inline_text(x.source_agent) + " to "
             + inline_text(x.target_agent) + ": " + inline_text(x.reason) + '\n';
    if (!log->escalations.empty())
      out += '\n';
  } else if (const auto from = one.fields.find("from"); from && from->as_string()) {
    const auto to = one.fields.find("to");
    title(std::string{*from->as_string()} + " to "
          + std::string{to ? to->as_string().value_or("?") : "everybody"});
    fenced(out, "json", to_json(one.fields.find("body").value_or(value_view{})));
  } else {
    title("item");
    fenced(out, "json", to_json(one.fields));
  }
}

void state_table(std::string& out, const entity_state& state, timestamp now) {
  if (count_entries(state, section::state, now) == 0)
    return;
  heading(out, "State");
  row(out, {"key", "value", "expires"});
  row(out, {"---", "---", "---"});
  for_each_entry(state, section::state, now, [&](std::string_view key, const entry& held) {
    row(out, {inline_text(key), inline_text(to_json(held.data)),
              held.expires.ms == 0 ? std::string{} : to_rfc3339(held.expires)});
  });
  out += '\n';
}

void notebook_and_variables(std::string& out, const entity_state& state) {
  const auto book = notebook_of(state);
  if (book == notebook{})
    return;
  heading(out, "Notebook");
  fact(out, "id", book.id);
  fact(out, "cells", std::to_string(book.cell_count));
  out += '\n';
  if (book.variables.view().size() == 0)
    return;
  row(out, {"variable", "type"});
  row(out, {"---", "---"});
  for (auto at = book.variables.view().children(); at.next();) {
    const auto text = at.item().as_string();
    row(out, {inline_text(at.key()), inline_text(text ? std::string{*text} : to_json(at.item()))});
  }
  out += '\n';
}

void usage(std::string& out, const entity_state& state) {
  const auto all = usage_of(state);
  const auto line = [](const usage_counters& x) {
    return std::to_string(x.prompt_tokens) + " prompt, " + std::to_string(x.completion_tokens)
           + " completion";
  };
  if (all.total == usage_counters{} && all.tool_calls == 0)
    return;
  heading(out, "Usage");
  fact(out, "tokens", line(all.total));
  fact(out, "of these last", line(all.last));
  if (all.budget)
    fact(out, "budget", std::to_string(*all.budget));
  fact(out, "tool calls", std::to_string(all.tool_calls));
  out += '\n';
}

void calls(std::string& out, const entity_state& state) {
  const auto all = calls_of(state);
  if (all.empty())
    return;
  heading(out, "Calls of this turn");
  row(out, {"call", "tool", "equal in a row", "limit", "arguments (SHA-256)"});
  row(out, {"---", "---", "---", "---", "---"});
  for (const auto& one : all)
    row(out, {std::to_string(one.number), inline_text(one.verdict.tool),
              std::to_string(one.verdict.count) + (one.verdict.looping ? " (loop)" : ""),
              std::to_string(one.verdict.limit), inline_text(one.arguments_sha256)});
  out += '\n';
}

void checkpoints(std::string& out, const entity_state& state) {
  const auto all = checkpoints_of(state);
  if (all.empty())
    return;
  heading(out, "Checkpoints");
  row(out, {"checkpoint", "name", "revision", "at", "tags", "metadata"});
  row(out, {"---", "---", "---", "---", "---", "---"});
  for (const auto& one : all)
    row(out, {inline_text(one.id) + (one.automatic ? " (automatic)" : ""), inline_text(one.name),
              std::to_string(one.revision), to_rfc3339(one.at), inline_text(joined(one.tags)),
              one.metadata.view().size() > 0 ? inline_text(to_json(one.metadata)) : ""});
  out += '\n';
}

void todos(std::string& out, const entity_state& state) {
  const auto all = todos_of(state);
  if (all.empty())
    return;
  heading(out, "Todos");
  for (const auto& one : all) {
    out += one.status == todo_status::completed ? "- [x] " : "- [ ] ";
    out += inline_text(one.content) + " (" + inline_text(to_string(one.status)) + ", "
           + std::string{to_string(one.priority)} + ")\n";
  }
  out += '\n';
}

void nodes(std::string& out, const entity_state& state) {
  const auto all = nodes_of(state);
  if (all.empty())
    return;
  heading(out, "Nodes");
  row(out, {"node", "status", "after", "attempts", "result"});
  row(out, {"---", "---", "---", "---", "---"});
  for (const auto& one : all)
    row(out,
        {inline_text(one.id), std::string{to_string(one.status)}, inline_text(joined(one.after)),
         std::to_string(one.attempts), one.result ? inline_text(to_json(*one.result)) : ""});
  out += '\n';
}

void members(std::string& out, const entity_state& state) {
  const auto all = members_of(state);
  if (all.empty())
    return;
  heading(out, "Members");
  row(out, {"member", "role", "delivered up to"});
  row(out, {"---", "---", "---"});
  for (const auto& one : all)
    row(out, {inline_text(one.name), inline_text(one.role), std::to_string(one.cursor)});
  out += '\n';
}

}  // namespace

std::string export_markdown(const entity_ref& ref, const entity_state& state, timestamp now) {
  std::string out;
  facts(out, ref, state);
  if (!state.items.empty()) {
    heading(out, "Messages");
    for (const auto& one : state.items)
      item(out, one);
  }
  state_table(out, state, now);
  notebook_and_variables(out, state);
  todos(out, state);
  nodes(out, state);
  members(out, state);
  usage(out, state);
  calls(out, state);
  checkpoints(out, state);
  while (out.ends_with("\n\n"))
    out.pop_back();
  return out;
}

}  // namespace troupe
