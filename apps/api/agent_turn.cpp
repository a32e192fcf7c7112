#include <troupe/state/items.hpp>
#include <troupe/state/json.hpp>
#include <troupe/state/session.hpp>

#include "api/agent.hpp"
#include "api/agent_stream.hpp"
#include "api/request_id.hpp"
#include "api/route.hpp"
#include "api/status.hpp"
#include "api/tokens_body.hpp"
#include <spdlog/spdlog.h>

#include <algorithm>
#include <charconv>
#include <initializer_list>
#include <utility>

/// One turn of the agent API: a message, and its answer.
namespace troupe::api {

namespace {

// What is asked: members that this API does not name are ignored, as they were. ------------------

struct context_body {
  std::optional<std::string> notebook_id{}, session_id{};
  std::optional<any_object> variables{};  ///< name -> type; null removes one
  std::optional<std::uint64_t> cell_count{};
  value others = value::map({});
  static constexpr auto fields = std::tuple{
      field{"notebook_id", &context_body::notebook_id},
      field{"session_id", &context_body::session_id}, field{"variables", &context_body::variables},
      field{"cell_count", &context_body::cell_count}, other_members{&context_body::others}};
};
struct quick_request {
  std::optional<std::string> query{};
  std::optional<context_body> context{};
  value others = value::map({});
  static constexpr auto fields =
      std::tuple{field{"query", &quick_request::query}, field{"context", &quick_request::context},
                 other_members{&quick_request::others}};
};

// What is answered -------------------------------------------------------------------------------

struct part_body {
  std::string type{};  ///< "text" or "tool_call"
  std::string content{};
  any_object metadata{};  ///< of a tool call: id, name, arguments
  static constexpr auto fields =
      std::tuple{field{"type", &part_body::type}, field{"content", &part_body::content},
                 field{"metadata", &part_body::metadata}};
};
struct quick_answer {
  std::string query{};
  std::string route{};  ///< the responder's name
  std::vector<part_body> messages{};
  tokens_body usage{};  ///< of this answer
  std::string session_id{};
  std::string response{};  ///< the text of the last message
  std::uint64_t turn_count = 0;
  static constexpr auto fields = std::tuple{
      field{"query", &quick_answer::query},           field{"route", &quick_answer::route},
      field{"messages", &quick_answer::messages},     field{"usage", &quick_answer::usage},
      field{"session_id", &quick_answer::session_id}, field{"response", &quick_answer::response},
      field{"turn_count", &quick_answer::turn_count}};
};

std::vector<part_body> parts_of(const chat_message& said) {
  std::vector<part_body> out;
  if (const auto text = said.text(); !text.empty() || !said.tool_calls)
    out.push_back({"text", text, {}});
  for (const auto& call : said.tool_calls.value_or(std::vector<tool_call>{})) {
    auto about = value::map({{"id", call.id.value_or("")},
                             {"name", call.function.name},
                             {"arguments", call.function.arguments}});
    out.push_back({"tool_call", call.function.name, {std::move(about)}});
  }
  return out;
}

/// Arguments as the value they are the JSON of, so that the order of keys makes no other call.
value arguments_of(const tool_call& call) {
  const auto text = call.function.arguments.view().as_string();
  auto read = text ? value_from_json(*text) : expected<value>{call.function.arguments};
  return read ? *std::move(read) : call.function.arguments;
}

bool wants_stream(const http::request& request) {
  const auto* accepted = request.find_header("Accept");
  return accepted != nullptr && accepted->starts_with("text/event-stream");
}

// The turn ---------------------------------------------------------------------------------------

/// Lives as long as a callback that goes on with it. Its steps, in order: `begin`, `look_back`,
/// `check`, `say`, `ask`, `keep`, `finish`. The message and the answer are one command each; of a
/// keyed request either is done once, whatever ends in between.
class turn : public std::enable_shared_from_this<turn> {
public:
  turn(call_ptr c, quick_request asked) : c_{std::move(c)}, asked_{std::move(asked)} {}

