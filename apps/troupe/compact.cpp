#include <troupe/messages/messages.hpp>

#include "troupe/exit_status.hpp"
#include "troupe/interrupt.hpp"
#include "troupe/store_tool.hpp"
#include "troupe/store_tools.hpp"
#include "troupe/text.hpp"

#include <cstdio>

namespace troupe::cli {

int compact(const compact_command& options) {
  const interrupt_scope interrupts;
  journal_options journal;
  journal.covered_bytes = options.journal_kept_bytes;
  std::error_code ec;  // before the store is opened: what folds its changes makes it larger
  const auto before = std::filesystem::file_size(options.data / "data.mdb", ec);
  auto store = open_existing(options.data, journal);
  if (!store)
    return report_opening(store.error());
  tool_progress progress{"copying"};
  const auto made = std::move(*store).shrink(progress.function());
  if (!made)
    return progress.failed(made.error());
  progress.done();
  std::printf("compacted %s and %s: %s before, %s after (%s, %s bytes)\n",
              count_of_entities(made->content.entities).c_str(),
              plural(made->content.records, "journal record").c_str(), human_bytes(before).c_str(),
              human_bytes(made->bytes_after).c_str(), group_digits(before).c_str(),
              group_digits(made->bytes_after).c_str());
  return exit_status::ok;
}

}  // namespace troupe::cli
