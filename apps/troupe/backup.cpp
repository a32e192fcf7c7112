#include <troupe/messages/messages.hpp>

#include "troupe/exit_status.hpp"
#include "troupe/interrupt.hpp"
#include "troupe/store_tool.hpp"
#include "troupe/store_tools.hpp"

namespace troupe::cli {

int backup(const backup_command& options) {
  const interrupt_scope interrupts;
  auto store = open_existing(options.data);
  if (!store)
    return report_opening(store.error());
  tool_progress progress{"copying"};
  const auto made = store->backup(options.to, {.compacting = options.compacting,
                                               .bytes_per_second = options.bytes_per_second,
                                               .progress = progress.function()});
  if (!made)
    return progress.failed(made.error());
  progress.done();
  print_content("backed up", made->content, made->bytes, options.to);
  return exit_status::ok;
}

}  // namespace troupe::cli
