#include "troupe/table.hpp"

#include "troupe/text.hpp"

#include <algorithm>

namespace troupe::cli {

std::string table::render(const std::string& indent) const {
  std::vector<std::size_t> widths(columns_.size());
  for (const auto& row : rows_) {
    for (std::size_t i = 0; i < columns_.size(); ++i)
      widths[i] = std::max(widths[i], length(row[i]));
  }
  std::string out;
  for (const auto& row : rows_) {
    auto line = indent;
    for (std::size_t i = 0; i < columns_.size(); ++i) {
      const std::string padding(widths[i] - length(row[i]), ' ');
      line += i == 0 ? "" : "  ";
      line += columns_[i] == align::right ? padding + row[i] : row[i] + padding;
    }
    line.resize(line.find_last_not_of(' ') + 1);
    out += line + '\n';
  }
  return out;
}

}  // namespace troupe::cli
