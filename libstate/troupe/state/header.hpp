#pragma once

#include <troupe/state/entity.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
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

/// One page of a list of entities.
struct list_request {
  std::string name_space = "default";
  entity_kind kind = entity_kind::session;
  std::string after{};                                 ///< the id that the last page ended with
  bool including = false;                              ///< begins with `after` itself
  std::size_t limit = 100;                             ///< entities in a page
  std::size_t look_at = 100'000;                       ///< as many; then: the page ends there
  std::function<bool(const entity_header&)> wanted{};  ///< empty: all that live; must not block
};
inline constexpr std::size_t max_listed = 1'000;  // then: this many

struct listing {
  struct row {
    std::string id;
    entity_header header;
  };
  std::vector<row> rows;
  std::optional<std::string> next;  ///< `after` of the next page; absent: there is none
};

}  // namespace troupe
