#include <troupe/persistence/internal/staging.hpp>
#include <troupe/persistence/internal/write_ahead_log.hpp>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <memory>
#include <optional>
#include <system_error>
#include <thread>
#include <vector>

namespace troupe::internal {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t block_bytes = 256 << 10;

expected<unique_fd> create_file(const fs::path& path) {
  unique_fd out{::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600)};
  if (!out)
    return system_failure("cannot create " + path.string(), errno);
  return out;
}

/// Writes blocks one behind the other, tells how far it is, and keeps to a rate.
class block_writer {
public:
  block_writer(fs::path path, const unique_fd& to, const backup_options& how, std::uint64_t total)
      : path_{std::move(path)},
        fd_{to.get()},
        how_{how},
        total_{total} {}

  expected<void> write(const char* bytes, std::size_t size) {
    for (std::size_t done = 0; done < size;) {
      const auto now = ::write(fd_, bytes + done, size - done);
      if (now < 0 && errno == EINTR)
        continue;
      if (now < 0)
        return system_failure("cannot write " + path_.string(), errno);
      done += static_cast<std::size_t>(now);
    }
    written_ += size;
    if (how_.progress && !how_.progress(written_, std::max(total_, written_)))
      return fail(errc::store_failed, "given up; nothing has changed");
    if (how_.bytes_per_second != 0) {
      const std::chrono::duration<double> due{static_cast<double>(written_)
                                              / static_cast<double>(how_.bytes_per_second)};
      std::this_thread::sleep_until(
          start_ + std::chrono::duration_cast<std::chrono::steady_clock::duration>(due));
    }
    return {};
  }

  expected<std::uint64_t> sync() const {
    if (::fsync(fd_) != 0)
      return system_failure("cannot sync " + path_.string(), errno);
    return written_;
  }

private:
  fs::path path_;
  int fd_;
  const backup_options& how_;
  std::uint64_t total_;
  std::uint64_t written_ = 0;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

/// A thread that copies the environment into a pipe, since LMDB itself tells no progress, keeps to
/// no rate and cannot be stopped.
class copying_thread {
public:
  copying_thread(const lmdb::environment& env, bool compacting, unique_fd into)
      : thread_{[this, &env, compacting, fd = std::move(into)]() mutable {
          sigset_t broken_pipe;  // when the reader gives up: an error, not the end of the process
          sigemptyset(&broken_pipe);
          sigaddset(&broken_pipe, SIGPIPE);
          pthread_sigmask(SIG_BLOCK, &broken_pipe, nullptr);
          try {
            env.copy_to(fd.get(), compacting);
          } catch (const lmdb::failure& what) {
            failure_ = what;
          }
          fd = unique_fd{};  // the reader sees the end
        }} {}
  copying_thread(const copying_thread&) = delete;
  copying_thread& operator=(const copying_thread&) = delete;
  ~copying_thread() { join(); }

  void join() {
    if (thread_.joinable())
      thread_.join();
  }

  /// What went wrong. REQUIRES: joined.
  [[nodiscard]] const std::optional<lmdb::failure>& failure() const { return failure_; }

private:
  std::optional<lmdb::failure> failure_;
  std::thread thread_;
};

}  // namespace

expected<staging> staging::begin(fs::path path) {
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST)
    return system_failure("cannot create " + path.string(), errno);
  unique_fd self{::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)};
  if (!self)
    return system_failure("cannot open " + path.string(), errno);
  const auto running = [&] {
    return fail(errc::busy, path.string() + " is being made by another process");
  };
  if (::flock(self.get(), LOCK_EX | LOCK_NB) != 0)
    return errno == EWOULDBLOCK ? running() : system_failure("cannot lock " + path.string(), errno);
  struct stat ours {
  }, named{};
  if (::fstat(self.get(), &ours) != 0 || ::lstat(path.c_str(), &named) != 0
      || ours.st_ino != named.st_ino || ours.st_dev != named.st_dev)
    return running();  // it was published between our two calls
  if (ours.st_uid != ::geteuid() || ::fchmod(self.get(), 0700) != 0)
    return fail(errc::store_failed, path.string() + " belongs to another user");
  std::error_code ec;
  for (const auto& left : fs::directory_iterator{path, ec})
    fs::remove_all(left.path(), ec);
  if (ec)
    return system_failure("cannot empty " + path.string(), ec.value());
  return staging{std::move(path), std::move(self)};
}

staging::~staging() {
  if (!self_)
    return;
  std::error_code ec;
  fs::remove_all(path_, ec);
}

