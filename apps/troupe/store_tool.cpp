#include "troupe/store_tool.hpp"

#include <troupe/messages/messages.hpp>
#include <troupe/state/codec.hpp>

#include "troupe/exit_status.hpp"
#include "troupe/interrupt.hpp"
#include "troupe/store_directory.hpp"
#include "troupe/text.hpp"

#include <cstdio>

namespace troupe::cli {

int report(const std::string& what, int status) {
  std::fprintf(stderr, "error: %s\n", escape_controls(what).c_str());
  return status;
}

int report(const error& why) {
  return report(why.message, exit_status::of_request(why.code));
}

int report_opening(const error& why) {
  return report(why.message, exit_status::of_open(why.code));
}

std::string count_of_entities(std::uint64_t n) {
  return n == 1 ? "1 entity" : group_digits(n) + " entities";
}

void print_content(const char* what, const store_summary& content, std::uint64_t bytes,
                   const std::filesystem::path& where) {
  std::printf("%s %s and %s, up to change %s: %s in %s\n", what,
              count_of_entities(content.entities).c_str(),
              plural(content.records, "journal record").c_str(),
              group_digits(content.position).c_str(), human_bytes(bytes).c_str(),
              escape_controls(where.string()).c_str());
}

expected<journal_store> open_existing(const std::filesystem::path& data,
                                      const journal_options& options) {
  if (!holds_store(data))
    return fail(errc::damaged, data.string() + " holds no store of Troupe");
  return journal_store::open(data, options, fold_entities());
}

progress_function tool_progress::function() {
  return [this](std::uint64_t done, std::uint64_t total) {
    if (!display_)
      display_.emplace(label_, total);
    display_->update(done);
    return !interrupt_scope::requested();
  };
}

int tool_progress::failed(const error& why) {
  done();
  if (interrupt_scope::requested())
    return report("interrupted; nothing has changed", exit_status::interrupted);
  if (why.code == errc::already_exists)
    return report(why.message, exit_status::usage);
  return report_opening(why);
}

}  // namespace troupe::cli
