#include <troupe/persistence/internal/bytes.hpp>
#include <troupe/persistence/internal/crc32c.hpp>
#include <troupe/persistence/internal/lmdb.hpp>
#include <troupe/persistence/internal/write_ahead_log.hpp>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <utility>

namespace troupe::internal {

namespace {

constexpr std::string_view magic = "TRPL";
constexpr char current_version = 1;
constexpr std::size_t at_version = 4, at_position = 8, at_records = 16, at_bytes = 20,
                      at_checksum = 28, head_bytes = 32;
constexpr std::size_t size_bytes = 4;            // before each record
constexpr std::uint64_t step_bytes = 256 << 10;  // by which the file grows

std::size_t whole_pages(std::size_t bytes) {
  return (bytes + write_ahead_log::page_bytes - 1) / write_ahead_log::page_bytes
         * write_ahead_log::page_bytes;
}

/// Of all of a batch but its checksum.
std::uint32_t checksum_of(std::string_view batch) {
  return crc32c(batch.substr(head_bytes), crc32c(batch.substr(0, at_checksum)));
}

struct batch_head {
  std::uint64_t position = 0;  // of its first record
  std::uint32_t records = 0;
  std::size_t bytes = 0;  // with this head, without what fills its last page
};

/// Nothing when no whole batch begins there.
std::optional<batch_head> batch_at(std::string_view bytes, std::size_t at) {
  const auto rest = bytes.substr(std::min(at, bytes.size()));
  if (rest.size() < head_bytes || !rest.starts_with(magic) || rest[at_version] != current_version)
    return {};
  const batch_head out{get_le<std::uint64_t>(rest.data() + at_position),
                       get_le<std::uint32_t>(rest.data() + at_records),
                       head_bytes + std::size_t{get_le<std::uint32_t>(rest.data() + at_bytes)}};
  if (out.bytes > rest.size() || out.records == 0
      || get_le<std::uint32_t>(rest.data() + at_checksum) != checksum_of(rest.substr(0, out.bytes)))
    return {};
  return out;
}

/// The whole batches that follow one another from the beginning; answers where they end.
template <class F>
std::size_t walk(std::string_view bytes, F next) {
  std::size_t at = 0;
  std::optional<std::uint64_t> follows;
  for (auto here = batch_at(bytes, 0); here && (!follows || here->position == *follows);
       here = batch_at(bytes, at)) {
    next(*here, bytes.substr(at + head_bytes, here->bytes - head_bytes));
    follows = here->position + here->records;
    at += whole_pages(here->bytes);
  }
  return std::min(at, bytes.size());
}

unexpected damaged(const std::string& what) {
  return fail(errc::damaged, std::string{write_ahead_log::file_name} + ": " + what);
}

}  // namespace

std::size_t whole_batches(std::string_view bytes) {
  return walk(bytes, [](const batch_head&, std::string_view) {});
}

expected<std::vector<logged_record>> read_log(std::string_view bytes, std::uint64_t behind) {
  std::vector<logged_record> out;
  auto newest = behind;
  expected<void> fine;
  const auto end = walk(bytes, [&](const batch_head& head, std::string_view records) {
    if (head.position > newest + 1 && fine)
      fine = damaged("it goes on at change " + std::to_string(head.position) + ", and the store's "
                     "data file ends at change " + std::to_string(newest)
                     + ": that is an older copy. Remove commit.log to go on without these changes");
    auto position = head.position;
    for (; !records.empty() && fine; ++position) {
      const auto size =
          records.size() < size_bytes ? records.size() : get_le<std::uint32_t>(records.data());
      if (records.size() < size_bytes || size > records.size() - size_bytes
          || position == head.position + head.records) {
        fine = damaged("the batch of change " + std::to_string(head.position) + " is none");
        return;
      }
      if (position > behind)
        out.push_back({position, records.substr(size_bytes, size)});
      records.remove_prefix(size_bytes + size);
    }
    if (position != head.position + head.records && fine)
      fine = damaged("the batch of change " + std::to_string(head.position) + " is none");
    newest = std::max(newest, position - 1);
  });
  if (!fine)
    return unexpected{fine.error()};
  // A batch is only begun when the one before it is on disk.
  for (auto at = end; at < bytes.size(); at += write_ahead_log::page_bytes)
    if (const auto head = batch_at(bytes, at); head && head->position > newest)
      return damaged("change " + std::to_string(newest + 1) + " is damaged, and change "
                     + std::to_string(head->position) + " was written after it");
  return out;
}

expected<std::string> bytes_of_log(const std::filesystem::path& directory) {
  const auto path = directory / write_ahead_log::file_name;
  const unique_fd fd{::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC)};
  if (!fd && errno == ENOENT)
    return std::string{};
  struct stat info {};
  if (!fd || ::fstat(fd.get(), &info) != 0)
    return system_failure("cannot open " + path.string(), errno);
  std::string out;
  if (const int code = read_at(fd.get(), out, static_cast<std::size_t>(info.st_size), 0); code != 0)
    return system_failure("cannot read " + path.string(), code);
  return out;
}

