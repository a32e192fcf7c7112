#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace troupe::simulate {

/// Whom an intent is about. Of one subject at most one intent is on its way at a time, in order;
/// that makes it possible to say afterwards what must be there. A cache key has no such order.
enum class subject_kind : std::uint8_t { session, user, team, workflow, cache };

struct subject {
  subject_kind kind = subject_kind::session;
  std::uint64_t number = 0;
  friend bool operator==(const subject&, const subject&) = default;
  friend auto operator<=>(const subject&, const subject&) = default;
};

/// "s12", "u3": names a subject in logs, ids and in the text of what was written to it.
[[nodiscard]] std::string name_of(const subject& whom);

enum class author : std::uint8_t { user, assistant, tool };

struct item_plan {
  author by = author::user;
  std::uint8_t tool = 0;    ///< index into `workload::tools`
  std::uint32_t bytes = 0;  ///< of its text
  friend bool operator==(const item_plan&, const item_plan&) = default;
};

enum class action : std::uint8_t {
  seed,           ///< creates a session with its first items: what is there before a run
  create,         ///< a session, empty
  append,         ///< one or two items to a session
  read_history,   ///< the newest `count` items
  read_all,       ///< every item
  note,           ///< sets "last" to `first` and adds 1 to "count", in one step; of session or user
  read_state,     ///< all keys
  record_usage,   ///< of tokens
  checkpoint,     ///< named after `first`
  fork,           ///< `whom` begins as a copy of the session `other`
  cache_lookup,   ///< reads a result; a miss writes it
  team_message,   ///< to everybody of a team
  workflow_step,  ///< the graph is made anew, or a node starts or ends
};
inline constexpr std::size_t action_count = 13;

[[nodiscard]] std::string_view to_string(action what) noexcept;
/// Makes a change (a cache lookup counts as none).
[[nodiscard]] bool is_write(action what) noexcept;

/// One thing that is asked of a target. What it writes follows from its numbers alone, so any part
/// of what comes back can be told from any other and compared without having kept it.
struct intent {
  std::uint64_t number = 0;  ///< 1, 2, 3 ... in the order of time
  std::uint64_t at_us = 0;   ///< when it is due, in the population's time from the run's beginning
  action what = action::append;
  bool follows = false;  ///< due when the one before it in its subject was answered
  subject whom{};
  /// Number in its subject: of the first item, the note, the checkpoint, the message or the step.
  std::uint32_t first = 0;
  std::uint32_t count = 0;  ///< items written, or to be read
  /// A fork: the parent. Else the user that a session is created for.
  std::uint64_t other = 0;
  std::array<item_plan, 2> items{};  ///< of `append`; all items of `seed` are as the first
  std::uint32_t bytes = 0;           ///< of a cached result, a message, a step's result

  friend bool operator==(const intent&, const intent&) = default;
};

/// Of a workflow: how its steps go round. Step 1 makes the graph, 2 starts the first node, 3 ends
/// it ... and after the last node's end the graph is made anew.
inline constexpr std::uint32_t workflow_nodes = 8;
inline constexpr std::uint32_t steps_in_round = 1 + 2 * workflow_nodes;
[[nodiscard]] std::string node_of_step(std::uint32_t step);

/// One line of text without its end; the same for the same intent, everywhere and always.
[[nodiscard]] std::string log_line(const intent& what);

/// The text that stands in item (or message, or result) `number` of a subject: "s12#7 " and words,
/// `bytes` long in all, but never shorter than that head.
[[nodiscard]] std::string text_of(const subject& whom, std::uint64_t number, std::size_t bytes);

/// What such a text says of itself. False when it is none.
[[nodiscard]] bool read_text(std::string_view text, subject& whom, std::uint64_t& number);

}  // namespace troupe::simulate
