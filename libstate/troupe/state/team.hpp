#pragma once

#include <troupe/state/commands.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// Reads of a team: its members and their messages. The shared context is the entity's key-value
/// state; messages are its items.
namespace troupe {

struct member {
  std::string name{};
  std::string role{};
  std::uint64_t cursor = 0;  ///< messages up to this number were delivered
  friend bool operator==(const member&, const member&) = default;
};

/// In order of names.
[[nodiscard]] std::vector<member> members_of(const entity_state& state);

struct message {
  std::uint64_t seq = 0;
  timestamp at{};
  std::string from{};
  std::optional<std::string> to{};  ///< none: every other member
  value body{};
  friend bool operator==(const message&, const message&) = default;
};

/// The oldest messages for a member behind `after` (its cursor when not given), at most `limit`:
/// those sent to it, and those of others to everybody.
[[nodiscard]] std::vector<message> messages_for(const entity_state& state, std::string_view member,
                                                std::optional<std::uint64_t> after = {},
                                                std::size_t limit = 100);

}  // namespace troupe
