#include <troupe/state/session.hpp>

#include "responders/responder_actor.hpp"

#include <algorithm>
#include <string>

namespace troupe::responders {

namespace {

std::string count_of(std::size_t n, const char* what) {
  return std::to_string(n) + ' ' + what + (n == 1 ? "" : "s");
}

/// What the newest item says, on one line of at most so many bytes of whole characters.
std::string quoted(const entity_state& session) {
  constexpr std::size_t longest = 200;
  if (session.items.empty())
    return {};
  const auto message = item_as<chat_message>(session.items.back());
  auto text = message ? message->text() : std::string{};
  std::ranges::replace_if(
      text, [](char c) { return c >= 0 && c < ' '; }, ' ');
  if (text.size() > longest) {
    auto end = longest;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80)
      --end;
    text = text.substr(0, end) + "...";
  }
  return text;
}

/// Words as a model's tokens: enough for counters to move as they would with one.
std::uint64_t words_in(std::string_view text) {
  std::uint64_t out = 0;
  bool inside = false;
  for (const char c : text) {
    const bool space = c == ' ' || c == '\n' || c == '\t';
    out += !space && !inside ? 1u : 0u;
    inside = !space;
  }
  return out;
}

reply answer_to(const prompt& what) {
  const auto& session = *what.session;
  const auto held = notebook_of(session);
  const auto todos = todos_of(session);
  const auto open = std::ranges::count_if(todos, [](const todo& one) {
    return one.status == todo_status::pending || one.status == todo_status::in_progress;
  });
  reply out{.text = "This is the built-in responder, which is no language model. You said: \""
                    + quoted(session) + "\". This session has "
                    + count_of(session.items.size() - what.first, "message")};
  std::string names;
  for (auto at = held.variables.view().children(); at.next();)
    names += (names.empty() ? "" : ", ") + std::string{at.key()};
  out.text += ", " + count_of(held.variables.view().size(), "variable")
              + (names.empty() ? "" : " (" + names + ")") + " and "
              + count_of(static_cast<std::size_t>(open), "open todo") + '.';
  for (auto i = what.first; i < session.items.size(); ++i) {
    if (const auto said = item_as<chat_message>(session.items[i]))
      out.used.prompt_tokens += words_in(said->text());
  }
  out.used.completion_tokens = words_in(out.text);
  return out;
}

class builtin_behavior {
public:
  static inline const char* name = "troupe.builtin_responder";

  explicit builtin_behavior(responder_actor::pointer) {}

  responder_actor::behavior_type make_behavior() {
    return {[](const prompt& what) -> caf::result<reply> {
      auto out = answer_to(what);
      if (what.on_text)
        what.on_text(out.text);
      return out;
    }};
  }
};

}  // namespace

responder spawn_builtin(const runtime& of) {
  return handle_of(
      system_of(of).spawn<caf::stateful_actor<builtin_behavior, responder_actor::base>>(),
      "builtin");
}

}  // namespace troupe::responders
