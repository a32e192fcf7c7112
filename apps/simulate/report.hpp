#pragma once

#include <troupe/state/expected.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace troupe::simulate {

/// One HTML file that needs no other: plots and figures of runs side by side, in light and dark.
/// REQUIRES: each is what `render_json` wrote.
[[nodiscard]] std::string render_report(const std::vector<std::string>& json_results);

/// Whether a text is such a result. Errors: `malformed`, in words.
[[nodiscard]] expected<void> check_result_json(std::string_view text);

/// The parts of the page, put into the program by the build.
extern const std::string_view report_page, report_script, report_style, chart_script, chart_style;

}  // namespace troupe::simulate
