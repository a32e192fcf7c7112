#include "troupe/history_view.hpp"

#include <troupe/state/json.hpp>

#include "troupe/text.hpp"

#include <algorithm>
#include <utility>
#include <vector>

namespace troupe::cli {

namespace {

constexpr std::size_t role_width = 9;  // "assistant"

std::string_view text_of(value_view map, std::string_view name) {
  const auto found = map.find(name);
  return found ? found->as_string().value_or("") : "";
}

/// The text of a message: a string, or the texts of an array of parts.
std::string content_of(value_view message) {
  const auto content = message.find("content");
  if (!content || content->is_null())
    return {};
  if (const auto text = content->as_string())
    return std::string{*text};
  std::string out;
  for (auto part = content->children(); part.next();) {
    if (const auto text = text_of(part.item(), "text"); !text.empty())
      out += (out.empty() ? "" : " ") + std::string{text};
  }
  return out.empty() ? to_json(*content) : out;
}

const char* colour_of(std::string_view role) {
  if (role == "user")
    return "\x1b[1;36m";
  if (role == "assistant")
    return "\x1b[1;32m";
  return "\x1b[2m";
}

/// The calls of one message, and what the results behind it amount to.
struct folded_calls {
  std::vector<std::pair<std::string, std::size_t>> names;  // in the order of their first call
  std::size_t results = 0;
  std::uint64_t bytes = 0;

  void add(std::string name) {
    const auto same =
        std::find_if(names.begin(), names.end(), [&](const auto& n) { return n.first == name; });
    if (same == names.end())
      names.emplace_back(std::move(name), 1);
    else
      ++same->second;
  }

  [[nodiscard]] std::string text() const {
    std::string out;
    for (const auto& [name, count] : names)
      out += (out.empty() ? "" : ", ") + name + (count > 1 ? " x" + std::to_string(count) : "");
    return out + ": " + plural(results, "result") + ", " + human_bytes(bytes);
  }
};

class history_renderer {
public:
  history_renderer(const entity_state& session, const history_style& style)
      : session_{session},
        style_{style} {}

  std::string run() {
    const auto count = session_.items.size();
    for (std::size_t i = 0; i < count;) {
      if (lines_ >= style_.max_lines) {
        line("", "... and " + plural(count - i, "more item"), true);
        break;
      }
      i = message(i);
    }
    if (shortened_ && !style_.whole.empty())
      line("", style_.whole, true);
    return std::move(out_);
  }

private:
  /// Renders item `at` with what is folded into it; answers the index behind.
  std::size_t message(std::size_t at) {
    const value_view fields = session_.items[at++].fields;
    const auto role = text_of(fields, "role");
    if (role.empty()) {
      line("item", to_json(fields), false);
      return at;
    }
    const auto calls = fields.find("tool_calls");
    const bool has_calls = calls && calls->size() > 0;
    if (const auto content = content_of(fields); !content.empty() || !has_calls)
      line(role, content, role == "tool" || role == "system");
    if (!has_calls)
      return at;
    folded_calls folded;
    for (auto call = calls->children(); call.next();) {
      const auto function = call.item().find("function");
      folded.add(std::string{function ? text_of(*function, "name") : "?"});
    }
    for (; at < session_.items.size() && text_of(session_.items[at].fields, "role") == "tool";
         ++at) {
      ++folded.results;
      folded.bytes += content_of(session_.items[at].fields).size();
    }
    line(content_of(fields).empty() ? role : "", '[' + folded.text() + ']', true);
    return at;
  }

  void line(std::string_view role, const std::string& text, bool dim) {
    const auto taken = style_.indent.size() + role_width + 2;
    const auto room =
        std::max<std::size_t>(style_.columns > taken ? style_.columns - taken - 1 : 0, 20);
    auto name = one_line(role, role_width);
    name.append(role_width - std::min(length(name), role_width), ' ');
    auto shown = one_line(text, room);
    shortened_ |= length(shown) < length(one_line(text, text.size() * 8));
    if (style_.colours) {
      name = colour_of(role) + name + "\x1b[0m";
      shown = dim ? "\x1b[2m" + shown + "\x1b[0m" : shown;
    }
    out_ += style_.indent + name + "  " + shown + '\n';
    ++lines_;
  }

  const entity_state& session_;
  const history_style& style_;
  std::string out_;
  std::size_t lines_ = 0;
  bool shortened_ = false;
};

}  // namespace

std::string render_history(const entity_state& session, const history_style& style) {
  return history_renderer{session, style}.run();
}

}  // namespace troupe::cli
