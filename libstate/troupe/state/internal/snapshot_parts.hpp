#pragma once

#include <troupe/state/codec.hpp>

#include <span>
#include <string>
#include <string_view>

/// A snapshot's bytes with all of the history in them, or with its complete chunks kept elsewhere.
/// Not installed.
namespace troupe::internal {

enum class complete_chunks : bool { inside, outside };

[[nodiscard]] std::string encode_snapshot(const entity_state& state, complete_chunks where,
                                          std::size_t zstd_threshold);

/// `outside`: the chunks that are not in `bytes`, in their order.
expected<entity_state> decode_snapshot(std::string_view bytes,
                                       std::span<const std::string_view> outside);

}  // namespace troupe::internal
