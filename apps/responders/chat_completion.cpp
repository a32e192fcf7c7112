#include "responders/chat_completion.hpp"

#include <troupe/state/json.hpp>
#include <troupe/state/session.hpp>

#include <algorithm>
#include <set>
#include <utility>

namespace troupe::responders {

namespace {

/// Writes members of an object, with commas between them.
class object {
public:
  explicit object(std::string& out) : out_{out} { out_ += '{'; }
  std::string& member(std::string_view name) {
    if (std::exchange(begun_, true))
      out_ += ',';
    append_json_string(out_, name);
    return out_ += ':';
  }
  void text(std::string_view name, std::string_view x) { append_json_string(member(name), x); }
  void any(std::string_view name, value_view x) { append_json(member(name), x); }
  void end() { out_ += '}'; }

private:
  std::string& out_;
  bool begun_ = false;
};

/// What the session's user works in, as JSON; empty when there is nothing to tell.
std::string notebook_context(const entity_state& session) {
  const auto held = notebook_of(session);
  if (held.id.empty() && held.cell_count == 0 && held.variables.view().size() == 0)
    return {};
  std::string out;
  object context{out};
  context.text("notebook_id", held.id);
  context.any("cell_count", value{held.cell_count});
  context.any("variables", held.variables);
  context.end();
  return out;
}

std::string id_of(const tool_call& call) {
  return call.id.value_or("");
}

/// Ids of the results that stand right behind the item.
std::set<std::string> results_behind(const entity_state& session, std::size_t index) {
  std::set<std::string> out;
  for (auto i = index + 1; i < session.items.size(); ++i) {
    const auto message = item_as<chat_message>(session.items[i]);
    if (!message || message->role != "tool")
      break;
    out.insert(message->tool_call_id.value_or(""));
  }
  return out;
}

/// Calls with arguments as a string of JSON, as the protocol wants them.
void append_calls(std::string& out, const std::vector<tool_call>& calls) {
  out += '[';
  for (const auto& call : calls) {
    if (out.back() != '[')
      out += ',';
    object one{out};
    one.text("id", id_of(call));
    one.text("type", "function");
    object function{one.member("function")};
    function.text("name", call.function.name);
    const auto arguments = call.function.arguments.view();
    function.text("arguments", arguments.as_string() ? *arguments.as_string() : to_json(arguments));
    function.end();
    one.end();
  }
  out += ']';
}

/// The session's messages, each call beside its result.
class message_list {
public:
  message_list(const prompt& what, std::string& out) : what_{what}, out_{out} {
    for (auto i = what.first; i < what.session->items.size(); ++i) {
      if (auto message = item_as<chat_message>(what.session->items[i]))
        add(i, *std::move(message));
    }
  }

private:
  void add(std::size_t index, chat_message message) {
    if (message.role == "tool") {
      if (open_.erase(message.tool_call_id.value_or("")) == 0)
        return;
    } else {
      open_.clear();
    }
    std::vector<tool_call> calls;
    if (message.tool_calls) {
      const auto there = results_behind(*what_.session, index);
      std::ranges::copy_if(*message.tool_calls, std::back_inserter(calls),
                           [&](const tool_call& x) { return there.contains(id_of(x)); });
      for (const auto& call : calls)
        open_.insert(id_of(call));
      if (calls.empty() && message.text().empty())
        return;
    }
    if (out_.back() == '}')
      out_ += ',';
    object one{out_};
    one.text("role", message.role);
    one.any("content", message.content.value_or(value{}));
    if (message.name)
      one.text("name", *message.name);
    if (!calls.empty())
      append_calls(one.member("tool_calls"), calls);
    if (message.role == "tool")
      one.text("tool_call_id", message.tool_call_id.value_or(""));
    one.end();
  }

