#pragma once

#include <troupe/state/expected.hpp>
#include <troupe/state/value.hpp>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace troupe::cli {

/// One recorded conversation, fit to be written: its id is one, and every message is an item that
/// an append takes.
struct conversation {
  std::string id;
  std::string user;  ///< empty: nobody's
  std::vector<value> messages;
  std::size_t line = 0;
};

struct line_fault {
  std::size_t line = 0;    ///< from 1
  std::uint64_t byte = 0;  ///< where the line begins, from 0
  error why;
};

struct conversation_file {
  std::vector<conversation> conversations;
  std::vector<line_fault> faults;  ///< the first `max_faults`
};

inline constexpr std::size_t max_faults = 20;  // then: the rest of the file is not read

/// Reads JSON lines `{"id", "user"?, "messages":[{...}, ...]}`; other members and empty lines are
/// ignored. Ids get `prefix` in front and occur once. Everything is held in memory.
[[nodiscard]] conversation_file read_conversations(std::string_view text, std::string_view prefix);

/// "calls.jsonl:3: (byte 812) malformed at /messages/0: ...", safe for a terminal.
[[nodiscard]] std::string describe(const line_fault& fault, std::string_view file);

/// All of a file. Errors: `not_found` (it cannot be opened), `store_failed` (it cannot be read); in
/// words.
[[nodiscard]] expected<std::string> read_whole_file(const std::filesystem::path& path);

}  // namespace troupe::cli
