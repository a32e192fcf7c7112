#include <troupe/messages/messages.hpp>

#include "troupe/exit_status.hpp"
#include "troupe/interrupt.hpp"
#include "troupe/store_tool.hpp"
#include "troupe/store_tools.hpp"

namespace troupe::cli {

int restore(const restore_command& options) {
  const interrupt_scope interrupts;
  tool_progress progress{"copying"};
  const auto made =
      restore_backup(options.from, options.data, fold_entities(), progress.function());
  if (!made)
    return progress.failed(made.error());
  progress.done();
  print_content("restored", made->content, made->bytes, options.data);
  return exit_status::ok;
}

}  // namespace troupe::cli
