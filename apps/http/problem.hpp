#pragma once

#include "http/message.hpp"

#include <string>
#include <string_view>

namespace troupe::http {

/// The reason phrase of a status: "Not Found". "Unknown" for one that Troupe never answers.
[[nodiscard]] std::string_view title(int status) noexcept;

/// Appends `text` as a JSON string with its quotes. What is not UTF-8 becomes U+FFFD, so that the
/// output always is.
void append_json_string(std::string& out, std::string_view text);

/// The body of an RFC 9457 error: {type, title, status, detail, code}. `code` is a stable name, for
/// programs; `detail` is for people. `more` is further members as JSON, without braces:
/// "\"limit\":8".
[[nodiscard]] std::string problem_body(int status, std::string_view code, std::string_view detail,
                                       std::string_view more = {});

/// The same as a whole answer, of type application/problem+json.
[[nodiscard]] response problem(int status, std::string_view code, std::string_view detail,
                               std::string_view more = {});

}  // namespace troupe::http
