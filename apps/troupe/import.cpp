#include <troupe/messages/store_messages.hpp>
#include <troupe/state/codec.hpp>
#include <troupe/state/transfer.hpp>

#include "troupe/conversations.hpp"
#include "troupe/exit_status.hpp"
#include "troupe/store_tool.hpp"
#include "troupe/store_tools.hpp"
#include "troupe/text.hpp"

#include <cstdio>
#include <utility>
#include <vector>

namespace troupe::cli {

namespace {

/// Beyond the limits of an import from a stranger: the operator has the file and the memory.
constexpr import_limits operator_limits{.entities = 10'000'000};

/// A document of msgpack is a map, whose first byte no JSON begins with.
expected<std::vector<exported_entity>> read_export(std::string_view bytes) {
  const bool msgpack = !bytes.empty() && static_cast<unsigned char>(bytes.front()) >= 0x80;
  return msgpack ? import_msgpack(bytes, operator_limits) : import_jsonl(bytes, operator_limits);
}

}  // namespace

int import_entities(const import_command& options) {
  const auto name = options.file.string();
  const auto bytes = read_whole_file(options.file);
  if (!bytes)
    return report(bytes.error().message, bytes.error().code == errc::not_found
                                             ? exit_status::usage
                                             : exit_status::io_failure);
  const auto read = read_export(*bytes);
  if (!read)
    return report(name + ": " + read.error().message
                      + (read.error().path.empty() ? "" : " at " + read.error().path),
                  exit_status::failed);
  std::vector<adopted_entity> entities;
  entities.reserve(read->size());
  for (const auto& [ref, state] : *read)
    entities.push_back({ref, state.revision, encode(state)});
  auto store = journal_store::open(options.data, journal_options{}, fold_entities());
  if (!store)
    return report_opening(store.error());
  if (const auto done = store->adopt(entities); !done)
    return report(done.error().message + "; nothing was imported",
                  exit_status::of_request(done.error().code));
  std::printf("imported %s from %s\n", count_of_entities(entities.size()).c_str(),
              escape_controls(name).c_str());
  return exit_status::ok;
}

}  // namespace troupe::cli
