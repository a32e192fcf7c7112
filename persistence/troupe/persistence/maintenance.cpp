#include <troupe/messages/store_messages.hpp>
#include <troupe/persistence/internal/journal_impl.hpp>
#include <troupe/persistence/internal/staging.hpp>
#include <troupe/persistence/maintenance.hpp>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <limits>
#include <system_error>
#include <utility>

namespace troupe {

namespace fs = std::filesystem;

using internal::staging;

namespace {

unexpected given_up() {
  return fail(errc::store_failed, "given up; nothing has changed");
}

/// "x/y" for "x/y/": what has a name can be renamed.
expected<fs::path> named(const fs::path& path) {
  std::error_code ec;
  auto out = fs::absolute(path, ec).lexically_normal();
  if (!out.has_filename())
    out = out.parent_path();
  if (ec || !out.has_filename())
    return fail(errc::store_failed, path.string() + " is no name of a directory");
  return out;
}

/// Errors: `already_exists`, where a rename would not make a directory appear.
expected<void> check_free(const fs::path& to) {
  std::error_code ec;
  const auto status = fs::symlink_status(to, ec);
  if (status.type() == fs::file_type::not_found)
    return {};
  if (status.type() != fs::file_type::directory)
    return fail(errc::already_exists, to.string() + " is there and no directory");
  const bool empty = fs::is_empty(to, ec);
  if (ec)
    return internal::system_failure("cannot read " + to.string(), ec.value());
  if (!empty)
    return fail(errc::already_exists, to.string() + " has content; name a new directory");
  return {};
}

expected<staging> begin_beside(const fs::path& to) {
  if (auto free = check_free(to); !free)
    return unexpected{free.error()};
  std::error_code ec;
  fs::create_directories(to.parent_path(), ec);
  if (ec)
    return internal::system_failure("cannot create " + to.parent_path().string(), ec.value());
  return staging::begin(to.string() + ".incomplete");
}

/// A backup that nobody has open, for as long as the descriptors live.
struct closed_backup {
  internal::unique_fd lock;  // none when no process ever opened it
  internal::unique_fd data;
  std::uint64_t bytes = 0;
};

expected<closed_backup> open_closed(const fs::path& from) {
  closed_backup out;
  const auto lock = from / "owner.lock";
  out.lock = internal::unique_fd{::open(lock.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC)};
  if (out.lock && ::flock(out.lock.get(), LOCK_SH | LOCK_NB) != 0)
    return fail(errc::busy,
                from.string() + " is a store that a process has open; `troupe backup` copies it");
  const auto data = from / "data.mdb";
  out.data = internal::unique_fd{::open(data.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC)};
  if (!out.data && errno == ENOENT)
    return fail(errc::damaged, from.string() + " holds no backup: there is no data.mdb");
  if (!out.data)
    return internal::system_failure("cannot open " + data.string(), errno);
  struct stat info {};
  if (::fstat(out.data.get(), &info) != 0 || !S_ISREG(info.st_mode))
    return fail(errc::damaged, data.string() + " is not a plain file");
  out.bytes = static_cast<std::uint64_t>(info.st_size);
  return out;
}

/// One at a time, whichever way it ends.
class turn {
public:
  explicit turn(std::atomic<bool>& taken) : taken_{taken}, ours_{!taken.exchange(true)} {}
  turn(const turn&) = delete;
  turn& operator=(const turn&) = delete;
  ~turn() {
    if (ours_)
      taken_ = false;
  }
  explicit operator bool() const { return ours_; }

private:
  std::atomic<bool>& taken_;
  bool ours_;
};

}  // namespace

expected<store_summary> walk_store(journal_store& store, const progress_function& progress) {
  const auto stats = store.stats();
  store_summary out{.position = stats.position};
  const auto expected_work = stats.position + 1 - stats.first;
  expected<void> fault;
  const auto goes_on = [&] {
    if (fault && progress && !progress(out.entities + out.records, expected_work))
      fault = given_up();
    return fault.has_value();
  };
  const auto listed = store.for_each_entity([&](const entity_ref& entity, std::uint64_t) {
    if (const auto loaded = store.load(entity); !loaded)
      fault = unexpected{loaded.error()};
    ++out.entities;
    return goes_on();
  });
  if (!listed)
    return unexpected{listed.error()};
  if (!fault)
    return unexpected{fault.error()};
  const auto read = store.for_each_record(stats.first, std::numeric_limits<std::uint64_t>::max(),
                                          [&](const journal_record&) {
                                            ++out.records;
                                            return goes_on();
                                          });
  if (!read)
    return unexpected{read.error()};
  if (!fault)
    return unexpected{fault.error()};
  return out;
}

namespace {

expected<backup_report> copy_and_walk(const fs::path& from, const lmdb::environment& env,
                                      const fs::path& to, fold_function fold,
                                      const backup_options& options, bool closed) {
  const auto target = named(to);
  if (!target)
    return unexpected{target.error()};
  auto made = begin_beside(*target);
  if (!made)
    return unexpected{made.error()};
  backup_report out;
  if (auto done = made->copy_log(from, closed); !done)
    return unexpected{done.error()};
  if (const auto bytes = made->copy_from(env, options); !bytes)
    return unexpected{bytes.error()};
  auto walked = made->walk(std::move(fold), {});
  if (!walked)
    return unexpected{walked.error()};
  out.content = *walked;
  out.bytes = made->data_bytes();
  if (auto done = made->publish(*target); !done)
    return unexpected{done.error()};
  return out;
}

}  // namespace

namespace {

/// Of a store that has nothing to read beside its owner.
class nothing_to_fold final : public fold_job {
public:
  void run() noexcept override {}
};

}  // namespace

expected<std::unique_ptr<fold_job>> store::begin_fold(const state_lookup& /*live*/) {
  const auto now = stats();
  if (now.materialised == now.position)
    return nullptr;
  return std::make_unique<nothing_to_fold>();
}

expected<bool> store::end_fold(fold_job& /*job*/) {
  return materialise();
}

expected<void> store::adopt(std::span<const adopted_entity> /*entities*/) {
  return fail(errc::not_supported, "this store takes no entities from elsewhere");
}

expected<erasure> store::erase(const entity_ref& /*entity*/) {
  return fail(errc::not_supported, "this store erases nothing");
}

expected<backup_report> store::backup(const fs::path& /*to*/,
                                      const backup_options& /*options*/) const {
  return fail(errc::not_supported, "this store has no files to be copied");
}

expected<backup_report> journal_store::backup(const fs::path& to,
                                              const backup_options& options) const {
  const turn ours{impl_->backing_up};
  if (!ours)
    return fail(errc::busy, "a backup of this store is running");
  try {
    return copy_and_walk(impl_->directory.path(), impl_->env, to, impl_->fold, options, false);
  } catch (const lmdb::failure& what) {
    return fail(errc::store_failed, what.what());
  }
}

expected<backup_report> backup_running(const fs::path& from, const fs::path& to, fold_function fold,
                                       const backup_options& options) {
  std::error_code ec;
  if (fs::symlink_status(from / "data.mdb", ec).type() != fs::file_type::regular)
    return fail(errc::damaged, from.string() + " holds no store of Troupe");
  try {
    const auto closed = open_closed(from).has_value();
    const auto env = lmdb::environment::open_to_copy(from);
    return copy_and_walk(from, env, to, std::move(fold), options, closed);
  } catch (const lmdb::failure& what) {
    return fail(code_of(what), from.string() + ": " + what.what());
  }
}

expected<backup_report> restore_backup(const fs::path& from, const fs::path& to, fold_function fold,
                                       const progress_function& progress) {
  const auto source = open_closed(from);
  if (!source)
    return unexpected{source.error()};
  const auto target = named(to);
  if (!target)
    return unexpected{target.error()};
  auto made = begin_beside(*target);
  if (!made)
    return unexpected{made.error()};
  backup_report out;
  if (auto done = made->copy_log(from, true); !done)
    return unexpected{done.error()};
  if (const auto bytes = made->copy_from(source->data.get(), source->bytes, progress); !bytes)
    return unexpected{bytes.error()};
  auto walked = made->walk(std::move(fold), {});
  if (!walked)
    return fail(walked.error().code, "the backup is not whole: " + walked.error().message);
  out.content = *walked;
  out.bytes = made->data_bytes();
  if (auto done = made->publish(*target); !done)
    return unexpected{done.error()};
  return out;
}

namespace {

/// Everything into snapshots, and the journal as short as it may be.
expected<void> fold_and_free(journal_store& store) {
  for (expected<bool> more = true; more && *more;)
    if (more = store.materialise(); !more)
      return unexpected{more.error()};
  for (expected<bool> more = true; more && *more;)
    if (more = store.compact(); !more)
      return unexpected{more.error()};
  return {};
}

}  // namespace

expected<shrink_report> journal_store::shrink(const progress_function& progress) && {
  auto self = std::move(*this);  // closed when this ends
  auto& inner = *self.impl_;
  if (auto done = fold_and_free(self); !done)
    return unexpected{done.error()};
  const auto content = walk_store(self, {});
  if (!content)
    return unexpected{content.error()};
  std::error_code ec;
  shrink_report out{.content = *content,
                    .bytes_before = fs::file_size(inner.directory.data_file(), ec)};
  auto made = staging::begin(inner.directory.replacing());
  if (!made)
    return unexpected{made.error()};
  try {
    const auto bytes = made->copy_from(inner.env, {.compacting = true, .progress = progress});
    if (!bytes)
      return unexpected{bytes.error()};
    out.bytes_after = *bytes;
  } catch (const lmdb::failure& what) {
    return fail(errc::store_failed, what.what());
  }
  const auto walked = made->walk(inner.fold, {});
  if (!walked)
    return unexpected{walked.error()};
  if (*walked != *content)
    return fail(errc::damaged, "the copy does not hold what the store holds; nothing has changed");
  if (auto done = made->settle(); !done)
    return unexpected{done.error()};
  // The lock on the directory stays until the new file is in its place.
  const auto directory = std::move(inner.directory);
  self.impl_.reset();
  if (auto done = directory.replace_data(made->data_file()); !done)
    return unexpected{done.error()};
  return out;
}

}  // namespace troupe
