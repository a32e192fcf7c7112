#include "simulate/report.hpp"

#include <troupe/state/json.hpp>

namespace troupe::simulate {

namespace {

void replace(std::string& in, std::string_view mark, std::string_view with) {
  const auto at = in.find(mark);
  if (at != std::string::npos)
    in.replace(at, mark.size(), with);
}

/// JSON inside a script element: nothing in it may end the element or begin a comment.
std::string harmless(std::string_view json) {
  std::string out;
  out.reserve(json.size());
  for (const char c : json) {
    if (c == '<')
      out += "\\u003c";
    else
      out += c;
  }
  return out;
}

/// A module's lines without what binds it to others.
std::string without_modules(std::string_view script) {
  std::string out;
  for (std::size_t at = 0; at < script.size();) {
    const auto end = std::min(script.find('\n', at), script.size());
    auto line = script.substr(at, end - at);
    at = end + 1;
    if (line.starts_with("import "))
      continue;
    if (line.starts_with("export "))
      line.remove_prefix(7);
    out.append(line).append("\n");
  }
  return out;
}

/// The chart module as a value: its own names stay its own.
std::string chart_maker() {
  return "const createChart = (() => {\n" + without_modules(chart_script)
         + "return createChart;\n})();\n";
}

}  // namespace

std::string render_report(const std::vector<std::string>& json_results) {
  std::string runs = "[";
  for (const auto& one : json_results)
    runs += (runs.size() > 1 ? "," : "") + harmless(one);
  std::string out{report_page};
  replace(out, "/*style*/", std::string{chart_style} + std::string{report_style});
  replace(out, "/*script*/", chart_maker() + without_modules(report_script));
  replace(out, "/*runs*/", runs + ']');
  return out;
}

expected<void> check_result_json(std::string_view text) {
  const auto read =
      value_from_json(text, {.bytes = 256 << 20, .depth = 64, .elements = 50'000'000});
  if (!read)
    return unexpected{read.error()};
  const auto schema = read->view().find("schema");
  if (!schema || schema->as_string() != "troupe-simulate/1")
    return fail(errc::malformed, "it is no result of `troupe simulate --json`");
  return {};
}

}  // namespace troupe::simulate
