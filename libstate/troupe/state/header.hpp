#pragma once

#include <troupe/state/entity.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace troupe {

/// Metadata of more bytes are not in the header, and so not filtered by.
inline constexpr std::size_t max_header_metadata_bytes = 64 << 10;

/// What is told of an entity in a list, without waking it.
struct entity_header {
  lifecycle status = lifecycle::absent;
  std::uint64_t revision = 0;
  timestamp created{};
  timestamp last_activity{};
  std::uint64_t items = 0;
  std::uint64_t entries = 0;
  std::uint64_t bytes = 0;           ///< payload held, as `entity_state::bytes`
  std::string user{};                ///< the owner; empty: open to every principal
  std::vector<std::string> readers;  ///< who else may read: by a share, or as a team's member
  std::string workflow{};
  std::string team{};
  std::string placement{};
  std::uint64_t ttl_ms = 0;
  std::optional<lineage> forked_from{};
  std::optional<schema_id> schema{};
  std::vector<std::string> tags{};
  value metadata = value::map({});

  [[nodiscard]] bool live() const noexcept { return status == lifecycle::live; }
  friend bool operator==(const entity_header&, const entity_header&) = default;
};

[[nodiscard]] entity_header header_of(const entity_state& state);

[[nodiscard]] std::string encode(const entity_header& header);

/// Errors: `damaged` (not what `encode` writes), `newer_format`.
expected<entity_header> decode_header(std::string_view bytes);

}  // namespace troupe
