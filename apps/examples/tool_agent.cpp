// An agent that calls tools over several turns. It stops when the model repeats itself and when the
// session's token budget is used up; run again, it goes on with what the last run left.
//
//   example_tool_agent DIRECTORY

#include <troupe/runtime/current_session.hpp>

#include <algorithm>
#include <iostream>
#include <string>
#include <vector>

namespace {

/// What a model answers: a tool to call, or a text that ends the turn.
struct reply {
  std::string tool;
  std::string text;
  std::uint64_t prompt_tokens = 0, completion_tokens = 0;
};

/// Stands in for a model, which would read the history: a question about rain it cannot settle.
reply ask_model(const std::vector<troupe::chat_message>& history) {
  const auto asked = std::find_if(history.rbegin(), history.rend(),
                                  [](const auto& one) { return one.role == "user"; });
  const auto tokens = 40 * static_cast<std::uint64_t>(history.size());
  if (asked->text().find("rain") != std::string::npos)
    return {.tool = "forecast", .text = {}, .prompt_tokens = tokens, .completion_tokens = 9};
  if (asked == history.rbegin())
    return {.tool = "clock", .text = {}, .prompt_tokens = tokens, .completion_tokens = 5};
  return {.tool = {}, .text = "It is noon.", .prompt_tokens = tokens, .completion_tokens = 7};
}

// doc:begin deep-code
/// Deep in the code: nobody hands it a session, it writes to the one this thread works for.
void count_tokens(const reply& answer) {
  const auto used =
      troupe::current_session().usage().add(answer.prompt_tokens, answer.completion_tokens).value();
  if (used.over_budget())
    std::cout << "budget: " << used.total.total() << " tokens of " << *used.budget << '\n';
}

/// True when the call is the third of its kind in a row.
bool repeats_itself(const std::string& tool) {
  const auto arguments = troupe::value::map({{"city", "Ulm"}});
  return troupe::current_session().calls().record(tool, arguments).value().looping;
}
// doc:end deep-code

void say(const char* role, const std::string& text) {
  std::cout << role << ": " << text << '\n';
  troupe::current_session()
      .append(troupe::chat_message{.role = role, .content = text})

      .value();
}

// doc:begin agent-turn
/// One turn of the conversation. `.value()` throws what `.get()` would answer as an error.
void run_turn(const troupe::session& chat, const std::string& question) {
  const troupe::session_scope scope{chat};
  if (chat.usage().report().value().over_budget()) {
    std::cout << "refused: the budget is used up\n";
    return;
  }
  say("user", question);
  while (true) {
    const auto answer = ask_model(chat.items_as<troupe::chat_message>(20).value());
    count_tokens(answer);
    if (answer.tool.empty())
      return say("assistant", answer.text);
    if (repeats_itself(answer.tool))
      return say("assistant", "I give up: " + answer.tool + " tells me nothing new.");
    say("tool", answer.tool == "clock" ? "12:00" : "unclear");
  }
}
// doc:end agent-turn

}  // namespace

int main(int argc, char** argv) {
  auto opened = troupe::runtime::open({.data = argc > 1 ? argv[1] : "tool-agent-data"});
  if (!opened) {
    std::cerr << opened.error().message << '\n';
    return 1;
  }
  try {
    const auto chat = (*opened)->session("weather");
    chat.create({.limits = {.loop_limit = 3, .token_budget = 700}}).value();
    for (const auto* question : {"What time is it?", "Will it rain?", "And now?"})
      run_turn(chat, question);
    std::cout << chat.items().value().size() << " items\n";
  } catch (const tl::bad_expected_access<troupe::error>& why) {
    std::cerr << why.error().message << '\n';
    return 1;
  }
}
