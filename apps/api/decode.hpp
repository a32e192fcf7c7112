#pragma once

#include <troupe/state/session.hpp>

#include "http/message.hpp"

#include <optional>
#include <string_view>

/// From what a client sent to typed commands: strict, so that a misspelt field is an answer and not
/// a surprise. Errors name their path as a JSON pointer into the body.
namespace troupe::api {

/// The body of `request` as JSON. An absent body is null.
/// Errors: `unsupported_media_type` (neither `application/json` nor `also`), and those of
/// `value_from_json`.
expected<value> json_body(const http::request& request, std::string_view also = {});

/// PUT {S}: `{user?, metadata?}`.
expected<create> decode_create(const http::request& request);

/// POST {S}/items: `{"items":[{...}, ...]}`.
expected<append_items> decode_append(const http::request& request);

/// PATCH {S}/state: a merge patch, or `{"ops":[...]}` under `application/vnd.troupe.ops+json`.
expected<operation> decode_patch(const http::request& request);

/// `If-Match: "42"`: the revision. Nothing without the header. Errors: `malformed`.
expected<std::optional<std::uint64_t>> decode_if_match(const http::request& request);

/// Which part of a history is asked for.
struct item_page {
  std::optional<std::uint64_t> last;    ///< the newest so many
  std::optional<std::uint64_t> after;   ///< those behind this sequence number
  std::optional<std::uint64_t> before;  ///< those in front of it, the newest of them
  std::uint64_t limit = 100;
};

inline constexpr std::uint64_t max_page_items = 1'000;  // then: invalid_value
inline constexpr std::size_t max_page_bytes = 1 << 20;  // of JSON; then: a shorter page

/// `?last=N`, `?after=SEQ&limit=N` (also `cursor=`), `?before=SEQ&limit=N`. Errors:
/// `unknown_field`, `invalid_value`.
expected<item_page> decode_item_page(const http::parsed_target& target);

/// Errors: `unknown_field` for any query parameter at all.
expected<void> no_query(const http::parsed_target& target);

}  // namespace troupe::api
