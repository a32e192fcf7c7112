#include "troupe/inspect.hpp"

#include <troupe/messages/messages.hpp>
#include <troupe/persistence/journal_store.hpp>
#include <troupe/state/codec.hpp>
#include <troupe/state/header.hpp>
#include <troupe/state/json.hpp>

#include "troupe/exit_status.hpp"
#include "troupe/history_view.hpp"
#include "troupe/inspect_text.hpp"
#include "troupe/store_tool.hpp"
#include "troupe/table.hpp"
#include "troupe/text.hpp"

#include <algorithm>
#include <cstdio>
#include <limits>
#include <map>
#include <optional>
#include <utility>

namespace troupe::cli {

namespace {

void print(const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
}

/// One object of one line: names and raw JSON.
std::string json_line(std::initializer_list<std::pair<const char*, std::string>> members) {
  std::string out = "{";
  for (const auto& [name, json] : members)
    out += (out.size() == 1 ? "\"" : ",\"") + std::string{name} + "\":" + json;
  return escape_json_controls(out) + "}\n";
}

std::string json_string(std::string_view text) {
  std::string out;
  append_json_string(out, text);
  return out;
}

/// "default/session/a": what the plain outputs call an entity.
std::string plain_name(const entity_ref& entity) {
  return escape_controls(to_string(entity));
}

/// Whether entities are deleted, read by pages: asked in the order of `for_each_entity`.
class status_pages {
public:
  explicit status_pages(journal_store& store) : store_{store} {}

  /// "live" or "deleted". Errors: as `list`.
  expected<std::string_view> of(const entity_ref& entity) {
    const bool goes_on = at_ < page_.rows.size() && page_.rows[at_].id == entity.id
                         && of_.name_space == entity.name_space && of_.kind == entity.kind;
    if (!goes_on) {
      auto page = store_.list({.name_space = entity.name_space,
                               .kind = entity.kind,
                               .after = entity.id,
                               .including = true,
                               .limit = max_listed,
                               .look_at = max_listed,
                               .wanted = [](const entity_header&) { return true; }});
      if (!page)
        return unexpected{page.error()};
      page_ = *std::move(page);
      of_ = entity;
      at_ = 0;
    }
    if (at_ == page_.rows.size())
      return fail(errc::damaged, to_string(entity) + " is in no list");
    return page_.rows[at_++].header.live() ? "live" : "deleted";
  }

private:
  journal_store& store_;
  listing page_;
  entity_ref of_;  ///< the first of the page
  std::size_t at_ = 0;
};

/// One command over an open store.
struct inspection {
  journal_store& store;
  const inspect_options& options;

  int operator()(const inspect_list& what) {
    std::uint64_t count = 0;
    std::optional<error> fault;
    status_pages statuses{store};
    const auto done = store.for_each_entity([&](const entity_ref& entity, std::uint64_t revision) {
      if (what.kind && entity.kind != *what.kind)
        return true;
      const auto status = statuses.of(entity);
      if (!status) {
        fault = status.error();
        return false;
      }
      ++count;
      if (options.json) {
        print(json_line({{"namespace", json_string(entity.name_space)},
                         {"kind", json_string(to_string(entity.kind))},
                         {"id", json_string(entity.id)},
                         {"revision", std::to_string(revision)},
                         {"status", json_string(*status)}}));
        return true;
      }
      if (count == 1)
        std::printf("%10s  %-7s  entity\n", "revision", "status");
      std::printf("%10llu  %-7s  %s\n", static_cast<unsigned long long>(revision),
                  std::string{*status}.c_str(), plain_name(entity).c_str());
      return true;
    });
    if (!done || fault)
      return report(done ? *fault : done.error());
    if (count == 0 && !options.json)
      std::puts(what.kind ? "none" : "the store is empty");
    return exit_status::ok;
  }

  int operator()(const inspect_show& what) {
    const auto state = find(what.entity);
    if (!state)
      return report(state.error());
    print(entity_json(what.entity, *state, options.json ? json_layout::compact : json_layout::lines)
          + '\n');
    return exit_status::ok;
  }

  int operator()(const inspect_history& what) {
    const auto state = find(what.entity);
    if (!state)
      return report(state.error());
    auto shown = *state;
    const auto size = shown.items.size();
    if (what.last != 0 && what.last < size) {
      shown.items = history{};
      for (auto i = size - what.last; i < size; ++i)
        shown.items.append(state->items[i].seq, state->items[i].at, state->items[i].fields);
    }
    if (!options.json) {
      const auto out = terminal_of(stdout);
      print(render_history(shown, {.columns = out.columns,
                                   .colours = out.colours,
                                   .max_lines = std::numeric_limits<std::size_t>::max(),
                                   .whole = "(texts are shortened: --json has all)"}));
      return exit_status::ok;
    }
    for (const auto& item : shown.items)
      print(escape_json_controls(item_json(item)) + '\n');
    return exit_status::ok;
  }

