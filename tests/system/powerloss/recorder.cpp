// An LD_PRELOAD library that writes down what a process asks of the disk below one directory.
//
//   TROUPE_POWER_ROOT   the directory, absolute and without symbolic links
//   TROUPE_POWER_LOG    the log (log.hpp), outside of it
//   TROUPE_POWER_PLANT  a lie, so that tests can see the campaign find it:
//                       nosync      no sync reached the disk at all
//                       nometasync  O_DSYNC writes were plain ones (as MDB_NOMETASYNC does)
//                       latesync    neither did fdatasync, but all was synced before each ack
//                                   (MDB_NOSYNC with mdb_env_sync before the ack)
//                       nodirsync   fsync of a directory did nothing
//
// Without a log it only lets calls fail that somebody planned to fail: ../faults/faults.hpp.
//
// For one thread. Every call is done first and recorded afterwards, so the log holds what
// succeeded. Writes through a map cannot be seen: a writable shared map is recorded as
// `unsupported`.

#include "../faults/faults.hpp"
#include "log.hpp"
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdarg>
#include <cstdlib>
#include <string>

using troupe::power::entry_head;
using troupe::power::event;

namespace {

/// The function of this name that we stand in front of.
template <class F>
F* next(const char* name, F* /*same type*/) {
  auto* out = ::dlsym(RTLD_NEXT, name);
  if (out == nullptr)
    std::abort();
  return reinterpret_cast<F*>(out);
}
#define REAL(name)                                  \
  ([] {                                             \
    static auto* const real = next(#name, &::name); \
    return real;                                    \
  }())

struct file {
  enum class kind : char { foreign, plain, directory } is = kind::foreign;
  bool synced_writes = false;
  std::uint64_t id = 0;
};

std::array<file, 1024> files;  // by descriptor

std::string setting(const char* name) {
  const char* text = std::getenv(name);
  return text == nullptr ? "" : text;
}

std::string& root() {
  static auto out = [] {
    troupe::faults::read_environment();
    return setting("TROUPE_POWER_ROOT");
  }();
  return out;
}

bool plant(const char* name) {
  static const auto out = setting("TROUPE_POWER_PLANT");
  return out == name;
}

void write_all(int fd, const void* data, std::size_t size) {
  for (const auto* at = static_cast<const char*>(data); size != 0;) {
    const auto done = REAL(write)(fd, at, size);
    if (done <= 0)
      std::abort();  // a log with a hole would prove nothing
    at += done;
    size -= static_cast<std::size_t>(done);
  }
}

void record(event what, std::uint64_t id, std::uint64_t offset, const void* data,
            std::size_t size) {
  static const auto name = setting("TROUPE_POWER_LOG");
  if (name.empty())
    return;
  static const int log = REAL(open)(name.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  const int before = errno;
  const entry_head head{what, static_cast<std::uint32_t>(size), id, offset};
  write_all(log, &head, sizeof head);
  write_all(log, data, size);
  errno = before;
}

void record(event what, const std::string& text, std::uint64_t id = 0) {
  record(what, id, 0, text.data(), text.size());
}

/// The absolute path; empty when it is none of ours.
std::string ours(int at, const char* path) {
  std::string out = path;
  if (out.empty() || out.front() != '/') {
    std::array<char, 4096> folder{};
    const auto link = at == AT_FDCWD ? "/proc/self/cwd" : "/proc/self/fd/" + std::to_string(at);
    if (::readlink(link.c_str(), folder.data(), folder.size() - 1) < 0)
      return {};
    out = std::string{folder.data()} + (out.empty() ? "" : "/" + out);
  }
  return !root().empty() && (out == root() || out.starts_with(root() + "/")) ? out : "";
}

file* plain(int fd) {
  if (fd < 0 || fd >= static_cast<int>(files.size()))
    return nullptr;
  auto& out = files[static_cast<std::size_t>(fd)];
  return out.is == file::kind::plain ? &out : nullptr;
}

void wrote(int fd, const void* data, ssize_t size, off_t at) {
  const auto* to = plain(fd);
  if (to == nullptr || size <= 0)
    return;
  const bool synced =
      to->synced_writes && !plant("nosync") && !plant("nometasync") && !plant("latesync");
  record(synced ? event::synced_write : event::write, to->id, static_cast<std::uint64_t>(at), data,
         static_cast<std::size_t>(size));
}

void wrote(int fd, const iovec* parts, int count, ssize_t size, off_t at) {
  std::string all;
  for (int i = 0; i < count && plain(fd) != nullptr; ++i)
    all.append(static_cast<const char*>(parts[i].iov_base), parts[i].iov_len);
  wrote(fd, all.data(), std::min<ssize_t>(size, static_cast<ssize_t>(all.size())), at);
}

off_t here(int fd) {
  return plain(fd) == nullptr ? 0 : ::lseek(fd, 0, SEEK_CUR);
}

void opened(int fd, const std::string& path, int flags, bool existed) {
  if (fd < 0 || fd >= static_cast<int>(files.size()))
    return;
  auto& entry = files[static_cast<std::size_t>(fd)];
  entry = {};
  struct stat info {};
  if (path.empty() || ::fstat(fd, &info) != 0)
    return;
  entry.id = info.st_ino;
  entry.is = S_ISDIR(info.st_mode) ? file::kind::directory : file::kind::plain;
  entry.synced_writes = (flags & O_DSYNC) != 0;  // a bit of O_SYNC
  if (!existed)
    record(event::create, path, entry.id);
  else if ((flags & O_TRUNC) != 0)
    record(event::resize, entry.id, 0, nullptr, 0);
}

using troupe::faults::call;
using troupe::faults::fate;

/// What is to happen to a call on one of our files or directories.
fate fate_of(call which, int fd) {
  const bool is_ours = fd >= 0 && fd < static_cast<int>(files.size())
                       && files[static_cast<std::size_t>(fd)].is != file::kind::foreign;
  return is_ours ? troupe::faults::next(which) : fate{};
}

/// A call that moves bytes: done, done by half, or not at all. `real` takes the bytes to do.
template <class F>
ssize_t transfer(call which, int fd, size_t size, F real) {
  const auto then = fate_of(which, fd);
  if (then.fails) {
    errno = then.code;
    return -1;
  }
  if (then.swallowed)
    return static_cast<ssize_t>(size);
  return real(then.halved ? size / 2 : size);
}

/// A call that answers 0 or -1.
template <class F>
int act(call which, int fd, F real) {
  const auto then = fate_of(which, fd);
  if (then.fails)
    errno = then.code;
  if (then.fails || then.swallowed)
    return then.fails ? -1 : 0;
  return real();
}

size_t bytes_of(const iovec* parts, int count) {
  size_t out = 0;
  for (int i = 0; i < count; ++i)
    out += parts[i].iov_len;
  return out;
}

int open_at(int at, const char* path, int flags, mode_t mode) {
  const auto name = ours(at, path);
  if (const auto then = name.empty() ? fate{} : troupe::faults::next(call::open); then.fails) {
    errno = then.code;
    return -1;
  }
  const bool existed = name.empty() || (flags & O_CREAT) == 0 || ::access(name.c_str(), F_OK) == 0;
  const int fd = REAL(openat)(at, path, flags, mode);
  opened(fd, name, flags, existed);
  return fd;
}

mode_t mode_of(int flags, va_list rest) {
  return (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(rest, mode_t) : 0;
}

void synced(int fd, event what) {
  if (const auto* which = plain(fd); which != nullptr) {
    const bool lie = plant("nosync") || (plant("latesync") && what == event::data_sync);
    if (!lie)
      record(what, which->id, 0, nullptr, 0);
  } else if (const auto path = ours(fd, "");
             !path.empty() && !plant("nosync") && !plant("nodirsync")) {
    record(event::sync_dir, path);
  }
}

int resized(int fd, int result, off_t size) {
  if (const auto* which = plain(fd); which != nullptr && result == 0)
    record(event::resize, which->id, static_cast<std::uint64_t>(size), nullptr, 0);
  return result;
}

int allocated(int fd, int mode, int result, off_t end) {
  struct stat info {};
  if (plain(fd) == nullptr || result != 0)
    return result;
  if (mode != 0)
    record(event::unsupported, "fallocate with a mode");
  else if (::fstat(fd, &info) == 0 && info.st_size == end)  // else it was as long before
    resized(fd, 0, end);
  return result;
}

int removed(int at, const char* path, int result) {
  if (const auto name = ours(at, path); result == 0 && !name.empty())
    record(event::remove, name);
  return result;
}

int renamed(int from, const char* old, int to, const char* now, int result) {
  const auto a = ours(from, old);
  const auto b = ours(to, now);
  if (result != 0 || (a.empty() && b.empty()))
    return result;
  if (a.empty() || b.empty())
    record(event::unsupported, "rename across the border of the directory");
  else
    record(event::rename, a + '\0' + b);
  return result;
}

}  // namespace

// What the workload calls; it finds them as weak symbols.
extern "C" void troupe_power_root(const char* directory) {
  root() = directory;
}

extern "C" void troupe_power_begin(std::uint64_t number) {
  record(event::begin, 0, number, nullptr, 0);
}

extern "C" void troupe_power_ack(std::uint64_t number) {
  for (const auto& entry : files)
    if (entry.is == file::kind::plain && plant("latesync"))
      record(event::sync, entry.id, 0, nullptr, 0);
  record(event::ack, 0, number, nullptr, 0);
}

// What stands before the C library's. On 64-bit Linux the names with and without 64 are one.
extern "C" {

int open(const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const auto mode = mode_of(flags, rest);
  va_end(rest);
  return open_at(AT_FDCWD, path, flags, mode);
}
int open64(const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const auto mode = mode_of(flags, rest);
  va_end(rest);
  return open_at(AT_FDCWD, path, flags, mode);
}
int openat(int at, const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const auto mode = mode_of(flags, rest);
  va_end(rest);
  return open_at(at, path, flags, mode);
}
int openat64(int at, const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const auto mode = mode_of(flags, rest);
  va_end(rest);
  return open_at(at, path, flags, mode);
}
int creat(const char* path, mode_t mode) {
  return open_at(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode);
}
int close(int fd) {
  if (fd >= 0 && fd < static_cast<int>(files.size()))
    files[static_cast<std::size_t>(fd)] = {};
  return REAL(close)(fd);
}
int dup2(int from, int to) noexcept {
  if (plain(from) != nullptr || plain(to) != nullptr)
    record(event::unsupported, "dup2");
  return REAL(dup2)(from, to);
}

ssize_t write(int fd, const void* data, size_t size) {
  const auto at = here(fd);
  const auto done =
      transfer(call::write, fd, size, [&](size_t part) { return REAL(write)(fd, data, part); });
  wrote(fd, data, done, at);
  return done;
}
ssize_t writev(int fd, const iovec* parts, int count) {
  const auto at = here(fd);
  const auto done = transfer(call::write, fd, bytes_of(parts, count), [&](size_t size) {
    const bool all = size == bytes_of(parts, count);
    return all ? REAL(writev)(fd, parts, count)
               : REAL(write)(fd, parts[0].iov_base, std::min(size, parts[0].iov_len));
  });
  wrote(fd, parts, count, done, at);
  return done;
}
ssize_t pwrite(int fd, const void* data, size_t size, off_t at) {
  const auto done = transfer(call::write, fd, size,
                             [&](size_t part) { return REAL(pwrite)(fd, data, part, at); });
  wrote(fd, data, done, at);
  return done;
}
ssize_t pwrite64(int fd, const void* data, size_t size, off_t at) {
  return pwrite(fd, data, size, at);
}
ssize_t pwritev(int fd, const iovec* parts, int count, off_t at) {
  const auto done = transfer(call::write, fd, bytes_of(parts, count), [&](size_t size) {
    const bool all = size == bytes_of(parts, count);
    return all ? REAL(pwritev)(fd, parts, count, at)
               : REAL(pwrite)(fd, parts[0].iov_base, std::min(size, parts[0].iov_len), at);
  });
  wrote(fd, parts, count, done, at);
  return done;
}
ssize_t pwritev64(int fd, const iovec* parts, int count, off_t at) {
  return pwritev(fd, parts, count, at);
}

ssize_t read(int fd, void* data, size_t size) {
  return transfer(call::read, fd, size, [&](size_t part) { return REAL(read)(fd, data, part); });
}
ssize_t pread(int fd, void* data, size_t size, off_t at) {
  return transfer(call::read, fd, size,
                  [&](size_t part) { return REAL(pread)(fd, data, part, at); });
}
ssize_t pread64(int fd, void* data, size_t size, off_t at) {
  return pread(fd, data, size, at);
}

int fstatfs(int fd, struct statfs* out) noexcept {
  const int result = REAL(fstatfs)(fd, out);
  if (result == 0 && troupe::faults::file_system() != 0)
    out->f_type = static_cast<decltype(out->f_type)>(troupe::faults::file_system());
  return result;
}

int ftruncate(int fd, off_t size) noexcept {
  return resized(fd, act(call::resize, fd, [&] { return REAL(ftruncate)(fd, size); }), size);
}
int ftruncate64(int fd, off_t size) noexcept {
  return ftruncate(fd, size);
}
int fallocate(int fd, int mode, off_t at, off_t size) {
  const int result = act(call::resize, fd, [&] { return REAL(fallocate)(fd, mode, at, size); });
  return allocated(fd, mode, result, at + size);
}
int fallocate64(int fd, int mode, off_t at, off_t size) {
  return fallocate(fd, mode, at, size);
}
int posix_fallocate(int fd, off_t at, off_t size) {
  const auto then = fate_of(call::resize, fd);
  if (then.fails || then.swallowed)
    return then.swallowed ? 0 : then.code;
  return allocated(fd, 0, REAL(posix_fallocate)(fd, at, size), at + size);
}
int posix_fallocate64(int fd, off_t at, off_t size) {
  return posix_fallocate(fd, at, size);
}

int fsync(int fd) {
  const int result = act(call::sync, fd, [&] { return REAL(fsync)(fd); });
  if (result == 0)
    synced(fd, event::sync);
  return result;
}
int fdatasync(int fd) {
  const int result = act(call::sync, fd, [&] { return REAL(fdatasync)(fd); });
  if (result == 0)
    synced(fd, event::data_sync);
  return result;
}
// msync writes maps, which are not modelled, and sync_file_range promises nothing after a power
// loss: neither is recorded, as if it had done nothing.

void* mmap(void* address, size_t size, int access, int flags, int fd, off_t at) noexcept {
  if ((access & PROT_WRITE) != 0 && (flags & MAP_SHARED) != 0 && plain(fd) != nullptr) {
    std::array<char, 4096> path{};
    const auto link = "/proc/self/fd/" + std::to_string(fd);
    if (::readlink(link.c_str(), path.data(), path.size() - 1) > 0
        && !std::string{path.data()}.ends_with("lock.mdb"))  // nothing durable in it
      record(event::unsupported, "a writable shared map of " + std::string{path.data()});
  }
  return REAL(mmap)(address, size, access, flags, fd, at);
}
void* mmap64(void* address, size_t size, int access, int flags, int fd, off_t at) noexcept {
  return mmap(address, size, access, flags, fd, at);
}

int mkdir(const char* path, mode_t mode) noexcept {
  const int result = REAL(mkdir)(path, mode);
  if (const auto name = ours(AT_FDCWD, path); result == 0 && !name.empty())
    record(event::make_dir, name);
  return result;
}
int rename(const char* from, const char* to) noexcept {
  return renamed(AT_FDCWD, from, AT_FDCWD, to, REAL(rename)(from, to));
}
int renameat(int from, const char* old, int to, const char* now) noexcept {
  return renamed(from, old, to, now, REAL(renameat)(from, old, to, now));
}
int unlink(const char* path) noexcept {
  return removed(AT_FDCWD, path, REAL(unlink)(path));
}
int rmdir(const char* path) noexcept {
  return removed(AT_FDCWD, path, REAL(rmdir)(path));
}
int remove(const char* path) noexcept {
  return removed(AT_FDCWD, path, REAL(remove)(path));
}
int unlinkat(int at, const char* path, int flags) noexcept {
  return removed(at, path, REAL(unlinkat)(at, path, flags));
}

}  // extern "C"