  void begin() {
    const auto& context = asked_.context;
    const auto& given = context ? context->session_id : std::nullopt;
    goes_on_ = !asked_.query.has_value();
    if (goes_on_ && !given)
      return c_->refuse({errc::wrong_type,
                         "`query` is missing; without one, `context` has the `session_id` of what "
                         "goes on",
                         "/query"});
    if (asked_.query && asked_.query->find_first_not_of(" \t\r\n") == std::string::npos)
      return c_->refuse({errc::invalid_value, "a query is not empty", "/query"});
    id_ = given ? *given : c_->new_id();
    auto session = c_->doors.resolve(c_->who, entity_kind::session, id_);
    if (!session)
      return c_->refuse(session.error());
    session_ = *std::move(session);
    auto made = c_->envelope();
    if (!made)
      return c_->refuse(made.error());
    envelope_ = *std::move(made);
    if (!envelope_.once)
      return check();
    under_way_ = c_->doors.agents().begin(session_.ref(), envelope_.once->key);
    if (!under_way_)
      return c_->refuse(
          {errc::in_flight, "the request with this idempotency key is still running"});
    look_back();
  }

private:
  [[nodiscard]] const agent_options& options() const { return c_->doors.agents().options(); }

  /// Was this very request answered before? The key of the answer knows: a revision that there
  /// cannot be lets nothing new happen under it.
  void look_back() {
    auto probe = answer_command({pop_items{.count = 0}});
    probe.expected_revision = 0;
    session_.execute(std::move(probe), [me = shared_from_this()](expected<command_result> done) {
      if (done)
        return me->finish(*done);
      const auto code = done.error().code;
      if (code == errc::revision_conflict || code == errc::not_found)
        return me->check();
      me->refuse(std::move(done.error()));
    });
  }

  /// What refuses a turn beforehand.
  void check() {
    session_.read(true, [me = shared_from_this()](expected<runtime::snapshot> before) {
      if (before)
        return me->check(**before);
      if (before.error().code != errc::not_found || me->goes_on_)
        return me->refuse(std::move(before.error()));
      me->limited_ = true;
      me->say();
    });
  }

  void check(const entity_state& before) {
    limited_ = is_agents(before);
    if (const auto used = usage_of(before); used.over_budget())
      return refuse({.code = errc::over_budget,
                     .message = "the session has used " + std::to_string(used.total.total())
                                + " tokens: raise its token_budget, or reset its usage",
                     .limit = used.budget});
    if (const auto newest = loop_of(before); newest.looping && goes_on_)
      return refuse({.code = errc::looping,
                     .message = "`" + newest.tool + "` was called " + std::to_string(newest.count)
                                + " times with the same arguments: say something, or reset the "
                                  "loop history",
                     .limit = newest.limit});
    if (auto ok = goes_on_ ? awaits_answer(before) : expected<void>{}; !ok)
      return refuse(std::move(ok.error()));
    say();
  }

  static expected<void> awaits_answer(const entity_state& session) {
    const auto newest = session.items.empty() ? expected<chat_message>{chat_message{}}
                                              : item_as<chat_message>(session.items.back());
    if (newest && (newest->role == "user" || newest->role == "tool"))
      return {};
    if (newest && newest->tool_calls)
      return fail(errc::invalid_value,
                  "the newest message calls tools: append their results first (POST "
                  "/v1/sessions/{id}/items), then go on",
                  "/query");
    return fail(errc::invalid_value,
                "without a query the newest message is one of a user or a tool", "/query");
  }

  void say() {
    command what = envelope_;
    const auto& context = asked_.context;
    if (!goes_on_)
      what.operations.push_back(
          create{.info = {.user = c_->who.by.user,
                          .ttl_ms = static_cast<std::uint64_t>(options().max_age.count()),
                          .tags = {std::string{agent_tag}}}});
    if (context)
      what.operations.push_back(
          update_notebook{.id = context->notebook_id,
                          .cell_count = context->cell_count,
                          .variables = context->variables.value_or(any_object{}).members});
    if (!goes_on_)
      what.operations.push_back(
          append_items{{to_value(chat_message{.role = "user", .content = value{*asked_.query}})}});
    else if (!context)
      what.operations.push_back(update_notebook{});
    add_limit(what);
    const auto members = members_of(what);
    session_.execute(std::move(what),
                     [me = shared_from_this(), members](expected<command_result> done) {
                       if (!done)
                         return me->refuse(in_request(std::move(done.error()), members));
                       me->ask(*done);
                     });
  }

