#pragma once

#include <troupe/state/expected.hpp>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

/// What stands in the payload of an entity's two records, in front of the bytes that the fold
/// function made. Layout: docs/on-disk-format.md.
namespace troupe::internal {

/// In front of the header, in `entities`.
struct entity_head {
  std::uint64_t position = 0;        ///< journal position of the newest change in the body; 0: none
  std::uint64_t base = 0;            ///< every change behind this revision is kept
  std::uint64_t first_revision = 0;  ///< the one that it was created with
  std::vector<std::uint64_t>
      logs{};  ///< chunk logs it holds a reference to; its own, if any, first
  bool owns_log = false;
  friend bool operator==(const entity_head&, const entity_head&) = default;
};

[[nodiscard]] std::string encode(const entity_head& head);
/// Takes the head off `payload`; what is left is the header. Errors: `damaged`.
expected<entity_head> take_head(std::string_view& payload);

/// A chunk of history: the log that it was written to and the CRC32C of its bytes. Its number is
/// its place in the list.
struct chunk_ref {
  std::uint64_t log = 0;
  std::uint32_t check = 0;
  friend bool operator==(const chunk_ref&, const chunk_ref&) = default;
};
using chunk_list = std::vector<chunk_ref>;

/// In front of the body, in `snapshots` and `versions`: runs of chunks of one log.
[[nodiscard]] std::string encode(std::span<const chunk_ref> chunks);
/// Takes the list off `payload`; what is left is the body. Errors: `damaged`.
expected<chunk_list> take_chunks(std::string_view& payload);

/// Which older bodies stay when an entity gets a new one at `newest`, and from where on its changes
/// are needed.
struct kept_versions {
  std::vector<std::uint64_t> revisions;
  std::uint64_t base = 0;
};

/// `bodies`: revisions that there is a body of, ascending, all before `newest`. From the base on
/// every revision can be built from the body before it and changes; of the bodies behind it only
/// as many stay, `kept_back` / 2 apart, as make the next base come close to `keep_from`. Pure.
[[nodiscard]] kept_versions plan_versions(std::span<const std::uint64_t> bodies,
                                          std::uint64_t newest, std::uint64_t first_revision,
                                          std::uint64_t keep_from, std::uint64_t kept_back,
                                          std::span<const std::uint64_t> pins);

}  // namespace troupe::internal
