#include <troupe/persistence/internal/bytes.hpp>
#include <troupe/persistence/internal/crc32c.hpp>
#include <troupe/persistence/internal/journal_impl.hpp>

#include <spdlog/spdlog.h>

namespace troupe {

using internal::commit_mark;

std::uint32_t journal_store::impl::digest_of(std::uint64_t at) {
  if (at < first || at == 0)
    return 0;
  const auto key = internal::be64(at);
  if (at > settled() && at <= position)
    return internal::crc32c(wal.records()[at - settled() - 1].value, internal::crc32c(key));
  auto txn = lmdb::transaction::read(env);
  const auto value = txn.get(dbs.journal, key);
  return value ? internal::crc32c(*value, internal::crc32c(key)) : 0;
}

expected<void> journal_store::impl::begin_mark(internal::mark_file file,
                                               const std::optional<commit_mark>& before) {
  started.clean = before && before->clean;
  if (before && before->position > position) {
    started.warnings.push_back(
        "the store ends at change " + std::to_string(position) + ", and change "
        + std::to_string(before->position)
        + " was on disk: this is an older copy, or the disk lost what it had acknowledged");
  } else if (before && before->digest != 0) {
    const auto now = digest_of(before->position);
    if (now != 0 && now != before->digest)
      started.warnings.push_back("change " + std::to_string(before->position)
                                 + " is not the one that was acknowledged: this is another store, "
                                   "or an older copy that went on");
  }
  mark_ = std::move(file);
  marked_ = std::chrono::steady_clock::now();
  return write_mark(false);
}

/// Writes the mark as it stands. Errors: as `mark_file::write`, and those of a read.
expected<void> journal_store::impl::write_mark(bool clean) {
  try {
    return mark_->write({position, digest_of(position), clean});
  } catch (const lmdb::failure& what) {
    return fail(code_of(what), what.what());
  }
}

/// After a commit, which is on disk whatever becomes of the mark.
void journal_store::impl::mark_in_time() {
  const auto now = std::chrono::steady_clock::now();
  if (!mark_ || now - marked_ < options.mark_interval)
    return;
  marked_ = now;
  auto done = expected<void>{};
  try {
    env.forget_dead_readers();  // of a copy that was killed
    done = write_mark(false);
  } catch (const lmdb::failure& what) {
    done = fail(errc::store_full, what.what());  // of what was committed nothing is in doubt
  }
  if (done)
    return;
  if (done.error().code == errc::store_failed)
    stop(errc::store_failed, done.error().message);  // a disk that fails
  else
    spdlog::warn("{}; the next mark is tried later", done.error().message);
}

}  // namespace troupe
