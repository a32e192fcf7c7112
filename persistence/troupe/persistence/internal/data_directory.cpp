#include <troupe/persistence/internal/bytes.hpp>
#include <troupe/persistence/internal/data_directory.hpp>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <csignal>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <vector>

namespace troupe::internal {

namespace fs = std::filesystem;

int read_at(int fd, std::span<char> to, std::uint64_t offset, std::size_t& done) {
  done = 0;
  while (done < to.size()) {
    const auto size =
        ::pread(fd, to.data() + done, to.size() - done, static_cast<off_t>(offset + done));
    if (size < 0 && errno == EINTR)
      continue;
    if (size < 0)
      return errno;
    if (size == 0)
      break;
    done += static_cast<std::size_t>(size);
  }
  return 0;
}

int read_at(int fd, std::string& out, std::size_t bytes, std::uint64_t offset) {
  out.resize(bytes);
  std::size_t done = 0;
  const int code = read_at(fd, std::span{out}, offset, done);
  out.resize(done);
  return code;
}

unexpected system_failure(const std::string& what, int code) {
  return fail(code == ENOSPC || code == EDQUOT ? errc::store_full : errc::store_failed,
              what + ": " + std::generic_category().message(code));
}

namespace {

/// Opens a plain file of ours; a symbolic link or anything else in its place is refused.
expected<unique_fd> open_plain(const fs::path& path, int flags) {
  unique_fd fd{::open(path.c_str(), flags | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0600)};
  if (!fd)
    return errno == ELOOP
               ? expected<unique_fd>{fail(errc::damaged, path.string() + " is a symbolic link")}
               : expected<unique_fd>{system_failure("cannot open " + path.string(), errno)};
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0)
    return system_failure("cannot read the state of " + path.string(), errno);
  if (!S_ISREG(info.st_mode))
    return fail(errc::damaged, path.string() + " is not a plain file");
  return fd;
}

expected<void> make_private(const fs::path& path, int directory) {
  struct stat info {};
  if (::fstat(directory, &info) != 0)
    return system_failure("cannot read the state of " + path.string(), errno);
  if ((info.st_mode & 0077) == 0)
    return {};
  std::error_code ec;
  if (!fs::is_empty(path, ec) || ec)
    return fail(errc::forbidden, path.string()
                                        + " has content and is open to other users; if it is to "
                                          "hold the store: chmod 700 "
                                        + path.string());
  if (::fchmod(directory, 0700) != 0)
    return system_failure("cannot close " + path.string() + " to other users", errno);
  return {};
}

/// What the owner wrote; 0 while it has not.
pid_t owner_of(int fd) {
  std::array<char, 32> text{};
  const auto size = ::pread(fd, text.data(), text.size() - 1, 0);
  pid_t out = 0;
  std::from_chars(text.data(), text.data() + std::max<ssize_t>(size, 0), out);
  return out;
}

bool is_alive(pid_t pid) {
  return pid > 0 && (::kill(pid, 0) == 0 || errno == EPERM);
}

/// A process that checked the store for an owner that was killed dies with it, but not in the same
/// instant, and holds the lock until then. Longer: `busy`.
constexpr std::chrono::seconds orphan_patience{5};

expected<unique_fd> lock_owner(const fs::path& path) {
  auto fd = open_plain(path / "owner.lock", O_RDWR | O_CREAT);
  if (!fd)
    return fd;
  const auto until = std::chrono::steady_clock::now() + orphan_patience;
  while (::flock(fd->get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK)
      return system_failure("cannot lock " + (path / "owner.lock").string(), errno);
    const auto pid = owner_of(fd->get());
    if (is_alive(pid) || std::chrono::steady_clock::now() > until)
      return fail(errc::busy,
                  path.string() + " is in use by "
                      + (pid > 0 ? "pid " + std::to_string(pid) : "an unknown process"));
    std::this_thread::sleep_for(std::chrono::milliseconds{10});
  }
  const auto pid = std::to_string(::getpid()) + "\n";
  if (::ftruncate(fd->get(), 0) != 0
      || ::pwrite(fd->get(), pid.data(), pid.size(), 0) != static_cast<ssize_t>(pid.size()))
    return system_failure("cannot write " + (path / "owner.lock").string(), errno);
  return fd;
}

/// What LMDB's two meta pages say (format 1 of 64-bit little-endian machines).
struct meta_page {
  static constexpr std::size_t bytes = 152;
  static constexpr std::uint32_t magic = 0xbeefc0de;
  static constexpr std::uint16_t page_flag = 0x08;

