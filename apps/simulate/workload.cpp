#define TOML_EXCEPTIONS 0
#include "simulate/workload.hpp"

#include <troupe/state/json.hpp>

#include "simulate/profiles.hpp"
#include <toml++/toml.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <functional>
#include <sstream>

namespace troupe::simulate {

namespace {

constexpr std::array levels{"memory", "relaxed", "durable"};

/// One key of the file: how it is read into a workload and written out of it.
struct field {
  const char* table;
  const char* key;
  std::function<expected<void>(workload&, const toml::node&, const std::string& path)> read;
  std::function<std::string(const workload&)> write;  ///< the value as TOML
};

unexpected wrong(errc code, const std::string& path, const std::string& why) {
  error out{code, path + ": " + why};
  out.path = path;
  return unexpected{std::move(out)};
}

/// The shortest text that reads back as the same number; always a real.
std::string real_text(double x) {
  char text[32];
  const auto end = std::to_chars(text, text + sizeof text, x).ptr;
  const std::string out{text, end};
  return out.find_first_of(".e") == std::string::npos ? out + ".0" : out;
}

std::string quoted(std::string_view text) {
  std::string out;
  append_json_string(out, text);  // a basic string of TOML has the same escapes
  return out;
}

expected<double> number(const toml::node& from, const std::string& path, double low, double high) {
  const auto found = from.value<double>();
  if (!found || from.is_boolean())
    return wrong(errc::wrong_type, path, "a number is wanted");
  if (!std::isfinite(*found) || *found < low || *found > high)
    return wrong(
        errc::invalid_value, path,
        "a number from " + std::to_string(low) + " to " + std::to_string(high) + " is wanted");
  return *found;
}

field real(const char* table, const char* key, double workload::*where, double low, double high) {
  return {table, key,
          [=](workload& to, const toml::node& from, const std::string& path) -> expected<void> {
            const auto read = number(from, path, low, high);
            if (!read)
              return unexpected{read.error()};
            to.*where = *read;
            return {};
          },
          [=](const workload& from) { return real_text(from.*where); }};
}

field count(const char* table, const char* key, std::uint64_t workload::*where, double high) {
  return {table, key,
          [=](workload& to, const toml::node& from, const std::string& path) -> expected<void> {
            if (!from.is_integer())
              return wrong(errc::wrong_type, path, "a whole number is wanted");
            const auto read = number(from, path, 0, high);
            if (!read)
              return unexpected{read.error()};
            to.*where = static_cast<std::uint64_t>(*read);
            return {};
          },
          [=](const workload& from) { return std::to_string(from.*where); }};
}

field text(const char* key, std::string workload::*where) {
  return {"", key,
          [=](workload& to, const toml::node& from, const std::string& path) -> expected<void> {
            const auto read = from.value<std::string>();
            if (!read)
              return wrong(errc::wrong_type, path, "a text is wanted");
            to.*where = *read;
            return {};
          },
          [=](const workload& from) { return quoted(from.*where); }};
}

field spread(const char* table, const char* key, quantiles workload::*where, double high) {
  return {table, key,
          [=](workload& to, const toml::node& from, const std::string& path) -> expected<void> {
            const auto* list = from.as_array();
            if (list == nullptr || list->empty())
              return wrong(errc::wrong_type, path, "an array of quantiles is wanted");
            std::vector<double> read;
            for (const auto& one : *list) {
              const auto next = number(one, path, 0, high);
              if (!next)
                return unexpected{next.error()};
              read.push_back(*next);
            }
            if (!std::ranges::is_sorted(read))
              return wrong(errc::invalid_value, path, "quantiles ascend");
            to.*where = quantiles{std::move(read)};
            return {};
          },
          [=](const workload& from) {
            std::string out;
            for (const auto x : (from.*where).values())
              out += (out.empty() ? "[" : ", ") + real_text(x);
            return out.empty() ? std::string{"[0.0]"} : out + ']';
          }};
}

field durability_field() {
  return {"", "durability",
          [](workload& to, const toml::node& from, const std::string& path) -> expected<void> {
            const auto at = std::ranges::find(levels, from.value_or(std::string{}));
            if (at == levels.end())
              return wrong(errc::invalid_value, path, "memory, relaxed or durable is wanted");
            to.level = static_cast<durability>(at - levels.begin());
            return {};
          },
          [](const workload& from) { return quoted(level_name(from.level)); }};
}

field tools_field() {
  return {"items", "tools",
          [](workload& to, const toml::node& from, const std::string& path) -> expected<void> {
            const auto* table = from.as_table();
            if (table == nullptr || table->empty())
              return wrong(errc::wrong_type, path, "a table of names and shares is wanted");
            to.tools.clear();
            for (const auto& [name, share] : *table) {
              const auto read = number(share, path + '/' + std::string{name.str()}, 0, 1e9);
              if (!read)
                return unexpected{read.error()};
              to.tools.push_back({std::string{name.str()}, *read});
            }
            return {};
          },
          [](const workload& from) {
            std::string out;
            for (const auto& tool : from.tools)
              out +=
                  (out.empty() ? "{ " : ", ") + quoted(tool.name) + " = " + real_text(tool.share);
            return out + " }";
          }};
}

const std::vector<field>& fields() {
  using w = workload;
  static const std::vector<field> all{
      text("name", &w::name),
      text("about", &w::about),
      durability_field(),
      real("arrival", "visits_per_s", &w::visits_per_s, 0, 1e6),
      real("arrival", "burst_every_s", &w::burst_every_s, 0, 1e6),
      real("arrival", "burst_for_s", &w::burst_for_s, 0, 1e6),
      real("arrival", "burst_factor", &w::burst_factor, 0, 1e4),
      real("arrival", "daily_swing", &w::daily_swing, 0, 1),
      real("arrival", "day_begins_at_h", &w::day_begins_at_h, 0, 24),
      count("population", "sessions", &w::sessions, 1e8),
      count("population", "items_in_each", &w::items_in_each, 900),
      count("population", "users", &w::users, 1e8),
      count("population", "teams", &w::teams, 1e6),
      count("population", "workflows", &w::workflows, 1e6),
      count("population", "cache_keys", &w::cache_keys, 1e8),
      real("population", "popularity", &w::popularity, 0, 4),
      real("population", "returning", &w::returning, 0, 1),
      real("visit", "turns", &w::turns, 0, 1e4),
      spread("visit", "think_s", &w::think_s, 1e7),
      spread("visit", "agent_s", &w::agent_s, 1e7),
      real("visit", "reconnects", &w::reconnects, 0, 100),
      real("turn", "tool_calls", &w::tool_calls, 0, 100),
      real("turn", "history_reads", &w::history_reads, 0, 100),
      count("turn", "history_items", &w::history_items, 1'000),
      real("turn", "state_writes", &w::state_writes, 0, 100),
      real("turn", "state_reads", &w::state_reads, 0, 100),
      real("turn", "usage", &w::usage, 0, 100),
      real("turn", "checkpoints", &w::checkpoints, 0, 1),
      real("turn", "forks", &w::forks, 0, 1),
      real("turn", "cache_lookups", &w::cache_lookups, 0, 100),
      real("turn", "user_writes", &w::user_writes, 0, 100),
      real("turn", "team_messages", &w::team_messages, 0, 100),
      real("turn", "workflow_steps", &w::workflow_steps, 0, 100),
      spread("items", "user_bytes", &w::user_bytes, 200'000),
      spread("items", "assistant_bytes", &w::assistant_bytes, 200'000),
      spread("items", "tool_bytes", &w::tool_bytes, 200'000),
      spread("items", "cache_bytes", &w::cache_bytes, 1'000'000),
      tools_field(),
  };
  return all;
}

const field* find_field(std::string_view table, std::string_view key) {
  const auto at = std::ranges::find_if(
      fields(), [&](const field& one) { return one.table == table && one.key == key; });
  return at == fields().end() ? nullptr : &*at;
}

expected<void> read_key(workload& to, std::string_view table, std::string_view key,
                        const toml::node& from) {
  auto path = '/' + (table.empty() ? std::string{} : std::string{table} + '/') + std::string{key};
  const auto* known = find_field(table, key);
  if (known == nullptr)
    return wrong(errc::unknown_field, path, "a workload has no such key");
  return known->read(to, from, path);
}

}  // namespace

const char* level_name(durability level) {
  return levels.at(static_cast<std::size_t>(level));
}

expected<workload> parse_workload(std::string_view text) {
  const auto parsed = toml::parse(text);
  if (!parsed) {
    std::ostringstream why;
    why << "line " << parsed.error().source().begin.line << ", column "
        << parsed.error().source().begin.column << ": " << parsed.error().description();
    return fail(errc::malformed, why.str());
  }
  workload out;
  for (const auto& [key, node] : parsed.table()) {
    const auto* inner = node.as_table();
    if (inner == nullptr) {
      if (auto ok = read_key(out, "", key.str(), node); !ok)
        return unexpected{ok.error()};
      continue;
    }
    for (const auto& [inner_key, inner_node] : *inner)
      if (auto ok = read_key(out, key.str(), inner_key.str(), inner_node); !ok)
        return unexpected{ok.error()};
  }
  const bool shared = out.team_messages > 0 && out.teams == 0;
  if (shared || (out.workflow_steps > 0 && out.workflows == 0))
    return wrong(errc::invalid_value, shared ? "/population/teams" : "/population/workflows",
                 "there is none, and [turn] uses them");
  if (out.users == 0 || out.cache_keys == 0)
    return wrong(errc::invalid_value,
                 out.users == 0 ? "/population/users" : "/population/cache_keys",
                 "at least one is wanted");
  return out;
}

std::string to_toml(const workload& what) {
  std::string out;
  std::string_view table;
  for (const auto& one : fields()) {
    if (table != one.table)
      out += "\n[" + std::string{table = one.table} + "]\n";
    out += std::string{one.key} + " = " + one.write(what) + '\n';
  }
  return out;
}

std::vector<workload> built_in_profiles() {
  std::vector<workload> out;
  for (const auto text : built_in_files())
    out.push_back(parse_workload(text).value());
  return out;
}

expected<workload> built_in_profile(std::string_view name) {
  std::string names;
  for (auto& one : built_in_profiles()) {
    if (one.name == name)
      return std::move(one);
    names += (names.empty() ? "" : ", ") + one.name;
  }
  return fail(errc::not_found, "there is no profile '" + std::string{name} + "'; there are " + names
                                   + ", or a file by its path");
}

}  // namespace troupe::simulate
