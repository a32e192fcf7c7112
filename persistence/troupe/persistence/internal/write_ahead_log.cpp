#include <troupe/persistence/internal/bytes.hpp>
#include <troupe/persistence/internal/crc32c.hpp>
#include <troupe/persistence/internal/lmdb.hpp>
#include <troupe/persistence/internal/write_ahead_log.hpp>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <optional>
#include <random>
#include <system_error>
#include <utility>

namespace troupe::internal {

namespace {

// The file's first page.
constexpr std::string_view file_magic = "TRPL";
constexpr char current_version = 1;
constexpr std::size_t at_version = 4, at_file_number = 8, at_file_checksum = 16,
                      file_head_bytes = 20;

// A batch.
constexpr std::string_view magic = "TRPB";
constexpr std::size_t at_records = 4, at_position = 8, at_number = 16, at_bytes = 24,
                      at_checksum = 28, head_bytes = 32;
constexpr std::size_t size_bytes = 4;            // before each record
constexpr std::uint64_t step_bytes = 256 << 10;  // by which the file grows
constexpr std::uint64_t most_bytes = 64 << 20;   // of a file that is read

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

/// Nothing when no whole batch of the log with this number begins there.
std::optional<batch_head> batch_at(std::string_view bytes, std::size_t at, std::uint64_t number) {
  const auto rest = bytes.substr(std::min(at, bytes.size()));
  if (rest.size() < head_bytes || !rest.starts_with(magic)
      || get_le<std::uint64_t>(rest.data() + at_number) != number)
    return {};
  const batch_head out{get_le<std::uint64_t>(rest.data() + at_position),
                       get_le<std::uint32_t>(rest.data() + at_records),
                       head_bytes + std::size_t{get_le<std::uint32_t>(rest.data() + at_bytes)}};
  if (out.bytes > rest.size() || out.records == 0
      || get_le<std::uint32_t>(rest.data() + at_checksum) != checksum_of(rest.substr(0, out.bytes)))
    return {};
  return out;
}

unexpected damaged(const std::string& what) {
  return fail(errc::damaged, std::string{write_ahead_log::file_name} + ": " + what);
}

/// The file's number; nothing when it holds nothing: it was made, and no more.
expected<std::optional<std::uint64_t>> number_of(std::string_view bytes) {
  const auto head = bytes.substr(0, file_head_bytes);
  if (head.find_first_not_of('\0') == head.npos)
    return std::nullopt;
  if (head.size() == file_head_bytes && head.starts_with(file_magic)
      && static_cast<unsigned char>(head[at_version]) > current_version)
    return fail(errc::newer_format,
                std::string{write_ahead_log::file_name} + " has the version "
                    + std::to_string(static_cast<unsigned char>(head[at_version]))
                    + "; this build reads 1");
  if (head.size() != file_head_bytes || !head.starts_with(file_magic)
      || get_le<std::uint32_t>(head.data() + at_file_checksum)
             != crc32c(head.substr(0, at_file_checksum)))
    return damaged("its head is damaged");
  return get_le<std::uint64_t>(head.data() + at_file_number);
}

/// The whole batches that follow one another from the beginning; answers where they end.
template <class F>
std::size_t walk(std::string_view bytes, std::uint64_t number, F next) {
  std::size_t at = write_ahead_log::page_bytes;
  std::optional<std::uint64_t> follows;
  for (auto here = batch_at(bytes, at, number); here && (!follows || here->position == *follows);
       here = batch_at(bytes, at, number)) {
    next(*here, bytes.substr(at + head_bytes, here->bytes - head_bytes));
    follows = here->position + here->records;
    at += whole_pages(here->bytes);
  }
  return std::min(at, bytes.size());
}

}  // namespace

std::size_t whole_batches(std::string_view bytes) {
  const auto number = number_of(bytes);
  return number && *number ? walk(bytes, **number, [](const batch_head&, std::string_view) {}) : 0;
}

expected<std::vector<logged_record>> read_log(std::string_view bytes, std::uint64_t behind) {
  const auto number = number_of(bytes);
  if (!number)
    return unexpected{number.error()};
  std::vector<logged_record> out;
  if (!*number)
    return out;
  auto newest = behind;
  expected<void> fine;
  const auto end = walk(bytes, **number, [&](const batch_head& head, std::string_view records) {
    if (head.position > newest + 1 && fine)
      fine = damaged("it goes on at change " + std::to_string(head.position)
                     + ", and the store's data file ends at change " + std::to_string(newest)
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
    if (const auto head = batch_at(bytes, at, **number); head && head->position > newest)
      return damaged("change " + std::to_string(newest + 1) + " is damaged, and change "
                     + std::to_string(head->position) + " was written after it");
  return out;
}

expected<std::string> bytes_of_log(const std::filesystem::path& directory) {
  const auto path = directory / write_ahead_log::file_name;
  const unique_fd fd{::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)};
  if (!fd && errno == ENOENT)
    return std::string{};
  struct stat info {};
  if (!fd && errno == ELOOP)
    return fail(errc::damaged, path.string() + " is a symbolic link");
  if (!fd || ::fstat(fd.get(), &info) != 0)
    return system_failure("cannot open " + path.string(), errno);
  if (!S_ISREG(info.st_mode) || static_cast<std::uint64_t>(info.st_size) > most_bytes)
    return fail(errc::damaged, path.string() + " is no log: not a plain file, or too large a one");
  std::string out;
  if (const int code = read_at(fd.get(), out, static_cast<std::size_t>(info.st_size), 0); code != 0)
    return system_failure("cannot read " + path.string(), code);
  return out;
}

expected<write_ahead_log> write_ahead_log::open(const data_directory& directory,
                                                std::size_t capacity) {
  auto fd = directory.open_file(file_name, O_RDWR | O_CREAT | O_DSYNC);
  if (!fd)
    return unexpected{fd.error()};
  return write_ahead_log{std::move(*fd), (directory.path() / file_name).string(),
                         std::min<std::size_t>(capacity, most_bytes)};
}

/// Grows the file by zeros. Its first ones have its head in front: one sector, which is there or is
/// not.
bool write_ahead_log::make_room(std::size_t records, std::size_t bytes) {
  const auto end = begin_ + whole_pages(head_bytes + records * size_bytes + bytes);
  if (end > capacity_)
    return false;
  while (written_ < end) {
    std::string step(std::min<std::uint64_t>(step_bytes, capacity_ - written_), '\0');
    if (written_ == 0) {
      std::random_device random;
      number_ = std::uint64_t{random()} << 32 | random();
      step.replace(0, file_magic.size(), file_magic);
      step[at_version] = current_version;
      put_le(step.data() + at_file_number, number_);
      put_le(step.data() + at_file_checksum, crc32c({step.data(), at_file_checksum}));
    }
    try {
      write_at(step.data(), step.size(), written_);
    } catch (const lmdb::failure& what) {
      if (what.kind() == lmdb::failure_kind::full)
        return false;  // nothing of it was used
      throw;
    }
    written_ += step.size();
  }
  if (!memory_)
    memory_ = std::make_unique_for_overwrite<char[]>(capacity_);
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
  put_le(batch + at_records, static_cast<std::uint32_t>(made_.size()));
  put_le(batch + at_position, position);
  put_le(batch + at_number, number_);
  put_le(batch + at_bytes, static_cast<std::uint32_t>(size - head_bytes));
  put_le(batch + at_checksum, checksum_of({batch, size}));
  std::memset(batch + size, 0, pages - size);
  if (const auto all = records_.size() + made_.size(); all > records_.capacity())
    records_.reserve(2 * all);  // nothing fails once it is on disk
  try {
    write_at(batch, pages, begin_);
  } catch (const lmdb::failure& what) {
    // Only a file system that copies what it writes has no room for what has its place.
    if (what.kind() == lmdb::failure_kind::full)
      cut(begin_);
    throw;
  }
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
  begin_ = end_ = page_bytes;
}

void write_ahead_log::truncate() {
  cut(0);
}

void write_ahead_log::cut(std::uint64_t size) {
  if (::ftruncate(fd_.get(), static_cast<off_t>(size)) != 0 || ::fsync(fd_.get()) != 0) {
    const int code = errno;
    throw lmdb::failure{lmdb::failure_kind::fatal,
                        "ftruncate " + name_ + ": " + std::generic_category().message(code)};
  }
  written_ = size;
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
