#pragma once

#include <troupe/state/session.hpp>

#include "api/decode.hpp"
#include "http/message.hpp"

#include <string>

/// From committed state to answers. Every answer that shows a session carries its revision as
/// `ETag`.
namespace troupe::api {

[[nodiscard]] http::response info_answer(const entity_state& state, const std::string& id,
                                         int status, timestamp now);
[[nodiscard]] http::response state_answer(const entity_state& state, timestamp now);
[[nodiscard]] http::response items_answer(const entity_state& state, const item_page& page);
[[nodiscard]] http::response revision_answer(const outcome& answer);
[[nodiscard]] http::response append_answer(const outcome& answer);
[[nodiscard]] http::response deleted_answer();

}  // namespace troupe::api
