#include "simulate/learn.hpp"

#include "troupe/conversations.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>
#include <vector>

namespace troupe::simulate {

namespace {

constexpr std::size_t quantile_count = 11;

struct heard {
  std::vector<double> user, assistant, tool;  ///< bytes
  std::map<std::string, double> tools;
  std::size_t conversations = 0;
};

/// Of the text, or of the calls where an assistant says nothing.
double bytes_of(value_view message) {
  const auto content = message.find("content");
  if (content && content->as_string() && !content->as_string()->empty())
    return static_cast<double>(content->as_string()->size());
  const auto calls = message.find("tool_calls");
  const auto other = content && !content->is_null() ? content : calls;
  return other ? static_cast<double>(other->bytes().size()) : 1.0;
}

void note_calls(value_view message, std::map<std::string, double>& tools) {
  const auto calls = message.find("tool_calls");
  if (!calls)
    return;
  for (auto one = calls->children(); one.next();)
    if (const auto function = one.item().find("function"))
      if (const auto name = function->find("name"); name && name->as_string())
        ++tools[std::string{*name->as_string()}];
}

void note(const cli::conversation& told, heard& to) {
  ++to.conversations;
  for (const auto& message : told.messages) {
    const auto role = message.view().find("role");
    const auto who = role ? role->as_string().value_or("") : "";
    if (who == "user")
      to.user.push_back(bytes_of(message));
    else if (who == "tool" || who == "function")
      to.tool.push_back(bytes_of(message));
    else if (who == "assistant")
      to.assistant.push_back(bytes_of(message));
    note_calls(message, to.tools);
  }
}

quantiles quantiles_of(std::vector<double> all, const quantiles& otherwise) {
  if (all.empty())
    return otherwise;
  std::ranges::sort(all);
  std::vector<double> out;
  for (std::size_t i = 0; i < quantile_count; ++i) {
    const auto at = static_cast<double>(i * (all.size() - 1)) / (quantile_count - 1);
    out.push_back(std::min(all[static_cast<std::size_t>(std::lround(at))], 200'000.0));
  }
  return quantiles{std::move(out)};
}

double rounded(double x) {
  return std::round(x * 100) / 100;
}

}  // namespace

expected<workload> learn(std::string_view json_lines, std::string name) {
  const auto file = cli::read_conversations(json_lines, "");
  if (!file.faults.empty())
    return fail(file.faults.front().why.code, cli::describe(file.faults.front(), "line"));
  heard all;
  for (const auto& told : file.conversations)
    note(told, all);
  if (all.user.empty())
    return fail(errc::not_found, "nobody says anything in it: no message has the role 'user'");
  auto out = built_in_profile("chat").value();
  const auto turns = static_cast<double>(all.user.size());
  out.name = std::move(name);
  out.about = "learned from " + std::to_string(all.conversations) + " conversations with "
              + std::to_string(all.user.size() + all.assistant.size() + all.tool.size())
              + " messages";
  out.turns = rounded(turns / static_cast<double>(all.conversations));
  out.tool_calls = rounded(static_cast<double>(all.tool.size()) / turns);
  out.user_bytes = quantiles_of(std::move(all.user), out.user_bytes);
  out.assistant_bytes = quantiles_of(std::move(all.assistant), out.assistant_bytes);
  out.tool_bytes = quantiles_of(std::move(all.tool), out.tool_bytes);
  if (!all.tools.empty()) {
    out.tools.clear();
    for (const auto& [tool, count] : all.tools)
      out.tools.push_back({tool, count});
    std::ranges::stable_sort(out.tools, std::greater{}, &tool_share::share);
    if (out.tools.size() > 255)
      out.tools.resize(255);
  }
  return out;
}

}  // namespace troupe::simulate
