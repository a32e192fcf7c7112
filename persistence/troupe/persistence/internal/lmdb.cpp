#include <troupe/persistence/internal/lmdb.hpp>

#include <fcntl.h>
#include <lmdb.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>

namespace troupe::lmdb {

namespace {

constexpr unsigned safe_flags = MDB_NOTLS | MDB_NORDAHEAD;  // any other flag costs a promise
constexpr std::uint64_t smallest_map = 1ULL << 20;

void check(const char* call, int code) {
  if (code != MDB_SUCCESS)
    throw failure{call, code};
}

MDB_val to_val(std::string_view bytes) noexcept {
  return {bytes.size(), const_cast<char*>(bytes.data())};  // LMDB does not write to its input
}

std::string_view to_view(const MDB_val& bytes) noexcept {
  return {static_cast<const char*>(bytes.mv_data), bytes.mv_size};
}

struct close_env {
  void operator()(MDB_env* env) const noexcept { mdb_env_close(env); }
};

int file_of(MDB_env* env) {
  int fd = -1;
  check("mdb_env_get_fd", mdb_env_get_fd(env, &fd));
  return fd;
}

std::uint64_t bytes_of_file(int fd) {
  struct stat info {};
  check("fstat data.mdb", ::fstat(fd, &info) == 0 ? 0 : errno);
  return static_cast<std::uint64_t>(info.st_size);
}

MDB_txn* begin(environment& env, unsigned flags) {
  MDB_txn* txn = nullptr;
  check("mdb_txn_begin", mdb_txn_begin(env.get(), nullptr, flags, &txn));
  return txn;
}

}  // namespace

failure_kind classify(int code) noexcept {
  switch (code) {
    case MDB_MAP_FULL:
    case ENOSPC:
    case EDQUOT:
    case EFBIG: return failure_kind::full;
    case MDB_PANIC:
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_INVALID:
    case MDB_VERSION_MISMATCH:
    case MDB_CURSOR_FULL:
    case MDB_PAGE_FULL:
    case EIO:
    case EROFS:
    case EBADF:
    case ENXIO:
    case ENODEV: return failure_kind::fatal;
    default: return failure_kind::other;
  }
}

failure::failure(std::string_view call, int code)
    : std::runtime_error{std::string{call} + ": " + mdb_strerror(code)},
      code_{code} {}

// environment
// ---------------------------------------------------------------------------------------------------------

environment environment::open(const std::filesystem::path& directory, std::uint64_t map_bytes) {
  for (;; map_bytes /= 2) {
    MDB_env* raw = nullptr;
    check("mdb_env_create", mdb_env_create(&raw));
    std::unique_ptr<MDB_env, close_env> env{raw};
    check("mdb_env_set_maxdbs", mdb_env_set_maxdbs(raw, max_databases));
    check("mdb_env_set_mapsize", mdb_env_set_mapsize(raw, map_bytes));
    const int code = mdb_env_open(raw, directory.c_str(), safe_flags, 0600);
    if (code == ENOMEM && map_bytes > smallest_map)
      continue;
    check("mdb_env_open", code);
    int dead = 0;
    check("mdb_reader_check", mdb_reader_check(raw, &dead));
    environment out{env.release()};
    out.file_bytes_ = bytes_of_file(file_of(raw));
    return out;
  }
}

environment::environment(environment&& other) noexcept
    : env_{std::exchange(other.env_, nullptr)},
      file_bytes_{other.file_bytes_} {}

environment& environment::operator=(environment&& other) noexcept {
  std::swap(env_, other.env_);
  std::swap(file_bytes_, other.file_bytes_);
  return *this;
}

environment::~environment() {
  if (env_ != nullptr)
    mdb_env_close(env_);
}

void environment::reserve(std::uint64_t bytes) {
  constexpr std::uint64_t mib = 1ULL << 20;
  MDB_envinfo info{};
  check("mdb_env_info", mdb_env_info(env_, &info));
  const auto used = used_bytes();
  // A value can take twice its size (whole pages); one more MiB holds the pages of the trees and of
  // the free list.
  const auto need = std::min<std::uint64_t>(used + 2 * bytes + mib, info.me_mapsize);
  if (need <= file_bytes_)
    return;
  const int fd = file_of(env_);
  const auto grow_to = [&](std::uint64_t size) {
    if (::fallocate(fd, 0, static_cast<off_t>(file_bytes_), static_cast<off_t>(size - file_bytes_))
        == 0)
      return 0;
    if (errno == EOPNOTSUPP && ::ftruncate(fd, static_cast<off_t>(size)) == 0)
      return 0;
    return errno;
  };
  // In steps of an eighth: a file that grows with each transaction makes each sync write the inode
  // too.
  const auto step = std::clamp(used / 8, 4 * mib, 64 * mib);
  auto size = std::min<std::uint64_t>(std::max(need, used + step), info.me_mapsize);
  int code = grow_to(size);
  if (code == ENOSPC && size > need)
    code = grow_to(size = need);
  check("fallocate data.mdb", code);
  check("fsync data.mdb", ::fsync(fd) == 0 ? 0 : errno);
  file_bytes_ = size;
}

void environment::copy_to(int fd, bool compacting) const {
  check("mdb_env_copyfd2", mdb_env_copyfd2(env_, fd, compacting ? MDB_CP_COMPACT : 0));
}

std::uint64_t environment::used_bytes() const {
  MDB_envinfo info{};
  MDB_stat stat{};
  check("mdb_env_info", mdb_env_info(env_, &info));
  check("mdb_env_stat", mdb_env_stat(env_, &stat));
  return (info.me_last_pgno + 1) * stat.ms_psize;
}

bool environment::still_at(std::uint64_t before) noexcept {
  MDB_txn* txn = nullptr;
  if (mdb_txn_begin(env_, nullptr, MDB_RDONLY, &txn) != MDB_SUCCESS)
    return false;
  const bool same = mdb_txn_id(txn) == before;
  mdb_txn_abort(txn);
  return same;
}

// transaction
// ---------------------------------------------------------------------------------------------------------

transaction transaction::read(environment& env) {
  return transaction{begin(env, MDB_RDONLY)};
}

transaction transaction::write(environment& env) {
  return transaction{begin(env, 0)};
}

transaction::~transaction() {
  if (txn_ != nullptr)
    mdb_txn_abort(txn_);
}

void transaction::commit() {
  check("mdb_txn_commit", mdb_txn_commit(std::exchange(txn_, nullptr)));
}

std::uint64_t transaction::id() const noexcept {
  return mdb_txn_id(txn_);
}

std::optional<dbi> transaction::find_database(const char* name) {
  dbi out = 0;
  const int code = mdb_dbi_open(txn_, name, 0, &out);
  if (code == MDB_NOTFOUND || code == MDB_INCOMPATIBLE)
    return {};
  check("mdb_dbi_open", code);
  return out;
}

dbi transaction::create_database(const char* name) {
  dbi out = 0;
  check("mdb_dbi_open", mdb_dbi_open(txn_, name, MDB_CREATE, &out));
  return out;
}

std::vector<std::string> transaction::database_names() {
  dbi names = 0;
  check("mdb_dbi_open", mdb_dbi_open(txn_, nullptr, 0, &names));
  std::vector<std::string> out;
  cursor at{*this, names};
  for (auto name = at.first(); name; name = at.next())
    out.emplace_back(name->key);
  return out;
}

std::optional<std::string_view> transaction::get(dbi db, std::string_view key) {
  auto k = to_val(key);
  MDB_val v{};
  const int code = mdb_get(txn_, db, &k, &v);
  if (code == MDB_NOTFOUND)
    return {};
  check("mdb_get", code);
  return to_view(v);
}

void transaction::put(dbi db, std::string_view key, std::string_view value) {
  auto k = to_val(key);
  auto v = to_val(value);
  check("mdb_put", mdb_put(txn_, db, &k, &v, 0));
}

bool transaction::erase(dbi db, std::string_view key) {
  auto k = to_val(key);
  const int code = mdb_del(txn_, db, &k, nullptr);
  if (code == MDB_NOTFOUND)
    return false;
  check("mdb_del", code);
  return true;
}

char* transaction::reserve(dbi db, std::string_view key, std::size_t size) {
  auto k = to_val(key);
  MDB_val v{size, nullptr};
  check("mdb_put", mdb_put(txn_, db, &k, &v, MDB_RESERVE));
  return static_cast<char*>(v.mv_data);
}

// cursor
// --------------------------------------------------------------------------------------------------------------

cursor::cursor(transaction& txn, dbi db) {
  check("mdb_cursor_open", mdb_cursor_open(txn.get(), db, &cursor_));
}

cursor::~cursor() {
  mdb_cursor_close(cursor_);
}

std::optional<entry> cursor::move(int operation, std::string_view key) {
  auto k = to_val(key);
  MDB_val v{};
  const int code = mdb_cursor_get(cursor_, &k, &v, static_cast<MDB_cursor_op>(operation));
  if (code == MDB_NOTFOUND)
    return {};
  check("mdb_cursor_get", code);
  return entry{to_view(k), to_view(v)};
}

std::optional<entry> cursor::first() {
  return move(MDB_FIRST);
}
std::optional<entry> cursor::last() {
  return move(MDB_LAST);
}
std::optional<entry> cursor::next() {
  return move(MDB_NEXT);
}
std::optional<entry> cursor::previous() {
  return move(MDB_PREV);
}
std::optional<entry> cursor::seek(std::string_view key) {
  return move(MDB_SET_RANGE, key);
}

void cursor::erase() {
  check("mdb_cursor_del", mdb_cursor_del(cursor_, 0));
}

char* cursor::append(std::string_view key, std::size_t size) {
  auto k = to_val(key);
  MDB_val v{size, nullptr};
  check("mdb_cursor_put", mdb_cursor_put(cursor_, &k, &v, MDB_RESERVE | MDB_APPEND));
  return static_cast<char*>(v.mv_data);
}

}  // namespace troupe::lmdb
