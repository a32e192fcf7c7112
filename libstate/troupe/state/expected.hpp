#pragma once

#include <troupe/state/error.hpp>

#include <tl/expected.hpp>

namespace troupe {

/// A value or the error that stands in its place; nothing in Troupe's public API throws for a fault
/// of its input.
template <class T>
using expected = tl::expected<T, error>;

using unexpected = tl::unexpected<error>;

/// `return fail(errc::bad_id, "an id is 1 to 256 bytes");`
template <class... Ts>
[[nodiscard]] unexpected fail(errc code, Ts&&... xs) {
  return unexpected{error{code, std::forward<Ts>(xs)...}};
}

}  // namespace troupe
