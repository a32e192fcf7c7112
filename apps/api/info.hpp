#pragma once

#include <troupe/state/binding.hpp>
#include <troupe/state/commands.hpp>
#include <troupe/state/header.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

/// What is told of an entity without waking it: by `GET {S}` and in lists.
namespace troupe::api {

struct lineage_body {
  std::string parent{};
  std::uint64_t at = 0;
  static constexpr auto fields =
      std::tuple{field{"parent", &lineage_body::parent}, field{"at", &lineage_body::at}};
};

struct schema_body {
  std::string id{};
  std::uint32_t version = 1;
  static constexpr auto fields =
      std::tuple{field{"id", &schema_body::id}, field{"version", &schema_body::version}};
};

struct policy_body {
  std::optional<std::uint64_t> loop_limit{}, token_budget{}, checkpoint_every{}, keep_checkpoints{},
      keep_revisions{}, keep_revisions_ms{};
  static constexpr auto fields =
      std::tuple{field{"loop_limit", &policy_body::loop_limit},
                 field{"token_budget", &policy_body::token_budget},
                 field{"checkpoint_every", &policy_body::checkpoint_every},
                 field{"keep_checkpoints", &policy_body::keep_checkpoints},
                 field{"keep_revisions", &policy_body::keep_revisions},
                 field{"keep_revisions_ms", &policy_body::keep_revisions_ms}};
};

struct info_body {
  std::string id{};
  std::string status{};  ///< "active" or "hibernated"
  std::uint64_t revision = 0;
  timestamp created{}, last_activity{};
  std::string user{};
  value metadata = value::map({});
  std::uint64_t items = 0;
  std::uint64_t entries = 0;  ///< of all sections but the items
  std::uint64_t bytes = 0;    ///< of items, keys and values as msgpack
  std::optional<std::string> workflow{}, team{};
  std::optional<std::vector<std::string>> tags{}, readers{};
  std::optional<std::uint64_t> ttl_s{};
  std::optional<lineage_body> forked_from{};
  std::optional<schema_body> schema{};
  static constexpr auto fields = std::tuple{field{"id", &info_body::id},
                                            field{"status", &info_body::status},
                                            field{"revision", &info_body::revision},
                                            field{"created", &info_body::created},
                                            field{"last_activity", &info_body::last_activity},
                                            field{"user", &info_body::user},
                                            field{"metadata", &info_body::metadata},
                                            field{"items", &info_body::items},
                                            field{"entries", &info_body::entries},
                                            field{"bytes", &info_body::bytes},
                                            field{"workflow", &info_body::workflow},
                                            field{"team", &info_body::team},
                                            field{"tags", &info_body::tags},
                                            field{"readers", &info_body::readers},
                                            field{"ttl_s", &info_body::ttl_s},
                                            field{"forked_from", &info_body::forked_from},
                                            field{"schema", &info_body::schema}};
};

[[nodiscard]] info_body to_info(const std::string& id, const entity_header& header, bool live);

}  // namespace troupe::api

template <>
struct troupe::names_of<troupe::access> {
  static constexpr std::pair<access, std::string_view> value[] = {{access::read, "read"},
                                                                  {access::write, "write"}};
};
