#pragma once

#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

namespace troupe::bench {

/// Words as in a turn of a conversation: always the same for a seed, about as compressible as text.
inline std::string turn_text(std::size_t bytes, std::uint64_t seed = 1) {
  static const auto vocabulary = [] {
    std::mt19937_64 random{0};
    std::vector<std::string> out(2'000);
    for (auto& word : out) {
      for (auto letters = 2 + random() % 8; letters > 0; --letters)
        word += static_cast<char>('a' + random() % 26);
      word += ' ';
    }
    return out;
  }();
  std::minstd_rand random{static_cast<std::uint32_t>(seed + 1)};
  std::string out;
  while (out.size() < bytes)
    out += vocabulary[random() % vocabulary.size()];
  out.resize(bytes);
  return out;
}

}  // namespace troupe::bench
