#include "system/powerloss/image.hpp"

#include "support/temp_directory.hpp"
#include <doctest/doctest.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <list>
#include <set>

using namespace troupe::power;

namespace {

constexpr std::uint64_t block = 512;
constexpr std::uint64_t file_id = 7, log_id = 8;

/// The image built from nothing, in the plainest way.
std::string naive(const file_model& file, const choice& image, std::size_t first) {
  auto size = file.size();
  const auto arrived = [&](std::size_t i) { return image.units[first + i]; };
  for (std::size_t i = 0; i < file.pending().size(); ++i)
    if (arrived(i) && file.pending()[i].is_size())
      size = std::max(size, file.pending()[i].offset);
  std::string out = file.bytes();
  out.resize(64 * block);
  for (std::size_t i = 0; i < file.pending().size(); ++i)
    if (const auto& one = file.pending()[i]; arrived(i) && !one.is_size())
      out.replace(one.offset, one.bytes.size(), one.bytes);
  out.resize(size);
  return out;
}

std::string bytes_of(const std::filesystem::path& path) {
  std::ifstream in{path, std::ios::binary};
  return {std::istreambuf_iterator<char>{in}, {}};
}

}  // namespace

TEST_CASE("up to six units give every subset and more give each alone and all but one") {
  std::mt19937_64 random{1};
  std::set<choice> few;
  for (auto& image : choose(6, 0, 1'000, random))
    few.insert(image);
  CHECK(few.size() == 64);
  std::size_t alone = 0, all_but_one = 0;
  std::set<choice> many;
  for (auto& image : choose(20, 0, 1'000, random))
    many.insert(image);
  for (const auto& image : many) {
    const auto arrived = std::count(image.units.begin(), image.units.end(), true);
    alone += arrived == 1 ? 1 : 0;
    all_but_one += arrived == 19 ? 1 : 0;
  }
  CHECK(alone >= 20);
  CHECK(all_but_one >= 20);
  CHECK(choose(200, 0, 16, random).size() == 16);
}

TEST_CASE("an image that is written over its neighbour is the one that was chosen") {
  const troupe::testing::temp_directory scratch;
  std::mt19937_64 random{1};
  for (int round = 0; round < 20; ++round) {
    std::vector<modelled_file> files{{file_model{block}, file_id}, {file_model{block}, log_id}};
    const names_model names{
        {{"/r/store", 0}, {"/r/store/commit.log", log_id}, {"/r/store/data.mdb", file_id}}};
    const std::vector<std::string> called{"data.mdb", "commit.log"};
    std::list<std::string> data;  // what the models point into
    std::vector<std::uint64_t> sizes(2);
    image_directory shown{scratch.path(), "/r"};
    for (int call = 0; call < 60; ++call) {
      const auto which = random() % 2;
      auto& file = files[which].model;
      auto& size = sizes[which];
      switch (random() % 9) {
        case 0: file.sync(); break;
        case 1: file.data_sync(); break;
        case 2: file.sync_blocks(random() % (32 * block), 100); break;
        case 3: file.resize(size = std::min(size + random() % (4 * block), 64 * block)); break;
        case 4:
          if (random() % 4 == 0)
            file.resize(size = random() % (size + 1));
          break;
        default: {
          const auto at = random() % (60 * block);
          data.emplace_back(1 + random() % (3 * block), static_cast<char>('a' + call % 26));
          file.write(at, data.back());
          size = std::max(size, at + data.back().size());
        }
      }
      shown.arrived(which, file.take_arrived());
      const auto of_data = files[0].model.pending().size();
      const auto units = of_data + files[1].model.pending().size();
      for (const auto& image : choose(units, 0, 8, random)) {
        shown.show(files, names, image);
        for (std::size_t i = 0; i < 2; ++i)
          REQUIRE(bytes_of(scratch.path() / "store" / called[i])
                  == naive(files[i].model, image, i == 0 ? 0 : of_data));
      }
      if (random() % 16 == 0) {
        std::ofstream{scratch.path() / "store" / called[which], std::ios::app}
            << "what a check wrote";
        shown.touched();
      }
    }
  }
}
