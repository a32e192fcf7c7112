#pragma once

/// What holds for every document that was read or refused, whatever it was written in.

#include <troupe/state/internal/canonical.hpp>
#include <troupe/state/json.hpp>
#include <troupe/state/value.hpp>

#include "fuzz/require.hpp"
#include "support/naive_msgpack.hpp"
#include "support/naive_text.hpp"

#include <algorithm>
#include <string_view>

namespace troupe::fuzz {

/// Budgets that inputs of a few bytes reach. The default ones are out of a fuzzer's reach.
inline constexpr limits tight{.bytes = 200, .depth = 4, .elements = 12};
/// For what we printed ourselves: longer than what was read, never deeper.
inline constexpr limits roomy{.bytes = 64 << 20};

/// A value that was accepted is canonical: the naive reader finds the same bytes in it.
inline void require_canonical(value_view x) {
  const auto read = testing::naive_msgpack(x.bytes(), roomy);
  require(read.has_value(), "an accepted value is well-formed msgpack");
  require(read->bytes() == x.bytes(), "an accepted value is canonical");
  require(internal::well_formed(x.bytes(), limits{}.depth), "well_formed knows an accepted value");
}

inline bool contains_binary(value_view x) {
  for (auto c = x.children(); c.next();) {
    if (contains_binary(c.item()))
      return true;
  }
  return x.type() == value_type::binary;
}

/// JSON carries everything but bytes, which come back as text.
inline void require_json_round_trip(value_view x) {
  const auto text = to_json(x);
  const auto again = value_from_json(text, roomy);
  require(again.has_value(), "what is printed as JSON can be read");
  require(to_json(*again) == text, "JSON that is read prints as it stood");
  if (!contains_binary(x)) {
    require(*again == x, "JSON gives an equal value");
    require(again->bytes() == x.bytes(), "JSON gives the same bytes");
  }
}

inline void require_refusal(const error& why, const limits& budget) {
  switch (why.code) {
    case errc::malformed:
    case errc::invalid_value: require(!why.limit, "only a budget has a limit"); break;
    case errc::too_large: require(why.limit == budget.bytes, "the limit of bytes is told"); break;
    case errc::too_deep: require(why.limit == budget.depth, "the limit of depth is told"); break;
    case errc::too_many_elements:
      require(why.limit == budget.elements, "the limit of elements is told");
      break;
    default: require(false, "a refused document has a code of the caller's family");
  }
  require(!why.message.empty() && testing::naive_utf8(why.message), "a refusal says why");
  require(testing::naive_pointer(why.path), "a refusal's path is a JSON pointer");
}

/// The verdict of the reader and of the naive one are the same. `read` and `naive` are
/// `expected<value>(bytes, limits)` and `optional<value>(bytes, limits)`.
template <class Reader, class Naive>
expected<value> require_same_verdict(std::string_view bytes, const limits& budget, Reader read,
                                     Naive naive) {
  auto out = read(bytes, budget);
  const auto wanted = naive(bytes, budget);
  require(out || !wanted, "a document that may be kept is not refused");
  require(!out || wanted, "a document that cannot be kept is refused");
  if (out)
    require(out->bytes() == wanted->bytes(), "a document is read as the naive reader reads it");
  else
    require_refusal(out.error(), budget);
  return out;
}

}  // namespace troupe::fuzz
