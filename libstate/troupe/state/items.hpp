#pragma once

#include <troupe/state/binding.hpp>
#include <troupe/state/commands.hpp>
#include <troupe/state/history.hpp>

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

/// The two shapes that items of a conversation usually have, as types. They are views: an item is
/// kept as the map it was, whatever else it has, and `more` holds what the type does not name, so
/// that reading an item and writing it again loses no member, nulls included. Two things are
/// written in the form of this library: a time in UTC with milliseconds, finer digits and its
/// offset being dropped, and a defaulted member that was absent. Items of other shapes bind to
/// types of your own (binding.hpp).
///
///     for (const auto& item : state.items)
///       if (const auto message = item_as<chat_message>(item)) show(message->role);
///     append_items{{to_value(chat_message{.role = "user", .content = "Hello!"})}};
namespace troupe {

struct tool_function {
  std::string name{};
  value arguments{};  ///< JSON in a string as chat APIs send it, or an object
  value more = value::map({});

  static constexpr auto fields =
      std::tuple{field{"name", &tool_function::name}, field{"arguments", &tool_function::arguments},
                 other_members{&tool_function::more}};
  friend bool operator==(const tool_function&, const tool_function&) = default;
};

struct tool_call {
  std::optional<std::string> id{};
  std::optional<std::string> type{};
  tool_function function{};
  value more = value::map({});

  static constexpr auto fields =
      std::tuple{field{"id", &tool_call::id}, field{"type", &tool_call::type},
                 field{"function", &tool_call::function}, other_members{&tool_call::more}};
  friend bool operator==(const tool_call&, const tool_call&) = default;
};

/// One message of a chat, as chat APIs have it.
struct chat_message {
  std::string role{};              ///< "system", "user", "assistant", "tool" or another
  std::optional<value> content{};  ///< a string, an array of parts, or null beside tool calls
  std::optional<std::string> name{};
  std::optional<std::vector<tool_call>> tool_calls{};
  std::optional<std::string> tool_call_id{};
  value more = value::map({});

  static constexpr auto fields = std::tuple{field{"role", &chat_message::role},
                                            field{"content", &chat_message::content},
                                            field{"name", &chat_message::name},
                                            field{"tool_calls", &chat_message::tool_calls},
                                            field{"tool_call_id", &chat_message::tool_call_id},
                                            other_members{&chat_message::more}};
  friend bool operator==(const chat_message&, const chat_message&) = default;

  /// What can be read as text: a string content, or the "text" of its parts one after the other.
  [[nodiscard]] std::string text() const;
};

/// One agent handing over to another, at any time of RFC 3339.
struct escalation {
  std::string source_agent{};
  std::string target_agent{};
  std::string reason{};
  timestamp at{};
  value more = value::map({});

  static constexpr auto fields = std::tuple{
      field{"source_agent", &escalation::source_agent},
      field{"target_agent", &escalation::target_agent}, field{"reason", &escalation::reason},
      field{"timestamp", &escalation::at}, other_members{&escalation::more}};
  friend bool operator==(const escalation&, const escalation&) = default;
};

/// One request and what came of it, as a request/response log has it. `at` is the host's own time;
/// the item's is the moment of the append. Reading takes what Go's encoding/json writes too: any
/// time of RFC 3339, and where there is no "duration_ms" a "duration" in nanoseconds, cut to
/// milliseconds. That one stays in `more` as it was; "duration_ms" is written beside it and is what
/// is read from then on.
struct exchange {
  timestamp at{};
  std::string user_request{};
  std::string agent{};
  value response{};  ///< null until there is one
  std::vector<escalation> escalations{};
  std::chrono::milliseconds duration{};  ///< "duration_ms"
  value more = value::map({});

  static constexpr auto fields = std::tuple{field{"timestamp", &exchange::at},
                                            field{"user_request", &exchange::user_request},
                                            field{"agent", &exchange::agent},
                                            defaulted{"response", &exchange::response},
                                            defaulted{"escalations", &exchange::escalations},
                                            defaulted{"duration_ms", &exchange::duration},
                                            other_members{&exchange::more}};
  friend bool operator==(const exchange&, const exchange&) = default;
};

template <>
struct binding<escalation> {
  static void write(value_writer& out, const escalation& x) { internal::write_members(out, x); }
  static expected<escalation> read(value_view x, unknown_members unknown);
};

template <>
struct binding<exchange> {
  static void write(value_writer& out, const exchange& x) { internal::write_members(out, x); }
  static expected<exchange> read(value_view x, unknown_members unknown);
};

/// Errors: as `from_value`, the path beginning at the item.
template <described T>
[[nodiscard]] expected<T> item_as(const item_view& item) {
  return from_value<T>(item.fields);
}

/// One command's worth of items.
template <described T>
[[nodiscard]] append_items append_all(const std::vector<T>& items) {
  append_items out;
  for (const auto& one : items)
    out.items.push_back(to_value(one));
  return out;
}

}  // namespace troupe
