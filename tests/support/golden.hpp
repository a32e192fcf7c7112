#pragma once

/// Bytes that must never change stand as hexadecimal text in tests/golden.
/// TROUPE_REGENERATE_GOLDEN=1 writes them anew, which is a change of format: see
/// docs/on-disk-format.md.

#include "printing.hpp"
#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

namespace troupe::testing {

inline std::filesystem::path golden_path(const std::string& name) {
  return std::filesystem::path{TROUPE_TEST_DIR} / "golden" / name;
}

/// The bytes of a golden file; fails the test when there is none.
inline std::string golden(const std::string& name) {
  std::ifstream in{golden_path(name)};
  REQUIRE_MESSAGE(in.is_open(), "no golden file ", golden_path(name).string());
  return from_hex(std::string{std::istreambuf_iterator<char>{in}, {}});
}

/// Writes the file where that is asked for.
inline void regenerate_golden(const std::string& name, std::string_view bytes) {
  if (const char* regenerate = std::getenv("TROUPE_REGENERATE_GOLDEN");
      regenerate && std::string_view{regenerate} == "1") {
    std::filesystem::create_directories(golden_path(name).parent_path());
    std::ofstream out{golden_path(name)};
    const auto hex = to_hex(bytes);
    for (std::size_t i = 0; i < hex.size(); i += 64)
      out << hex.substr(i, 64) << '\n';
    REQUIRE(out.flush());
  }
}

inline void check_golden(const std::string& name, std::string_view bytes) {
  regenerate_golden(name, bytes);
  CHECK_MESSAGE(to_hex(golden(name)) == to_hex(bytes), name);
}

}  // namespace troupe::testing
