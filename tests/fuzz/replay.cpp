/// Holds a fuzz target's invariants against every file of a corpus, with any compiler: `replay_NAME
/// FOLDER`. A corpus that is missing or empty fails. A target aborts on a finding; the name of the
/// file it was given stands before that on stderr.

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

int main(int argc, char** argv) {
  namespace fs = std::filesystem;
  const fs::path folder = argc == 2 ? argv[1] : "";
  std::vector<fs::path> files;
  if (fs::is_directory(folder))
    files.assign(fs::directory_iterator{folder}, {});
  std::sort(files.begin(), files.end());
  if (files.empty()) {
    std::fprintf(stderr, "no corpus in '%s'\n", folder.c_str());
    return EXIT_FAILURE;
  }
  for (const auto& file : files) {
    std::ifstream in{file, std::ios::binary};
    const std::string bytes{std::istreambuf_iterator<char>{in}, {}};
    if (!in) {
      std::fprintf(stderr, "cannot read %s\n", file.c_str());
      return EXIT_FAILURE;
    }
    std::fprintf(stderr, "%s\n", file.c_str());  // before, so that it is there when this aborts
    // Exactly as much memory as there are bytes, so that a sanitizer sees any read behind them.
    const auto copy = std::make_unique<std::uint8_t[]>(bytes.size());
    std::copy(bytes.begin(), bytes.end(), copy.get());
    LLVMFuzzerTestOneInput(copy.get(), bytes.size());
  }
  std::fprintf(stderr, "%zu inputs replayed\n", files.size());
}
