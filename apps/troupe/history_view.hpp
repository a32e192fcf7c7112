#pragma once

#include <troupe/state/session.hpp>

#include <cstddef>
#include <string>

namespace troupe::cli {

struct history_style {
  std::size_t columns = 80;
  bool colours = false;
  std::size_t max_lines = 40;  ///< then: one line that says how many items are left
  std::string indent{};
  std::string whole{};  ///< how to see all of it: a last line, where a text was shortened
};

/// A history in the OpenAI chat format for reading: a line for each message, shortened to fit; the
/// calls of a message and the results that follow are folded into one line. Items of another shape
/// are shown as JSON. Nothing in it acts on the terminal.
[[nodiscard]] std::string render_history(const entity_state& session, const history_style& style);

}  // namespace troupe::cli
