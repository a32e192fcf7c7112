/// Commands to a few entities of one kind, their forks and merges, with a clock: bytes choose
/// everything that a random number chooses in tests/state/model_test.cpp, and the naive model says
/// what must come of it.

#include "fuzz/require.hpp"
#include "support/model_world.hpp"

#include <cstdint>

using namespace troupe;
using namespace troupe::fuzz;

namespace {

constexpr std::size_t most_bytes = 600;  // fifty commands

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0)
    return 0;
  const std::string_view bytes{reinterpret_cast<const char*>(data), std::min(size, most_bytes)};
  const auto kind = static_cast<entity_kind>(static_cast<unsigned char>(bytes.front()) % 5 + 1);
  testing::world w{kind, testing::dice{bytes.substr(1)}};
  std::string fault;
  while (fault.empty() && !w.luck_is_out())
    fault = w.step();
  if (fault.empty())
    fault = w.end();
  if (!fault.empty()) {
    for (const auto& line : w.story())
      std::fprintf(stderr, "%s\n", line.c_str());
    require(false, fault);
  }
  return 0;
}
