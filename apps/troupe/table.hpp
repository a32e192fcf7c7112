#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace troupe::cli {

enum class align : std::uint8_t { left, right };

/// Rows of text in columns as wide as their widest cell, two spaces apart. Cells are printed as
/// they are: the caller has escaped what others wrote.
class table {
public:
  /// A column for each alignment.
  explicit table(std::vector<align> columns) : columns_{std::move(columns)} {}

  /// REQUIRES: a cell for each column.
  void add(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }

  /// Every row ends with a newline and none with spaces.
  [[nodiscard]] std::string render(const std::string& indent = {}) const;

private:
  std::vector<align> columns_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace troupe::cli