  std::uint32_t version = 0;
  std::uint32_t page_bytes = 0;
  std::uint64_t last_page = 0;
};

expected<meta_page> read_meta(int fd, off_t at, const std::string& name) {
  std::string raw;
  if (const int code = read_at(fd, raw, meta_page::bytes, static_cast<std::uint64_t>(at));
      code != 0)
    return system_failure("cannot read " + name, code);
  if (raw.size() != meta_page::bytes)
    return fail(errc::damaged, name + " is truncated: it ends within its first two pages");
  if (get_le<std::uint32_t>(raw.data() + 16) != meta_page::magic
      || (get_le<std::uint16_t>(raw.data() + 10) & meta_page::page_flag) == 0)
    return fail(errc::damaged, name + " is no Troupe store: it does not begin as one");
  const meta_page out{get_le<std::uint32_t>(raw.data() + 20),
                      get_le<std::uint32_t>(raw.data() + 40),
                      get_le<std::uint64_t>(raw.data() + 136)};
  if (out.version != 1)
    return fail(errc::newer_format, name + " has the LMDB format " + std::to_string(out.version)
                                        + "; this build reads 1");
  const bool power_of_two = (out.page_bytes & (out.page_bytes - 1)) == 0;
  if (out.page_bytes < 512 || out.page_bytes > 65'536 || !power_of_two)
    return fail(errc::damaged, name + ": its first pages do not name a page size");
  return out;
}

}  // namespace

unique_fd::~unique_fd() {
  if (fd_ >= 0)
    ::close(fd_);
}

expected<data_directory> data_directory::acquire(const fs::path& where, bool allow_remote_fs,
                                                 const file_system_function& probe) {
  std::error_code ec;
  auto path = fs::absolute(where, ec).lexically_normal();
  if (path.filename().empty())  // a slash at the end would follow a symbolic link
    path = path.parent_path();
  std::vector<fs::path> parents{
      path.parent_path()};  // of each directory that is missing, and of ours
  for (auto at = path; !fs::exists(at.parent_path(), ec) && at.has_relative_path();
       at = at.parent_path())
    parents.push_back(at.parent_path().parent_path());
  fs::create_directories(path.parent_path(), ec);
  if (ec)
    return system_failure("cannot create the parent of " + path.string(), ec.value());
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST)
    return system_failure("cannot create " + path.string(), errno);
  unique_fd self{::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)};
  if (!self && (errno == ELOOP || errno == ENOTDIR))
    return fail(errc::damaged, path.string() + " is a symbolic link or no directory");
  if (!self)
    return system_failure("cannot open " + path.string(), errno);
  if (const auto remote = remote_file_system(probe(self.get()));
      !remote.empty() && !allow_remote_fs)
    return fail(errc::remote_file_system,
                path.string() + " is on " + std::string{remote}
                    + ", where locks, maps and syncs may not hold what a local disk holds; use a "
                      "local directory, or allow it with --allow-remote-fs");
  if (auto done = make_private(path, self.get()); !done)
    return unexpected{done.error()};
  auto lock = lock_owner(path);
  if (!lock)
    return unexpected{lock.error()};
  return data_directory{std::move(path), std::move(self), std::move(*lock), std::move(parents)};
}

bool data_directory::has_store() const {
  std::error_code ec;
  return fs::symlink_status(data_file(), ec).type() != fs::file_type::not_found;
}

expected<unique_fd> data_directory::open_file(std::string_view name, int flags) const {
  return open_plain(path_ / name, flags);
}

expected<void> data_directory::adopt_created() {
  if (::rename((creating() / "data.mdb").c_str(), data_file().c_str()) != 0)
    return system_failure("cannot move the new store to " + data_file().string(), errno);
  std::error_code ec;
  fs::remove_all(creating(), ec);  // a left-over is removed before the next attempt
  return {};
}

expected<void> data_directory::replace_data(const fs::path& with) const {
  if (::rename(with.c_str(), data_file().c_str()) != 0)
    return system_failure("cannot move " + with.string() + " to " + data_file().string(), errno);
  return sync();
}

expected<void> data_directory::prepare_to_open() const {
  const auto name = data_file().string();
  const auto data = open_plain(data_file(), O_RDWR);
  if (!data)
    return unexpected{data.error()};
  const auto first = read_meta(data->get(), 0, name);
  if (!first)
    return unexpected{first.error()};
  const auto second = read_meta(data->get(), static_cast<off_t>(first->page_bytes), name);
  if (!second)
    return unexpected{second.error()};
  struct stat info {};
  if (::fstat(data->get(), &info) != 0)
    return system_failure("cannot read the size of " + name, errno);
  const auto pages = static_cast<std::uint64_t>(info.st_size) / first->page_bytes;
  if (const auto last = std::max(first->last_page, second->last_page); last >= pages)
    return fail(errc::damaged, name + " is truncated: it has " + std::to_string(pages)
                                   + " pages and its meta page names page " + std::to_string(last));

  constexpr off_t lock_bytes = 16 << 10;  // LMDB's table of 126 readers takes half of it
  const auto lock = open_plain(path_ / "lock.mdb", O_RDWR | O_CREAT);
  if (!lock)
    return unexpected{lock.error()};
  if (const int code = ::posix_fallocate(lock->get(), 0, lock_bytes); code != 0)
    return system_failure("cannot allocate " + (path_ / "lock.mdb").string(), code);
  return {};
}

expected<void> data_directory::sync() const {
  if (::fsync(self_.get()) != 0)
    return system_failure("cannot sync " + path_.string(), errno);
  for (const auto& path : parents_) {
    const unique_fd parent{::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    if (!parent && errno == EACCES)
      continue;  // not ours to read, so not ours to create in
    if (!parent || ::fsync(parent.get()) != 0)
      return system_failure("cannot sync " + path.string(), errno);
  }
  return {};
}

}  // namespace troupe::internal
