#pragma once

#include <troupe/state/expected.hpp>

#include <array>
#include <compare>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace troupe {

/// The five scopes. Numbers stand on disk.
enum class entity_kind : std::uint8_t { session = 1, workflow = 2, team = 3, user = 4, global = 5 };

[[nodiscard]] std::string_view to_string(entity_kind kind) noexcept;

inline constexpr std::size_t max_id_bytes = 256;

/// An id as clients choose it: 1 to 256 bytes of valid UTF-8 without control characters (C0, DEL
/// and C1). It is data and never a path, so `../x` is an id like any other. Errors: `bad_id`.
expected<std::string> checked_id(std::string_view text);

/// Names one entity: data, ordered, hashable, cheap enough to copy.
struct entity_ref {
  std::string name_space = "default";
  entity_kind kind = entity_kind::session;
  std::string id;

  friend auto operator<=>(const entity_ref&, const entity_ref&) = default;
  friend bool operator==(const entity_ref&, const entity_ref&) = default;
};

/// "default/session/abc", for messages and logs.
[[nodiscard]] std::string to_string(const entity_ref& ref);

/// A session of the default namespace.
[[nodiscard]] entity_ref session_ref(std::string id);

/// An id from 128 random bits: 32 lower-case hexadecimal digits. The caller brings the bits.
[[nodiscard]] std::string id_from_random(const std::array<std::uint64_t, 2>& bits);

}  // namespace troupe

template <>
struct std::hash<troupe::entity_ref> {
  std::size_t operator()(const troupe::entity_ref& ref) const noexcept;
};
