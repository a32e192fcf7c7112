#include "troupe/verify.hpp"

#include <troupe/persistence/verify.hpp>

#include "http/problem.hpp"
#include "troupe/exit_status.hpp"
#include "troupe/text.hpp"

#include <cstdio>
#include <string>

namespace troupe::cli {

namespace {

std::string json_list(const std::vector<std::string>& texts) {
  std::string out = "[";
  for (const auto& text : texts) {
    if (out.size() > 1)
      out += ',';
    http::append_json_string(out, text);
  }
  return escape_json_controls(out + ']');
}

void print_json(const verify_report& what) {
  const auto number = [](std::uint64_t n) { return std::to_string(n); };
  const auto text =
      "{\"sound\":" + std::string{what.sound() ? "true" : "false"}
      + ",\"clean_stop\":" + (what.clean ? "true" : "false")
      + ",\"changes\":" + number(what.position) + ",\"records\":" + number(what.records)
      + ",\"snapshots\":" + number(what.snapshots) + ",\"namespaces\":" + number(what.name_spaces)
      + ",\"pages\":" + number(what.pages) + ",\"free_pages\":" + number(what.free_pages)
      + ",\"fault_count\":" + number(what.fault_count) + ",\"faults\":" + json_list(what.faults)
      + ",\"warnings\":" + json_list(what.warnings) + "}";
  std::puts(text.c_str());
}

void print_text(const verify_report& what) {
  for (const auto& fault : what.faults)
    std::printf("damaged: %s\n", escape_controls(fault).c_str());
  if (what.fault_count > what.faults.size())
    std::printf("and %s more\n", plural(what.fault_count - what.faults.size(), "fault").c_str());
  for (const auto& warning : what.warnings)
    std::printf("warning: %s\n", escape_controls(warning).c_str());
  if (!what.clean)
    std::puts("note: its last owner did not close it");
  std::printf("%s: %s, %s, %s, %s of which %s free\n",
              what.sound() ? "sound" : plural(what.fault_count, "fault").c_str(),
              plural(what.position, "change").c_str(), plural(what.records, "record").c_str(),
              plural(what.snapshots, "snapshot").c_str(), plural(what.pages, "page").c_str(),
              group_digits(what.free_pages).c_str());
}

}  // namespace

int verify(const verify_options& options) {
  const auto report = verify_in_child(options.data, {.allow_remote_fs = options.allow_remote_fs});
  if (!report) {
    std::fprintf(stderr, "error: %s\n", escape_controls(report.error().message).c_str());
    return exit_status::of_open(report.error().code);
  }
  options.json ? print_json(*report) : print_text(*report);
  return report->sound() ? exit_status::ok : exit_status::damaged_store;
}

}  // namespace troupe::cli