expected<std::uint64_t> staging::copy_from(const lmdb::environment& env,
                                           const backup_options& how) {
  auto file = create_file(data_file());
  if (!file)
    return unexpected{file.error()};
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0)
    return system_failure("cannot make a pipe", errno);
  unique_fd out{ends[0]};
  ::fcntl(ends[1], F_SETPIPE_SZ, static_cast<int>(4 * block_bytes));  // faster; not needed
  block_writer writer{data_file(), *file, how, env.used_bytes()};
  std::vector<char> block(block_bytes);
  expected<void> done;
  {
    copying_thread copying{env, how.compacting, unique_fd{ends[1]}};
    for (;;) {
      const auto size = ::read(out.get(), block.data(), block.size());
      if (size < 0 && errno == EINTR)
        continue;
      if (size < 0)
        done = system_failure("cannot read from a pipe", errno);
      if (size <= 0)
        break;
      if (done = writer.write(block.data(), static_cast<std::size_t>(size)); !done)
        break;
    }
    out = unique_fd{};  // a copy that is given up meets a closed pipe
    copying.join();
    if (done && copying.failure())
      done = fail(copying.failure()->kind() == lmdb::failure_kind::full ? errc::store_full
                                                                        : errc::store_failed,
                  copying.failure()->what());
  }
  if (!done)
    return unexpected{done.error()};
  return writer.sync();
}

expected<std::uint64_t> staging::copy_from(int fd, std::uint64_t bytes,
                                           const progress_function& progress) {
  auto file = create_file(data_file());
  if (!file)
    return unexpected{file.error()};
  const backup_options how{.progress = progress};
  block_writer writer{data_file(), *file, how, bytes};
  std::vector<char> block(block_bytes);
  for (;;) {
    const auto size = ::read(fd, block.data(), block.size());
    if (size < 0 && errno == EINTR)
      continue;
    if (size < 0)
      return system_failure("cannot read the backup", errno);
    if (size == 0)
      return writer.sync();
    if (auto done = writer.write(block.data(), static_cast<std::size_t>(size)); !done)
      return unexpected{done.error()};
  }
}

expected<void> staging::copy_log(const fs::path& from, bool closed) {
  auto bytes = bytes_of_log(from);
  if (!bytes)
    return unexpected{bytes.error()};
  const auto path = path_ / write_ahead_log::file_name;
  auto file = create_file(path);
  if (!file)
    return unexpected{file.error()};
  const backup_options how;
  // Where somebody may be writing it, what follows was read later.
  const auto size = closed ? bytes->size() : whole_batches(*bytes);
  logged_ = size != 0;
  return block_writer{path, *file, how, size}.write(bytes->data(), size);
}

expected<store_summary> staging::walk(fold_function fold, const progress_function& progress) {
  journal_options options;
  options.check_in_child = false;  // what a tool makes must be whole for the tool
  auto out = [&]() -> expected<store_summary> {
    auto store = journal_store::open(path_, options, std::move(fold));
    return store ? walk_store(*store, progress) : unexpected{store.error()};
  }();
  if (out && logged_)
    if (auto done = cut_to_use(); !done)
      return unexpected{done.error()};
  return out;
}

/// The log needed room, which was taken as for a store that goes on.
expected<void> staging::cut_to_use() const {
  std::uint64_t used = 0;
  try {
    used = lmdb::environment::open_to_copy(path_).used_bytes();
  } catch (const lmdb::failure& what) {
    return fail(errc::store_failed, what.what());
  }
  const unique_fd fd{::open(data_file().c_str(), O_WRONLY | O_NOFOLLOW | O_CLOEXEC)};
  if (!fd || ::ftruncate(fd.get(), static_cast<off_t>(used)) != 0 || ::fsync(fd.get()) != 0)
    return system_failure("cannot cut " + data_file().string(), errno);
  return {};
}

std::uint64_t staging::data_bytes() const {
  std::error_code ec;
  const auto out = fs::file_size(data_file(), ec);
  return ec ? 0 : out;
}

expected<void> staging::settle() {
  for (const char* name : {"lock.mdb", "owner.lock", "commit.mark", write_ahead_log::file_name}) {
    std::error_code ec;
    fs::remove(path_ / name, ec);
  }
  if (::fsync(self_.get()) != 0)
    return system_failure("cannot sync " + path_.string(), errno);
  return {};
}

expected<void> staging::publish(const fs::path& to) {
  if (auto done = settle(); !done)
    return done;
  if (::rename(path_.c_str(), to.c_str()) != 0)
    return errno == ENOTEMPTY || errno == EEXIST
               ? expected<void>{fail(errc::already_exists, to.string() + " has content")}
               : expected<void>{
                   system_failure("cannot move " + path_.string() + " to " + to.string(), errno)};
  self_ = unique_fd{};
  const auto parent = fs::absolute(to).parent_path();
  const unique_fd directory{::open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (!directory || ::fsync(directory.get()) != 0)
    return system_failure("cannot sync " + parent.string(), errno);
  return {};
}

}  // namespace troupe::internal
