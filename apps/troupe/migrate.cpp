#include <troupe/persistence/migrate.hpp>

#include "troupe/exit_status.hpp"
#include "troupe/interrupt.hpp"
#include "troupe/store_directory.hpp"
#include "troupe/store_tool.hpp"
#include "troupe/store_tools.hpp"
#include "troupe/text.hpp"

#include <cstdio>

namespace troupe::cli {

int migrate(const migrate_command& options) {
  if (!holds_store(options.data))
    return report(options.data.string() + " holds no store of Troupe", exit_status::damaged_store);
  const interrupt_scope interrupts;
  tool_progress progress{"reading"};
  const auto done = migrate_store(options.data, fold_entities(),
                                  {.dry_run = options.dry_run, .progress = progress.function()});
  if (!done)
    return progress.failed(done.error());
  progress.done();
  std::printf("the store has format %llu, this build writes %llu\n",
              static_cast<unsigned long long>(done->format),
              static_cast<unsigned long long>(done->target));
  for (const auto& step : done->steps)
    std::printf("  %s\n", step.c_str());
  if (done->steps.empty())
    std::printf("nothing to migrate: %s read, all known\n",
                plural(done->entries, "record").c_str());
  else
    std::printf("%s of %s %s\n", group_digits(done->changed).c_str(),
                plural(done->entries, "record").c_str(),
                options.dry_run ? "would change; nothing was written" : "changed");
  return exit_status::ok;
}

}  // namespace troupe::cli
