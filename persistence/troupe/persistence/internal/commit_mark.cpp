#include <troupe/persistence/internal/bytes.hpp>
#include <troupe/persistence/internal/commit_mark.hpp>
#include <troupe/persistence/internal/crc32c.hpp>

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

namespace troupe::internal {

namespace {

constexpr std::string_view magic = "TRPM";
constexpr char current_version = 1;
constexpr std::size_t at_version = 4, at_clean = 5, at_position = 8, at_digest = 16,
                      at_checksum = commit_mark::bytes - 4;

}  // namespace

std::string encode(const commit_mark& mark) {
  std::string out(commit_mark::bytes, '\0');
  out.replace(0, magic.size(), magic);
  out[at_version] = current_version;
  out[at_clean] = mark.clean ? 1 : 0;
  put_le(out.data() + at_position, mark.position);
  put_le(out.data() + at_digest, mark.digest);
  put_le(out.data() + at_checksum, crc32c({out.data(), at_checksum}));
  return out;
}

std::optional<commit_mark> decode_mark(std::string_view bytes) {
  if (bytes.size() != commit_mark::bytes || !bytes.starts_with(magic)
      || bytes[at_version] != current_version
      || get_le<std::uint32_t>(bytes.data() + at_checksum) != crc32c(bytes.substr(0, at_checksum)))
    return {};
  return commit_mark{get_le<std::uint64_t>(bytes.data() + at_position),
                     get_le<std::uint32_t>(bytes.data() + at_digest), bytes[at_clean] == 1};
}

expected<mark_file> mark_file::open(const data_directory& directory, mode how) {
  auto fd =
      directory.open_file("commit.mark", how == mode::read ? O_RDONLY : O_RDWR | O_CREAT | O_DSYNC);
  if (!fd)
    return unexpected{fd.error()};
  return mark_file{std::move(*fd), (directory.path() / "commit.mark").string()};
}

expected<std::optional<commit_mark>> mark_file::read() const {
  std::string raw;
  if (const int code = read_at(fd_.get(), raw, commit_mark::bytes, 0); code != 0)
    return system_failure("cannot read " + name_, code);
  return decode_mark(raw);
}

expected<void> mark_file::write(const commit_mark& mark) const {
  const auto raw = encode(mark);
  ssize_t size = 0;
  do {
    size = ::pwrite(fd_.get(), raw.data(), raw.size(), 0);
  } while (size < 0 && errno == EINTR);
  if (size < 0)
    return system_failure("cannot write " + name_, errno);
  if (size != static_cast<ssize_t>(raw.size()))
    return fail(errc::store_full, "cannot write all of " + name_);
  return {};
}

}  // namespace troupe::internal
