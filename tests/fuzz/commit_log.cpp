/// What stands in `commit.log`: its first byte says what the data file has, the rest is the file
/// behind its head. The checksum of every batch that could be one is made right first, or the
/// fuzzer would never get past it.

#include <troupe/persistence/internal/bytes.hpp>
#include <troupe/persistence/internal/crc32c.hpp>
#include <troupe/persistence/internal/write_ahead_log.hpp>

#include "fuzz/require.hpp"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

using namespace troupe;
using namespace troupe::fuzz;
using internal::get_le;

namespace {

constexpr std::size_t page = 4'096, head = 32;
constexpr std::uint64_t number = 0x3031323334353637;  // of the file: "76543210"

/// Where a batch of so many bytes begins, whatever its checksum says.
std::optional<std::size_t> size_at(const std::string& file, std::size_t at) {
  if (file.size() - at < head || file.compare(at, 4, "TRPB") != 0
      || get_le<std::uint64_t>(file.data() + at + 16) != number)
    return {};
  const std::size_t size = head + get_le<std::uint32_t>(file.data() + at + 24);
  if (size > file.size() - at || get_le<std::uint32_t>(file.data() + at + 4) == 0)
    return {};
  return size;
}

struct naive_record {
  std::uint64_t position;
  std::string value;
  bool operator==(const naive_record&) const = default;
};

/// Nothing where the file is damaged.
std::optional<std::vector<naive_record>> naive_log(const std::string& file, std::uint64_t behind) {
  std::vector<naive_record> out;
  auto newest = behind;
  std::optional<std::uint64_t> follows;
  std::size_t at = page;
  while (at < file.size()) {
    const auto size = size_at(file, at);
    if (!size)
      break;
    auto position = get_le<std::uint64_t>(file.data() + at + 8);
    if (follows && position != *follows)
      break;
    if (position > newest + 1)
      return {};
    const auto count = get_le<std::uint32_t>(file.data() + at + 4);
    auto rest = file.substr(at + head, *size - head);
    for (std::uint32_t i = 0; i < count; ++i, ++position) {
      if (rest.size() < 4 || get_le<std::uint32_t>(rest.data()) > rest.size() - 4)
        return {};
      const auto length = get_le<std::uint32_t>(rest.data());
      if (position > behind)
        out.push_back({position, rest.substr(4, length)});
      rest = rest.substr(4 + length);
    }
    if (!rest.empty())
      return {};
    follows = position;
    newest = std::max(newest, position - 1);
    at += (*size + page - 1) / page * page;
  }
  for (; at < file.size(); at += page)
    if (size_at(file, at) && get_le<std::uint64_t>(file.data() + at + 8) > newest)
      return {};
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0)
    return 0;
  const std::uint64_t behind = data[0];
  std::string file(page, '\0');
  file.replace(0, 5, "TRPL\1");
  internal::put_le(file.data() + 8, number);
  internal::put_le(file.data() + 16, internal::crc32c({file.data(), 16}));
  file.append(reinterpret_cast<const char*>(data) + 1, size - 1);
  // From the last one on, as a batch may hold the pages that others begin on.
  for (auto pages = (file.size() + page - 1) / page; pages > 1; --pages) {
    const auto at = (pages - 1) * page;
    if (const auto bytes = size_at(file, at))
      internal::put_le(file.data() + at + 28,
                       internal::crc32c({file.data() + at + head, *bytes - head},
                                        internal::crc32c({file.data() + at, 28})));
  }
  const auto expected_here = naive_log(file, behind);
  const auto found = internal::read_log(file, behind);
  require(found.has_value() == expected_here.has_value(),
          "a log is damaged where the rules say so");
  if (!found) {
    require(found.error().code == errc::damaged, "what cannot be read is damaged");
    return 0;
  }
  std::vector<naive_record> got;
  for (const auto& [position, value] : *found)
    got.push_back({position, std::string{value}});
  require(got == *expected_here, "a log holds the records that the rules say");
  const auto whole = file.substr(0, internal::whole_batches(file));
  const auto again = internal::read_log(whole, behind);
  require(again && again->size() == found->size(), "the whole batches hold all of it");
  return 0;
}