write_ahead_log::write_ahead_log(unique_fd fd, std::string name, std::size_t capacity,
                                 std::uint64_t size)
    : fd_{std::move(fd)},
      name_{std::move(name)},
      capacity_{capacity / page_bytes * page_bytes},
      written_{size / page_bytes * page_bytes} {}

expected<write_ahead_log> write_ahead_log::open(const data_directory& directory,
                                                std::size_t capacity) {
  auto fd = directory.open_file(file_name, O_RDWR | O_CREAT | O_DSYNC);
  if (!fd)
    return unexpected{fd.error()};
  const auto name = (directory.path() / file_name).string();
  struct stat info {};
  if (::fstat(fd->get(), &info) != 0)
    return system_failure("cannot read the size of " + name, errno);
  return write_ahead_log{std::move(*fd), name, capacity, static_cast<std::uint64_t>(info.st_size)};
}

bool write_ahead_log::make_room(std::size_t records, std::size_t bytes) {
  const auto end = begin_ + whole_pages(head_bytes + records * size_bytes + bytes);
  if (end > capacity_)
    return false;
  static const std::array<char, step_bytes> zeros{};
  while (written_ < end) {
    const auto size = std::min<std::uint64_t>(zeros.size(), capacity_ - written_);
    try {
      write_at(zeros.data(), size, written_);
    } catch (const lmdb::failure& what) {
      if (lmdb::classify(what.code()) == lmdb::failure_kind::full)
        return false;  // nothing of it was used
      throw;
    }
    written_ += size;
  }
  if (!memory_)
    memory_.reset(static_cast<char*>(std::aligned_alloc(page_bytes, capacity_)));
  if (!memory_)
    throw std::bad_alloc{};
  return true;
}

char* write_ahead_log::add(std::size_t size) {
  if (end_ == begin_)
    end_ += head_bytes;
  put_le(memory_.get() + end_, static_cast<std::uint32_t>(size));
  auto* out = memory_.get() + end_ + size_bytes;
  made_.emplace_back(out, size);
  end_ += size_bytes + size;
  return out;
}

void write_ahead_log::write(std::uint64_t position) {
  auto* batch = memory_.get() + begin_;
  const auto size = end_ - begin_;
  const auto pages = whole_pages(size);
  std::memset(batch, 0, head_bytes);
  std::memcpy(batch, magic.data(), magic.size());
  batch[at_version] = current_version;
  put_le(batch + at_position, position);
  put_le(batch + at_records, static_cast<std::uint32_t>(made_.size()));
  put_le(batch + at_bytes, static_cast<std::uint32_t>(size - head_bytes));
  put_le(batch + at_checksum, checksum_of({batch, size}));
  std::memset(batch + size, 0, pages - size);
  write_at(batch, pages, begin_);
  for (const auto value : made_)
    records_.push_back({position++, value});
  made_.clear();
  begin_ = end_ = begin_ + pages;
}

void write_ahead_log::give_up() noexcept {
  made_.clear();
  end_ = begin_;
}

void write_ahead_log::clear() noexcept {
  records_.clear();
  made_.clear();
  begin_ = end_ = 0;
}

void write_ahead_log::truncate() {
  if (::ftruncate(fd_.get(), 0) != 0 || ::fsync(fd_.get()) != 0)
    throw lmdb::failure{"ftruncate " + name_, errno};
  written_ = 0;
}

void write_ahead_log::write_at(const char* bytes, std::size_t size, std::uint64_t at) const {
  for (std::size_t done = 0; done < size;) {
    const auto now = ::pwrite(fd_.get(), bytes + done, size - done, static_cast<off_t>(at + done));
    if (now < 0 && errno == EINTR)
      continue;
    if (now <= 0)
      throw lmdb::failure{"pwrite " + name_, now == 0 ? ENOSPC : errno};
    done += static_cast<std::size_t>(now);
  }
}

}  // namespace troupe::internal
