// What the store costs beside the append: bytes written for each byte of payload, starts by the
// size of the store, waking a session, and folding the journal. JSON on stdout, one object per
// result.
//
//   store_bench [--only amplification|folding|lookups|reopening] [--turns 50000]
//               [--long-turns 10000] [--sessions 1000000] [--rounds 5] [--dir DIRECTORY]

#include "store/scenarios.hpp"
#include <stdlib.h>

#include <algorithm>
#include <cstdio>
#include <exception>
#include <stdexcept>
#include <string>

using namespace troupe::bench;

int main(int argc, char** argv) {
  try {
    store_scenarios how;
    std::string only;
    std::filesystem::path parent = std::filesystem::temp_directory_path();
    for (int i = 1; i < argc; i += 2) {
      const std::string name = argv[i];
      const std::string given = i + 1 < argc ? argv[i + 1] : "";
      if (name == "--only")
        only = given;
      else if (name == "--turns")
        how.turns = std::stoul(given);
      else if (name == "--long-turns")
        how.long_turns = std::stoul(given);
      else if (name == "--sessions")
        how.sessions = std::stoul(given);
      else if (name == "--rounds")
        how.rounds = std::max(1, std::stoi(given));
      else if (name == "--dir")
        parent = given;
      else
        throw std::runtime_error{"there is no option " + name};
    }
    auto name = (parent / "troupe-store-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr)
      throw std::runtime_error{"cannot make " + name};
    how.dir = name;
    if (only.empty() || only == "amplification")
      measure_write_amplification(how);
    if (only.empty() || only == "folding")
      measure_folding(how);
    if (only.empty() || only == "lookups")
      measure_lookups(how);
    if (only.empty() || only == "reopening")
      measure_reopening(how);
    std::filesystem::remove_all(how.dir);
    return 0;
  } catch (const std::exception& why) {
    std::fprintf(stderr, "error: %s\n", why.what());
    return 1;
  }
}
