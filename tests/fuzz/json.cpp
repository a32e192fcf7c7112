/// One JSON document: refused for a reason that helps, or read without loss.

#include <troupe/state/json.hpp>

#include "fuzz/documents.hpp"
#include "support/naive_json.hpp"

#include <cstdint>

using namespace troupe;
using namespace troupe::fuzz;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text{reinterpret_cast<const char*>(data), size};
  require_same_verdict(text, tight, value_from_json, testing::naive_json);
  const auto x = require_same_verdict(text, limits{}, value_from_json, testing::naive_json);
  if (!x)
    return 0;
  require_canonical(*x);
  require_json_round_trip(*x);
  const auto stored = value_from_msgpack(x->bytes());
  require(stored.has_value(), "a value can be read from its own bytes");
  require(*stored == *x && stored->bytes() == x->bytes(), "msgpack gives the value back");
  return 0;
}
