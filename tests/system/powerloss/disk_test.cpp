#include "system/powerloss/disk.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <stdexcept>

using namespace troupe::power;

namespace {

constexpr std::uint64_t block = 512;

std::string text(std::size_t size, char c = 'x') {
  return std::string(size, c);
}

std::size_t pending_bytes(const file_model& file) {
  std::size_t sum = 0;
  for (const auto& one : file.pending())
    sum += one.bytes.size();
  return sum;
}

entry call(event what, std::string_view path, std::uint64_t file = 0) {
  return {what, file, 0, path};
}

}  // namespace

TEST_CASE("a write is cut at the borders of blocks and durable only after a sync") {
  file_model file{block};
  const auto data = text(1'000);
  file.write(500, data);
  CHECK(file.size() == 0);
  CHECK(file.bytes().empty());
  REQUIRE(file.pending().size() == 4);  // the size, 12 bytes, a block, the rest
  CHECK(file.pending()[0].is_size());
  CHECK(file.pending()[1].bytes.size() == 12);
  CHECK(file.pending()[2].bytes.size() == block);
  CHECK(file.pending()[3].bytes.size() == 476);
  file.data_sync();
  CHECK(file.pending().empty());
  CHECK(file.size() == 1'500);
  CHECK(file.bytes() == std::string(500, '\0') + data);
}

TEST_CASE("fdatasync leaves a size pending that no byte needs and fsync does not") {
  file_model file{block};
  const auto data = text(block);
  file.write(0, data);
  file.resize(8 * block);
  file.data_sync();
  CHECK(file.size() == block);
  REQUIRE(file.pending().size() == 1);
  CHECK(file.pending()[0].is_size());
  file.sync();
  CHECK(file.size() == 8 * block);
  CHECK(file.pending().empty());
}

TEST_CASE("a synced write makes its own blocks durable and no other") {
  file_model file{block};
  const auto old = text(2 * block, 'a');
  const auto data = text(100, 'b');
  file.write(0, old);
  file.write(40, data);
  file.sync_blocks(40, data.size());
  CHECK(file.bytes().substr(0, 200) == text(40, 'a') + text(100, 'b') + text(60, 'a'));
  CHECK(pending_bytes(file) == block);
  CHECK(std::all_of(file.pending().begin(), file.pending().end(),
                    [](const unit& one) { return one.is_size() || one.offset == block; }));
}

TEST_CASE("what was written later is what a block holds after a sync") {
  file_model file{block};
  const auto first = text(10, 'a'), second = text(10, 'b');
  file.write(0, first);
  file.write(0, second);
  CHECK(pending_bytes(file) == 20);  // the disk may have either
  file.sync();
  CHECK(file.bytes() == second);
}

TEST_CASE("a file that becomes shorter has nothing behind that and nothing pending") {
  file_model file{block};
  const std::string old(3 * block, 'o');
  file.write(0, old);
  file.sync();
  file.write(block, old);
  file.resize(100);
  CHECK(file.size() == 100);
  CHECK(file.bytes() == std::string(100, 'o'));
  CHECK(file.pending().empty());
  file.resize(block);
  file.sync();
  CHECK(file.size() == block);
  CHECK(file.bytes().size() == 100);  // zeros behind
}

TEST_CASE("names arrive in order and are durable after the sync of their directory") {
  using namespace std::string_literals;
  names_model names;
  names.change(call(event::make_dir, "/r/s"));
  names.change(call(event::make_dir, "/r/s/new"));
  names.change(call(event::create, "/r/s/new/data", 7));
  const auto rename = "/r/s/new/data\0/r/s/data"s;
  names.change(call(event::rename, rename));
  names.change(call(event::remove, "/r/s/new"));
  CHECK(names.after(0).empty());
  CHECK(names.after(3) == name_space_tree{{"/r/s", 0}, {"/r/s/new", 0}, {"/r/s/new/data", 7}});
  names.sync_dir("/r");
  CHECK(names.pending() == 4);
  CHECK(names.after(0) == name_space_tree{{"/r/s", 0}});
  names.sync_dir("/r/s");
  CHECK(names.pending() == 0);
  CHECK(names.after(0) == name_space_tree{{"/r/s", 0}, {"/r/s/data", 7}});
}

TEST_CASE("a log that is cut or holds an unknown call is refused") {
  const entry_head head{event::unsupported, 4, 0, 0};
  std::string log{reinterpret_cast<const char*>(&head), sizeof head};
  CHECK_THROWS_AS(read_log(log), std::runtime_error);
  CHECK_THROWS_WITH(read_log(log + "mmap"), "the workload did what is not modelled: mmap");
  CHECK_THROWS_AS(read_log(log.substr(0, 3)), std::runtime_error);
}
