// An LD_PRELOAD library that kills the process with SIGKILL in front of its n-th call that changes
// something in the file system, so that a sweep over n meets every state a kill can leave. A write
// is cut, too: half of it is done first.
//
//   TROUPE_KILL_AT     n, from 1; without it nothing happens

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>

namespace {

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

std::atomic<long> calls = 0;
const pid_t started = ::getpid();

/// Whether this is the call in front of which the process is to end. A child that it starts to
/// check a store counts for itself no calls.
bool is_last() {
  if (::getpid() != started)
    return false;
  static const long last = [] {
    const char* text = std::getenv("TROUPE_KILL_AT");
    return text == nullptr ? 0L : std::atol(text);
  }();
  return last != 0 && ++calls == last;
}

void kill_here() {
  ::kill(::getpid(), SIGKILL);
  for (;;)
    ::pause();
}

void count() {
  if (is_last())
    kill_here();
}

/// Only files: the pipes and terminals of a process change nothing that stays.
bool is_file(int fd) {
  struct stat info {};
  return ::fstat(fd, &info) == 0 && S_ISREG(info.st_mode);
}

}  // namespace

extern "C" {

ssize_t write(int fd, const void* bytes, size_t size) {
  if (is_file(fd) && is_last()) {
    REAL(write)(fd, bytes, size / 2);
    kill_here();
  }
  return REAL(write)(fd, bytes, size);
}

ssize_t pwrite64(int fd, const void* bytes, size_t size, off64_t at) {
  if (is_last()) {
    REAL(pwrite64)(fd, bytes, size / 2, at);
    kill_here();
  }
  return REAL(pwrite64)(fd, bytes, size, at);
}

ssize_t pwrite(int fd, const void* bytes, size_t size, off_t at) {
  return pwrite64(fd, bytes, size, at);
}

ssize_t writev(int fd, const iovec* parts, int number) {
  if (is_file(fd))
    count();
  return REAL(writev)(fd, parts, number);
}

ssize_t pwritev(int fd, const iovec* parts, int number, off_t at) {
  count();
  return REAL(pwritev)(fd, parts, number, at);
}

int fsync(int fd) {
  count();
  return REAL(fsync)(fd);
}

int fdatasync(int fd) {
  count();
  return REAL(fdatasync)(fd);
}

int ftruncate64(int fd, off64_t size) {
  count();
  return REAL(ftruncate64)(fd, size);
}

int ftruncate(int fd, off_t size) {
  return ftruncate64(fd, size);
}

int fallocate64(int fd, int mode, off64_t at, off64_t size) {
  count();
  return REAL(fallocate64)(fd, mode, at, size);
}

int fallocate(int fd, int mode, off_t at, off_t size) {
  return fallocate64(fd, mode, at, size);
}

int posix_fallocate64(int fd, off64_t at, off64_t size) {
  count();
  return REAL(posix_fallocate64)(fd, at, size);
}

int posix_fallocate(int fd, off_t at, off_t size) {
  return posix_fallocate64(fd, at, size);
}

int rename(const char* from, const char* to) {
  count();
  return REAL(rename)(from, to);
}

int mkdir(const char* path, mode_t mode) {
  count();
  return REAL(mkdir)(path, mode);
}

int rmdir(const char* path) {
  count();
  return REAL(rmdir)(path);
}

int unlink(const char* path) {
  count();
  return REAL(unlink)(path);
}

int unlinkat(int at, const char* path, int flags) {
  count();
  return REAL(unlinkat)(at, path, flags);
}

int remove(const char* path) {
  count();
  return REAL(remove)(path);
}

int open64(const char* path, int flags, ...) {
  mode_t mode = 0;
  if ((flags & O_CREAT) != 0) {
    va_list rest;
    va_start(rest, flags);
    mode = static_cast<mode_t>(va_arg(rest, int));
    va_end(rest);
    count();
  }
  return REAL(open64)(path, flags, mode);
}

int open(const char* path, int flags, ...) {
  mode_t mode = 0;
  if ((flags & O_CREAT) != 0) {
    va_list rest;
    va_start(rest, flags);
    mode = static_cast<mode_t>(va_arg(rest, int));
    va_end(rest);
  }
  return open64(path, flags, mode);
}

}  // extern "C"
