#pragma once

#include <troupe/state/session.hpp>

#include "api/decode.hpp"
#include "http/message.hpp"

#include <string>

/// From committed state to answers. Every answer that shows a session carries its revision as
/// `ETag`.
namespace troupe::api {

[[nodiscard]] http::response info_answer(const session_state& state, const std::string& id,
                                         int status);
[[nodiscard]] http::response state_answer(const session_state& state);
[[nodiscard]] http::response items_answer(const session_state& state, const item_page& page);
[[nodiscard]] http::response revision_answer(const outcome& answer);
[[nodiscard]] http::response append_answer(const outcome& answer);
[[nodiscard]] http::response deleted_answer();

}  // namespace troupe::api
