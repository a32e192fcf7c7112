#pragma once

#include "responders/responder.hpp"

#include <map>
#include <optional>
#include <string>
#include <string_view>

/// The chat completions protocol as text: what is sent, and what is made of what comes. No socket,
/// no thread.
namespace troupe::responders {

/// The body of the request: model, every message that counts, stream. In front of the messages
/// stands a system message with the notebook's context, where the session has one; a session whose
/// key `tools` holds an array offers these. Items without a role are left out, and so are tool
/// calls without their results and results without their calls, which the protocol does not allow.
[[nodiscard]] std::string chat_request(const prompt& what, std::string_view model);

/// Reads a streamed answer: server-sent events, each a chunk, `[DONE]` at last. Or a whole one,
/// when the endpoint does not stream.
class chat_stream {
public:
  /// Of text and calls, so that they fit into one item; then: `responder_failed`.
  static constexpr std::size_t max_bytes = 192 << 10;
  static constexpr std::size_t max_line = 1 << 20;  ///< then: `responder_failed`

  /// More of it; answers the new text. Errors: `responder_failed` for what is no such stream, and
  /// with its own words when the endpoint reports an error in the middle.
  expected<std::string> take(std::string_view bytes);
  /// Nothing more comes. Errors: `responder_failed`: the end was missing.
  expected<reply> finish();

private:
  expected<void> take_line(std::string_view line, std::string& said);
  expected<void> take_chunk(value_view chunk, std::string& said);
  void take_call(value_view part);

  std::string rest_;  ///< the beginning of a line
  std::string text_;
  std::map<std::uint64_t, tool_call> calls_;
  std::map<std::uint64_t, std::string> arguments_;
  std::size_t bytes_ = 0;
  usage_counters used_{};
  bool finished_ = false;  ///< a reason to end was told, or [DONE]
};

/// An answer that is one JSON object. Errors: `responder_failed`.
[[nodiscard]] expected<reply> whole_completion(std::string_view body);

/// What an endpoint says of an error: `error.message`, or nothing.
[[nodiscard]] std::string error_text(std::string_view body);

}  // namespace troupe::responders