  const prompt& what_;
  std::string& out_;
  std::set<std::string> open_;  // calls whose results come next
};

unexpected failed(std::string why) {
  return fail(errc::responder_failed, std::move(why));
}

std::string text_at(value_view holder, std::string_view name) {
  const auto found = holder.find(name);
  return std::string{found ? found->as_string().value_or("") : ""};
}

std::uint64_t number_at(value_view holder, std::string_view name) {
  const auto found = holder.find(name);
  return found ? found->as_uint64().value_or(0) : 0;
}

usage_counters usage_in(value_view holder) {
  const auto usage = holder.find("usage");
  if (!usage)
    return {};
  return {number_at(*usage, "prompt_tokens"), number_at(*usage, "completion_tokens")};
}

/// The first choice of an answer or a chunk.
std::optional<value_view> choice_of(value_view from) {
  const auto choices = from.find("choices");
  if (!choices)
    return std::nullopt;
  auto first = choices->children();
  return first.next() ? std::optional{first.item()} : std::nullopt;
}

std::string error_in(value_view x) {
  const auto what = x.find("error");
  if (!what)
    return {};
  if (const auto text = what->as_string())
    return std::string{*text};
  const auto said = text_at(*what, "message");
  return said.empty() && !what->is_null() ? "an error without a message" : said;
}

}  // namespace

std::string chat_request(const prompt& what, std::string_view model) {
  std::string out;
  object body{out};
  body.text("model", model);
  body.member("messages") += '[';
  if (const auto context = notebook_context(*what.session); !context.empty()) {
    object one{out};
    one.text("role", "system");
    one.text("content", "The user's notebook: " + context);
    one.end();
  }
  message_list{what, out};
  out += ']';
  const auto* tools = find(*what.session, section::state, "tools", what.now);
  if (tools != nullptr && tools->data.type() == value_type::array && tools->data.view().size() > 0)
    body.any("tools", tools->data);
  body.any("stream", value{true});
  body.member("stream_options") += R"({"include_usage":true})";
  body.end();
  return out;
}

expected<std::string> chat_stream::take(std::string_view bytes) {
  std::string said;
  while (!bytes.empty()) {
    const auto end = bytes.find('\n');
    if (rest_.size() + std::min(end, bytes.size()) > max_line)
      return failed("a line of the answer is longer than 1 MiB");
    rest_ += bytes.substr(0, end);
    bytes.remove_prefix(end == std::string_view::npos ? bytes.size() : end + 1);
    if (end == std::string_view::npos)
      break;
    const auto line = std::exchange(rest_, {});
    if (auto ok = take_line(line, said); !ok)
      return tl::unexpected(std::move(ok.error()));
  }
  return said;
}

expected<void> chat_stream::take_line(std::string_view line, std::string& said) {
  constexpr std::string_view name = "data:";
  if (line.ends_with('\r'))
    line.remove_suffix(1);
  if (!line.starts_with(name))
    return {};  // a comment, another field, or the end of an event
  line.remove_prefix(name.size());
  if (line.starts_with(' '))
    line.remove_prefix(1);
  if (line == "[DONE]") {
    finished_ = true;
    return {};
  }
  const auto chunk = value_from_json(line);
  if (!chunk || chunk->type() != value_type::map)
    return failed("a chunk of the answer is no JSON object");
  return take_chunk(*chunk, said);
}

expected<void> chat_stream::take_chunk(value_view chunk, std::string& said) {
  if (const auto why = error_in(chunk); !why.empty())
    return failed("the endpoint broke off: " + why);
  if (const auto used = usage_in(chunk); used.total() > 0)
    used_ = used;
  const auto choice = choice_of(chunk);
  if (!choice)
    return {};
  if (!text_at(*choice, "finish_reason").empty())
    finished_ = true;
  const auto delta = choice->find("delta");
  if (!delta)
    return {};
  const auto piece = text_at(*delta, "content");
  text_ += piece;
  said += piece;
  bytes_ += piece.size();
  if (const auto calls = delta->find("tool_calls")) {
    for (auto part = calls->children(); part.next();)
      take_call(part.item());
  }
  if (bytes_ > max_bytes)
    return failed("the answer is longer than 192 KiB");
  return {};
}

void chat_stream::take_call(value_view part) {
  constexpr std::size_t own = 64;
  const auto index = number_at(part, "index");
  bytes_ += calls_.contains(index) ? 0 : own;
  auto& call = calls_[index];
  if (const auto id = text_at(part, "id"); !id.empty())
    call.id = id;
  call.type = "function";
  const auto function = part.find("function");
  if (!function)
    return;
  call.function.name += text_at(*function, "name");
  const auto arguments = text_at(*function, "arguments");
  arguments_[index] += arguments;
  bytes_ += arguments.size() + text_at(*function, "name").size();
}

expected<reply> chat_stream::finish() {
  if (!rest_.empty()) {  // the last line may lack its end
    std::string said;
    if (auto ok = take_line(std::exchange(rest_, {}), said); !ok)
      return tl::unexpected(std::move(ok.error()));
  }
  if (!finished_)
    return failed("the answer was cut off in the middle");
  reply out{.text = std::move(text_), .used = used_};
  for (auto& [index, call] : calls_) {
    call.function.arguments = value{arguments_[index]};
    out.tool_calls.push_back(std::move(call));
  }
  return out;
}

expected<reply> whole_completion(std::string_view body) {
  const auto answer = value_from_json(body);
  if (!answer)
    return failed("the answer is no JSON");
  if (const auto why = error_in(*answer); !why.empty())
    return failed("the endpoint says: " + why);
  const auto choice = choice_of(*answer);
  const auto message = choice ? choice->find("message") : std::nullopt;
  if (!message)
    return failed("the answer has no message");
  const auto said = from_value<chat_message>(*message);
  if (!said)
    return failed("the answer's message is none: " + said.error().message);
  return reply{.text = said->text(),
               .tool_calls = said->tool_calls.value_or(std::vector<tool_call>{}),
               .used = usage_in(*answer)};
}

std::string error_text(std::string_view body) {
  const auto read = value_from_json(body);
  return read ? error_in(*read) : std::string{};
}

}  // namespace troupe::responders