  /// Which members of the request the operations stand for; empty: none.
  static std::vector<std::string> members_of(const command& what) {
    std::vector<std::string> out;
    for (const auto& op : what.operations)
      out.emplace_back(std::holds_alternative<append_items>(op)      ? "/query"
                       : std::holds_alternative<update_notebook>(op) ? "/context"
                                                                     : "");
    return out;
  }

  /// The path in what the client sent, which knows nothing of operations. Of one alone it stands in
  /// that operation.
  static error in_request(error why, const std::vector<std::string>& members) {
    constexpr std::string_view prefix = "/operations/";
    if (why.path.empty())
      return why;
    std::size_t index = 0;
    std::string rest = why.path;
    if (rest.starts_with(prefix)) {
      const auto end = std::min(rest.find('/', prefix.size()), rest.size());
      std::from_chars(rest.data() + prefix.size(), rest.data() + end, index);
      rest.erase(0, end);
    }
    const auto member = index < members.size() ? members[index] : std::string{};
    if (rest == "/id")
      rest = "/notebook_id";
    why.path = member == "/context" ? member + rest : member;
    return why;
  }

  /// Of a repeat the state is the newest: what came behind the message is not what it is asked in.
  void ask(const command_result& said) {
    const auto& now = *said.state;
    auto seen = said.state;
    if (said.first_seq != 0) {
      const auto index = now.items.first_after(said.first_seq - 1);
      if (index == now.items.size() || now.items[index].seq != said.first_seq)
        return refuse({errc::revision_gone, "the message is not kept any more"});
      if (index + 1 < now.items.size()) {
        auto then = std::make_shared<entity_state>(now);
        then->items = now.items.take(index + 1);
        seen = std::move(then);
      }
    }
    if (wants_stream(c_->request))
      begin_stream();
    responders::prompt what{
        .session = seen, .first = first_shown(*seen, options()), .now = c_->doors.now()};
    if (told_)
      what.on_text = [told = told_](std::string_view piece) { told->text(piece); };
    options().answers.ask(std::move(what),
                          [me = shared_from_this()](expected<responders::reply> answer) {
                            if (!answer)
                              return me->refuse(std::move(answer.error()));
                            me->keep(*std::move(answer));
                          });
  }

  void begin_stream() {
    auto wake = c_->waker();
    told_ = std::make_shared<told_answer>(wake);
    http::response head{.headers = {{"Cache-Control", "no-store"}}};
    head.content_type = "text/event-stream";
    c_->stream(std::move(head), std::make_unique<told_body>(
                                    told_, c_->doors.streams()->add(c_->who, std::move(wake))));
  }

  void keep(responders::reply answer) {
    chat_message said{.role = "assistant", .content = value{answer.text}};
    std::vector<operation> what;
    if (!answer.tool_calls.empty()) {
      for (const auto& call : answer.tool_calls)
        what.push_back(record_call{call.function.name, arguments_of(call)});
      if (answer.text.empty())
        said.content = value{};
      said.tool_calls = std::move(answer.tool_calls);
    }
    what.insert(what.begin(), append_items{{to_value(said)}});
    what.push_back(record_usage{answer.used.prompt_tokens, answer.used.completion_tokens});
    auto request = answer_command(std::move(what));
    add_limit(request);
    session_.execute(std::move(request), [me = shared_from_this()](expected<command_result> done) {
      if (!done)
        return me->refuse(std::move(done.error()));
      me->finish(*done);
    });
  }

  [[nodiscard]] command answer_command(std::vector<operation> what) const {
    command out = envelope_;
    out.operations = std::move(what);
    if (out.once)
      out.once->key += "\nanswer";  // no header holds a line end
    return out;
  }

  /// Twice as many are kept as are shown, so that each message is written anew once at most.
  void add_limit(command& what) const {
    const auto limit = options().history_limit;
    if (limited_ && limit != 0)
      what.operations.push_back(drop_oldest_items{.keep = limit, .beyond = 2 * limit});
  }

