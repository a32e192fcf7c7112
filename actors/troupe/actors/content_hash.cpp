#include <troupe/actors/result_cache.hpp>
#include <troupe/state/digest.hpp>

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

namespace troupe {

namespace {

struct close_file {
  void operator()(std::FILE* file) const noexcept { std::fclose(file); }
};

unexpected cannot_read(const std::string& path, int code) {
  return fail(code == ENOENT || code == ENOTDIR ? errc::not_found : errc::store_failed,
              "cannot read " + path + ": " + std::generic_category().message(code));
}

/// Path, size and bytes, each with one reading.
expected<void> add_file(sha256_hasher& all, const std::string& path) {
  const std::unique_ptr<std::FILE, close_file> file{std::fopen(path.c_str(), "rbe")};
  struct stat info {};
  if (!file || ::fstat(::fileno(file.get()), &info) != 0)
    return cannot_read(path, errno);
  if (!S_ISREG(info.st_mode))
    return fail(errc::store_failed, "cannot read " + path + ": it is no plain file");
  std::array<char, 8> size{};
  for (std::size_t i = 0; i < size.size(); ++i)
    size[7 - i] = static_cast<char>(static_cast<std::uint64_t>(info.st_size) >> (8 * i) & 0xff);
  all.field(path).update({size.data(), size.size()});
  std::vector<char> buffer(64 << 10);
  auto left = static_cast<std::uint64_t>(info.st_size);
  while (const auto got = std::fread(buffer.data(), 1, buffer.size(), file.get())) {
    all.update({buffer.data(), got});
    left -= got;
  }
  if (std::ferror(file.get()) != 0)
    return cannot_read(path, errno);
  if (left != 0)
    return fail(errc::busy, path + " changed while it was read");
  return {};
}

}  // namespace

expected<std::string> content_hash_of_files(std::span<const std::filesystem::path> files) {
  std::vector<std::string> paths;
  for (const auto& file : files)
    paths.push_back(file.lexically_normal().string());
  std::sort(paths.begin(), paths.end());
  paths.erase(std::unique(paths.begin(), paths.end()), paths.end());
  sha256_hasher all;
  all.field(std::string_view{"troupe/content-hash/1"});
  for (const auto& path : paths) {
    if (auto done = add_file(all, path); !done)
      return unexpected{std::move(done.error())};
  }
  return to_hex(all.finish());
}

}  // namespace troupe
