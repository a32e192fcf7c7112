#include "simulate/metrics_text.hpp"

#include <sys/stat.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace troupe::simulate {

namespace {

/// The value of the sample with exactly this name; those with labels are summed.
std::optional<double> find_metric(std::string_view text, std::string_view name) {
  std::optional<double> out;
  for (std::size_t at = 0; at < text.size();) {
    const auto end = std::min(text.find('\n', at), text.size());
    const auto line = text.substr(at, end - at);
    at = end + 1;
    if (!line.starts_with(name) || line.size() <= name.size())
      continue;
    const auto next = line[name.size()];
    if (next != ' ' && next != '{')
      continue;
    const auto close = next == '{' ? line.find('}') : name.size() - 1;
    const auto space = line.find(' ', close);
    if (space != std::string_view::npos)
      out = out.value_or(0) + std::strtod(std::string{line.substr(space + 1)}.c_str(), nullptr);
  }
  return out;
}

}  // namespace

target_state read_metrics(std::string_view text) {
  return {.memory_bytes = {},
          .live = find_metric(text, "troupe_live_entities"),
          .stored = find_metric(text, "troupe_stored_entities"),
          .store_bytes = find_metric(text, "troupe_store_bytes"),
          .commits = find_metric(text, "troupe_commits_total"),
          .changes = find_metric(text, "troupe_changes_total")};
}

std::optional<process_memory> read_memory(int pid) {
  std::ifstream file{"/proc/" + std::to_string(pid) + "/status"};
  std::optional<double> own, shared;
  for (std::string line; std::getline(file, line);) {
    std::istringstream words{line};
    std::string name;
    double kib = 0;
    if (!(words >> name >> kib))
      continue;
    if (name == "RssAnon:")
      own = kib * 1024;
    else if (name == "RssShmem:")
      shared = kib * 1024;
  }
  if (!own || !shared)
    return {};
  return process_memory{*own, *shared};
}

std::optional<double> bytes_of_process(int pid) {
  const auto memory = read_memory(pid);
  return memory ? std::optional{memory->own + memory->shared} : std::nullopt;
}

double bytes_below(const std::string& directory) {
  double out = 0;
  std::error_code ec;
  for (std::filesystem::recursive_directory_iterator at{directory, ec}, end; !ec && at != end;
       at.increment(ec)) {
    struct stat found {};
    if (::lstat(at->path().c_str(), &found) == 0 && S_ISREG(found.st_mode))
      out += static_cast<double>(found.st_blocks) * 512;
  }
  return out;
}

}  // namespace troupe::simulate
