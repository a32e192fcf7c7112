#include "troupe/store_directory.hpp"

#include <sys/vfs.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <string>
#include <string_view>
#include <system_error>

namespace troupe::cli {

namespace fs = std::filesystem;

bool begins_as_store(const fs::path& file) {
  constexpr std::string_view magic = "\xde\xc0\xef\xbe";  // 0xbeefc0de, little-endian
  constexpr std::size_t at = 16;
  std::ifstream in{file, std::ios::binary};
  if (!in)
    return true;
  std::array<char, at + magic.size()> head{};
  in.read(head.data(), head.size());
  return in && std::string_view{head.data(), head.size()}.substr(at) == magic;
}

temporary_directory::temporary_directory() {
  auto name = (fs::temp_directory_path() / "troupe-replay-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr)
    throw fs::filesystem_error{
        "cannot make a temporary directory", name, {errno, std::generic_category()}};
  path_ = name;
}

temporary_directory::~temporary_directory() {
  std::error_code ec;
  fs::remove_all(path_, ec);
}

bool temporary_directory::in_memory() const {
  constexpr long tmpfs = 0x01021994, ramfs = 0x858458f6;
  struct statfs info {};
  return ::statfs(path_.c_str(), &info) == 0 && (info.f_type == tmpfs || info.f_type == ramfs);
}

}  // namespace troupe::cli
