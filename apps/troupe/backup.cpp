#include <troupe/messages/messages.hpp>
#include <troupe/persistence/maintenance.hpp>

#include "troupe/exit_status.hpp"
#include "troupe/interrupt.hpp"
#include "troupe/store_tool.hpp"
#include "troupe/store_tools.hpp"

namespace troupe::cli {

int backup(const backup_command& options) {
  const interrupt_scope interrupts;
  auto store = open_existing(options.data);
  if (!store && store.error().code != errc::busy)
    return report_opening(store.error());
  tool_progress progress{"copying"};
  const backup_options how{.compacting = options.compacting,
                           .bytes_per_second = options.bytes_per_second,
                           .progress = progress.function()};
  // A node that has the store open goes on meanwhile.
  const auto made = store ? store->backup(options.to, how)
                          : backup_running(options.data, options.to, fold_entities(), how);
  if (!made)
    return progress.failed(made.error());
  progress.done();
  print_content("backed up", made->content, made->bytes, options.to);
  return exit_status::ok;
}

}  // namespace troupe::cli
