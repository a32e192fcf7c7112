/// One msgpack document, or two in a row: refused for a reason that helps, or kept canonically; and
/// two values are equal as the naive comparison says.

#include <troupe/state/value.hpp>

#include "fuzz/documents.hpp"

#include <cstdint>

using namespace troupe;
using namespace troupe::fuzz;

namespace {

void require_equality(const value& a, const value& b) {
  require(a == a && b == b, "equality is reflexive");
  require((a == b) == (b == a), "equality is symmetric");
  require((a == b) == testing::naive_equal(a, b), "equality is structural");
  require(a == testing::with_reversed_keys(a), "the order of keys does not matter");
}

/// Stored bytes are not decoded but walked, once `well_formed` has let them pass.
void require_walkable(std::string_view bytes) {
  if (!internal::well_formed(bytes, limits{}.depth))
    return;
  const value_view x{bytes};
  require(x.bytes().size() == bytes.size(), "well-formed bytes are one value");
  require(x == x && !to_json(x).empty(), "well-formed bytes can be compared and printed");
  const auto decoded = value_from_msgpack(bytes, roomy);
  require(decoded || decoded.error().message == "a key occurs twice"
              || decoded.error().code == errc::too_many_elements,
          "well-formed bytes are refused for their keys or their number only");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes{reinterpret_cast<const char*>(data), size};
  require_walkable(bytes);
  require_same_verdict(bytes, tight, value_from_msgpack, testing::naive_msgpack);
  const auto x = require_same_verdict(bytes, limits{}, value_from_msgpack, testing::naive_msgpack);
  if (x) {
    require_canonical(*x);
    require_json_round_trip(*x);
    require_equality(*x, value{});
    return 0;
  }
  testing::naive_msgpack_reader reader{bytes, limits{}};
  const auto first = reader.first();
  const auto second =
      first ? testing::naive_msgpack(bytes.substr(reader.used())) : std::optional<value>{};
  if (second)
    require_equality(*first, *second);
  return 0;
}