  int operator()(const inspect_journal& what) {
    std::uint64_t count = 0;
    int status = exit_status::ok;
    auto from = what.from;
    if (const auto newest = std::min(store.stats().position, what.to);
        what.last != 0 && newest >= what.last)
      from = std::max(from, newest - what.last + 1);
    const auto done = store.for_each_record(from, what.to, [&](const journal_record& record) {
      if (count++ == 0 && !options.json)
        std::printf("%10s  %-24s  %8s  %8s  entity: events\n", "position", "at", "revision",
                    "bytes");
      const auto change = decode_change(record.payload);
      if (change)
        print_record(record, *change);
      else
        status = report(
            "journal record " + std::to_string(record.position) + ": " + change.error().message,
            exit_status::damaged_store);
      return true;
    });
    return done ? status : report(done.error());
  }

  int operator()(const inspect_stats&) {
    std::map<std::string_view, std::uint64_t> kinds;
    std::uint64_t entities = 0;
    const auto done = store.for_each_entity([&](const entity_ref& entity, std::uint64_t) {
      ++entities;
      ++kinds[to_string(entity.kind)];
      return true;
    });
    if (!done)
      return report(done.error());
    std::error_code ec;
    const auto size = std::filesystem::file_size(options.data / "data.mdb", ec);
    const auto file_bytes = ec ? 0 : static_cast<std::uint64_t>(size);
    const auto stats = store.stats();
    if (options.json) {
      print(stats_json(stats, kinds, entities, file_bytes));
      return exit_status::ok;
    }
    table out{{align::left, align::left}};
    out.add({"entities", group_digits(entities)});
    for (const auto& [kind, count] : kinds)
      out.add({"  " + std::string{kind}, group_digits(count)});
    out.add({"changes", group_digits(stats.position)});
    out.add({"in snapshots", "up to change " + group_digits(stats.materialised)});
    out.add({"journal", "kept from change " + group_digits(stats.first)});
    out.add({"to replay at start", human_bytes(stats.tail_bytes)});
    out.add({"data file", human_bytes(file_bytes)});
    print(out.render());
    return exit_status::ok;
  }

  /// Errors: `not_found`, as `load` and `join_entity`.
  expected<entity_state> find(const entity_ref& entity) {
    const auto stored = store.load(entity);
    if (!stored)
      return unexpected{stored.error()};
    if (stored->sequence == 0)
      return fail(errc::not_found, "no " + std::string{to_string(entity.kind)} + ' ' + entity.id
                                       + " in the namespace " + entity.name_space
                                       + "; `troupe inspect --data " + options.data.string()
                                       + " list` shows what is there");
    return join_entity(stored->parts);
  }

  void print_record(const journal_record& record, const change& what) const {
    if (options.json)
      return print(json_line({{"position", std::to_string(record.position)},
                              {"at", json_string(to_rfc3339(what.at))},
                              {"namespace", json_string(record.entity.name_space)},
                              {"kind", json_string(to_string(record.entity.kind))},
                              {"id", json_string(record.entity.id)},
                              {"revision", std::to_string(record.sequence)},
                              {"epoch", std::to_string(record.epoch)},
                              {"shard", std::to_string(record.shard)},
                              {"events", events_json(what)},
                              {"bytes", std::to_string(record.payload.size())}}));
    std::printf("%10llu  %-24s  %8llu  %8zu  %s: %s\n",
                static_cast<unsigned long long>(record.position), to_rfc3339(what.at).c_str(),
                static_cast<unsigned long long>(record.sequence), record.payload.size(),
                plain_name(record.entity).c_str(), describe_events(what).c_str());
  }

  static std::string stats_json(const store_stats& stats,
                                const std::map<std::string_view, std::uint64_t>& kinds,
                                std::uint64_t entities, std::uint64_t file_bytes) {
    std::string by_kind = "{";
    for (const auto& [kind, count] : kinds)
      by_kind += (by_kind.size() == 1 ? "" : ",") + json_string(kind) + ':' + std::to_string(count);
    return json_line({{"entities", std::to_string(entities)},
                      {"kinds", by_kind + '}'},
                      {"changes", std::to_string(stats.position)},
                      {"materialised", std::to_string(stats.materialised)},
                      {"first", std::to_string(stats.first)},
                      {"covered_bytes", std::to_string(stats.covered_bytes)},
                      {"tail_bytes", std::to_string(stats.tail_bytes)},
                      {"file_bytes", std::to_string(file_bytes)}});
  }
};

}  // namespace

int inspect(const inspect_options& options) {
  journal_options journal;
  journal.allow_remote_fs = options.allow_remote_fs;
  auto store = open_existing(options.data, journal);
  if (!store)
    return report_opening(store.error());
  return std::visit(inspection{*store, options}, options.what);
}

}  // namespace troupe::cli
