#pragma once

#include <troupe/state/error.hpp>

#include <cstddef>
#include <optional>
#include <string_view>

namespace troupe::internal {

/// Why and where a document that the parser refused is no JSON: walks it once more, slowly, keeping
/// the path. `too_deep` where it would go deeper than `depth`. Nothing when this walk finds no
/// fault.
[[nodiscard]] std::optional<error> find_json_fault(std::string_view text, std::size_t depth);

/// The first byte (its index, or the size: the document ends too early) that the grammar of JSON
/// does not allow there. Nothing when it allows all of them.
[[nodiscard]] std::optional<std::size_t> find_json_syntax_fault(std::string_view text);

}  // namespace troupe::internal
