#pragma once

#include <troupe/persistence/maintenance.hpp>

#include "troupe/progress.hpp"

#include <filesystem>
#include <optional>
#include <string>

namespace troupe::cli {

/// "error: ..." on stderr; answers the status.
int report(const std::string& what, int status);
int report(const error& why);          ///< of a request to an open store
int report_opening(const error& why);  ///< of a store that does not open

/// "1 entity", "2,000 entities"
std::string count_of_entities(std::uint64_t n);

/// "backed up 3 entities and 40 journal records, up to change 40: 1.2 MB in DIR" on stdout.
void print_content(const char* what, const store_summary& content, std::uint64_t bytes,
                   const std::filesystem::path& where);

/// A store that is there; none is made. Errors: as `journal_store::open`.
expected<journal_store> open_existing(const std::filesystem::path& data,
                                      const journal_options& options = {});

/// How far a tool is, on stderr; its function gives up on Ctrl-C. One thread.
class tool_progress {
public:
  explicit tool_progress(std::string label) : label_{std::move(label)} {}

  [[nodiscard]] progress_function function();

  /// Ends the line. The status of work that failed: `interrupted` if it was given up, `usage` if
  /// what it was to make is there.
  int failed(const error& why);
  void done() { display_.reset(); }

private:
  std::string label_;
  std::optional<progress_display> display_;
};

}  // namespace troupe::cli