  void finish(const command_result& kept) {
    const auto& state = *kept.state;
    const auto index = state.items.first_after(kept.first_seq - 1);
    if (!state.live())
      return refuse({errc::revision_gone, "the session was deleted"});
    if (index == state.items.size() || state.items[index].seq != kept.first_seq)
      return refuse({errc::revision_gone, "the answer is not kept any more"});
    const auto said = item_as<chat_message>(state.items[index]).value_or(chat_message{});
    quick_answer out{
        .query = asked_.query.value_or(""),
        .route = std::string{options().answers.name()},
        .messages = parts_of(said),
        .usage = tokens_of(kept.usage.value_or(usage_report{}).last),
        .session_id = id_,
        .response = said.text(),
        .turn_count = state.items.size() - first_shown(state, options()),
    };
    under_way_.reset();
    if (!told_ && wants_stream(c_->request)) {  // a repeat: what was said is told at once
      begin_stream();
      if (!out.response.empty())
        told_->text(out.response);
    }
    if (told_)
      told_->end("done", to_json(to_value(out)));
    else
      c_->send(to_answer(out));
  }

  void refuse(error why) {
    under_way_.reset();
    if (why.code == errc::not_found)
      why.message = "Session not found";
    if (why.code == errc::responder_failed || why.code == errc::responder_timeout)
      log_failure(why);
    if (!told_)
      return c_->refuse(why);
    auto problem = to_response(why);
    tell_id(problem, c_->request_id);
    told_->end("error", problem.body);
  }

  /// Behind the first ':' of a message stand words of the endpoint, which may be content.
  void log_failure(const error& why) {
    const auto left_out = c_->doors.agents().failures().pass(c_->doors.now());
    if (!left_out)
      return;
    spdlog::warn(
        "{}{}: the responder failed, answered {} {}: {}{}", request_line, c_->request_id,
        http_status(why.code), to_string(why.code),
        std::string_view{why.message}.substr(0, why.message.find(':')),
        *left_out == 0 ? std::string{} : " (and " + std::to_string(*left_out) + " before it)");
  }

  call_ptr c_;
  quick_request asked_;
  std::string id_;
  entity_access session_;
  command envelope_;      // key and durability, as the client asked for them
  bool goes_on_ = false;  // nothing is said: the newest message is to be answered
  bool limited_ = false;  // the limits of this API hold
  std::shared_ptr<void> under_way_;
  std::shared_ptr<told_answer> told_;  // null: answered at once
};

/// Whether one letter more or less, or two neighbours in each other's place, is all. Another letter
/// is another word: `content` is not `context`.
bool nearly(std::string_view a, std::string_view b) {
  if (a.size() > b.size())
    std::swap(a, b);
  if (b.size() - a.size() > 1 || a == b)
    return false;
  const auto same =
      static_cast<std::size_t>(std::ranges::mismatch(a, b).in1 - a.begin());  // in front
  a.remove_prefix(same);
  b.remove_prefix(same);
  if (a.size() < b.size())
    return a == b.substr(1);
  return a.size() > 1 && a[0] == b[1] && a[1] == b[0] && a.substr(2) == b.substr(2);
}

/// Members of other clients are ignored; a mistyped one of this API is none of theirs.
expected<void> check_names(const value& others, std::initializer_list<std::string_view> known,
                           std::string_view where) {
  for (auto at = others.view().children(); at.next();)
    for (const auto name : known)
      if (nearly(at.key(), name))
        return fail(errc::unknown_field,
                    "there is no such member: is it `" + std::string{name} + "`?",
                    std::string{where} + std::string{at.key()});
  if (where == "/" && others.view().find("session_id"))
    return fail(errc::unknown_field, R"(it stands in the context: {"context":{"session_id":...}})",
                "/session_id");
  return {};
}

}  // namespace

void post_quick(const call_ptr& c) {
  const auto body = c->body();
  if (!body)
    return c->refuse(body.error());
  auto asked = from_value<quick_request>(*body);
  if (!asked)
    return c->refuse(asked.error());
  auto named = check_names(asked->others, {"query", "context"}, "/");
  if (named && asked->context)
    named = check_names(asked->context->others,
                        {"notebook_id", "session_id", "variables", "cell_count"}, "/context/");
  if (!named)
    return c->refuse(named.error());
  std::make_shared<turn>(c, *std::move(asked))->begin();
}

std::string quick_request_schema() {
  return schema_of<quick_request>();
}

std::string quick_answer_schema() {
  return schema_of<quick_answer>();
}

}  // namespace troupe::api
