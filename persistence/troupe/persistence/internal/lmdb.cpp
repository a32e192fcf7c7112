#include <troupe/persistence/internal/data_directory.hpp>
#include <troupe/persistence/internal/lmdb.hpp>
#include <troupe/persistence/internal/pages.hpp>

#include <fcntl.h>
#include <lmdb.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <vector>

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

constexpr std::size_t max_run = 256;  // entries checked at once in front of a cursor

struct close_env {
  void operator()(MDB_env* env) const noexcept { mdb_env_close(env); }
};

int file_of(MDB_env* env) {
  int fd = -1;
  check("mdb_env_get_fd", mdb_env_get_fd(env, &fd));
  return fd;
}

internal::unique_fd open_to_read(const std::filesystem::path& file) {
  internal::unique_fd out{::open(file.c_str(), O_RDONLY | O_CLOEXEC)};
  check("open data.mdb", out ? 0 : errno);
  return out;
}

struct file_size {
  std::uint64_t bytes;
  std::uint64_t allocated;  // all, or 0 when there are holes
};

file_size size_of(int fd) {
  struct stat info {};
  check("fstat data.mdb", ::fstat(fd, &info) == 0 ? 0 : errno);
  const auto bytes = static_cast<std::uint64_t>(info.st_size);
  const bool whole = static_cast<std::uint64_t>(info.st_blocks) * 512 >= bytes;
  return {bytes, whole ? bytes : 0};
}

MDB_txn* begin(environment& env, unsigned flags) {
  MDB_txn* txn = nullptr;
  check("mdb_txn_begin", mdb_txn_begin(env.get(), nullptr, flags, &txn));
  return txn;
}

}  // namespace

/// Stands before look-ups: pages first, then LMDB.
class guard {
public:
  explicit guard(internal::unique_fd fd)
      : fd_{std::make_shared<internal::unique_fd>(std::move(fd))},
        pages{fd_->get()} {}

  /// For a transaction that sees what `other` sees now, whatever is committed later.
  explicit guard(guard& other)
      : fd_{other.fd_},
        names_{other.names_},
        pages{fd_->get(), other.pages.head()} {}

  void name(dbi db, const char* name) {
    if (names_.size() <= db)
      names_.resize(db + 1);
    names_[db] = name;
  }
  [[nodiscard]] std::string_view name_of(dbi db) const { return names_[db]; }

private:
  std::shared_ptr<internal::unique_fd> fd_;
  std::vector<std::string> names_;

public:
  page_file pages;
  std::mutex map;  ///< held by who reads it on another thread, and by who moves it
};

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
      kind_{classify(code)},
      code_{code} {}

// environment
// ---------------------------------------------------------------------------------------------------------

namespace {

/// The map is halved while the address space does not hold it.
std::unique_ptr<MDB_env, close_env> open_raw(const std::filesystem::path& directory,
                                             std::uint64_t map_bytes, unsigned flags) {
  for (;; map_bytes /= 2) {
    MDB_env* raw = nullptr;
    check("mdb_env_create", mdb_env_create(&raw));
    std::unique_ptr<MDB_env, close_env> env{raw};
    check("mdb_env_set_maxdbs", mdb_env_set_maxdbs(raw, max_databases));
    check("mdb_env_set_mapsize", mdb_env_set_mapsize(raw, map_bytes));
    const int code = mdb_env_open(raw, directory.c_str(), flags, 0600);
    if (code == ENOMEM && map_bytes > smallest_map)
      continue;
    check("mdb_env_open", code);
    return env;
  }
}

}  // namespace

environment environment::open(const std::filesystem::path& directory, std::uint64_t map_bytes,
                              std::uint64_t reserve_bytes) {
  auto raw = open_raw(directory, map_bytes, safe_flags);
  environment out{raw.get(), directory, reserve_bytes};
  static_cast<void>(raw.release());
  out.forget_dead_readers();
  return out;
}

environment environment::open_to_copy(const std::filesystem::path& directory) {
  constexpr std::uint64_t map_bytes = 64ULL << 30;  // or as much as the file has
  auto raw = open_raw(directory, map_bytes, safe_flags | MDB_RDONLY);
  environment out{raw.get(), directory, 0};
  static_cast<void>(raw.release());
  return out;
}

void environment::forget_dead_readers() {
  int dead = 0;
  check("mdb_reader_check", mdb_reader_check(env_, &dead));
}

environment::environment(MDB_env* env, const std::filesystem::path& directory,
                         std::uint64_t reserve_bytes)
    : guard_{std::make_unique<guard>(open_to_read(directory / "data.mdb"))} {
  const auto size = size_of(file_of(env));
  file_bytes_ = size.bytes;
  allocated_ = size.allocated;
  MDB_envinfo info{};
  MDB_stat stat{};
  check("mdb_env_info", mdb_env_info(env, &info));
  check("mdb_env_stat", mdb_env_stat(env, &stat));
  reserve_bytes_ = std::min<std::uint64_t>(reserve_bytes, info.me_mapsize / 8);
  // A store that is beyond its quota, as that was lowered, can still free.
  // LMDB maps no less than what is used.
  const std::uint64_t used = (info.me_last_pgno + 1) * stat.ms_psize;
  limit_ = (used >= info.me_mapsize ? used + reserve_bytes_ : info.me_mapsize) / stat.ms_psize
           * stat.ms_psize;
  env_ = env;
}

environment::environment(environment&& other) noexcept
    : env_{std::exchange(other.env_, nullptr)},
      guard_{std::move(other.guard_)},
      file_bytes_{other.file_bytes_},
      allocated_{other.allocated_},
      reserve_bytes_{other.reserve_bytes_},
      limit_{other.limit_},
      bound_{other.bound_},
      disk_full_{other.disk_full_},
      short_of_room_{other.short_of_room_} {}

environment& environment::operator=(environment&& other) noexcept {
  std::swap(env_, other.env_);
  std::swap(guard_, other.guard_);
  std::swap(file_bytes_, other.file_bytes_);
  std::swap(allocated_, other.allocated_);
  std::swap(reserve_bytes_, other.reserve_bytes_);
  std::swap(limit_, other.limit_);
  std::swap(bound_, other.bound_);
  std::swap(disk_full_, other.disk_full_);
  std::swap(short_of_room_, other.short_of_room_);
  return *this;
}

environment::~environment() {
  if (env_ != nullptr)
    mdb_env_close(env_);
}

/// Gives the file `size` bytes that have a place on the disk. Answers the system's code.
int environment::grow(std::uint64_t size) {
  if (size <= allocated_)
    return 0;
  const int fd = file_of(env_);
  if (::fallocate(fd, 0, static_cast<off_t>(allocated_), static_cast<off_t>(size - allocated_))
      != 0) {
    if (errno != EOPNOTSUPP || size <= file_bytes_)
      return errno == EOPNOTSUPP ? 0 : errno;
    if (::ftruncate(fd, static_cast<off_t>(size)) != 0)
      return errno;
  }
  allocated_ = size;
  if (size <= file_bytes_)
    return 0;
  if (::fsync(fd) != 0)
    return errno;
  file_bytes_ = size;
  return 0;
}

namespace {

constexpr std::uint64_t mib = 1ULL << 20;

/// What a transaction of so many bytes takes at most: a value can take twice its size (whole
/// pages); one more MiB holds the pages of the trees and of the free list.
std::uint64_t work_of(std::uint64_t bytes) {
  return 2 * bytes + mib;
}

}  // namespace

void environment::reserve(std::uint64_t bytes, purpose what_for) {
  MDB_envinfo info{};
  MDB_stat stat{};
  check("mdb_env_info", mdb_env_info(env_, &info));
  check("mdb_env_stat", mdb_env_stat(env_, &stat));
  const auto used = used_bytes();
  const auto work = work_of(bytes);
  const auto wanted = std::min(used + work + reserve_bytes_, limit_);
  const auto full = [](int code) { return classify(code) == failure_kind::full; };
  if (wanted > allocated_) {
    // In steps of an eighth: a file that grows with each transaction makes each sync write the
    // inode too.
    const auto step = std::clamp(used / 8, 4 * mib, 64 * mib);
    int code = grow(std::min(wanted + step, limit_));
    if (full(code))
      code = grow(wanted);
    disk_full_ = full(code);
    if (!disk_full_)
      check("fallocate data.mdb", code);
  } else {
    disk_full_ = false;
  }
  // On a full disk the map ends where the file does: what is behind it cannot be had, and LMDB says
  // so before it writes.
  const auto end = std::max(allocated_ == 0 ? file_bytes_ : allocated_, used);
  bound_ = disk_full_ ? std::min(end / stat.ms_psize * stat.ms_psize, limit_) : limit_;
  // The reserve is the end of the file, in one piece.
  const auto for_all = (bound_ - std::min(bound_, reserve_bytes_)) / stat.ms_psize * stat.ms_psize;
  const bool near = what_for == purpose::add && used + work > for_all;
  if (const auto map = near ? std::max(for_all, used) : bound_; info.me_mapsize != map) {
    const auto still = hold_map();
    check("mdb_env_set_mapsize", mdb_env_set_mapsize(env_, map));
  }
  short_of_room_ = !fits(work + reserve_bytes_);
}

bool environment::has_room(std::uint64_t bytes) {
  return fits(2 * bytes);
}

bool environment::has_room_behind(std::uint64_t bytes) const {
  const auto for_all = bound_ - std::min(bound_, reserve_bytes_);
  return !disk_full_ && used_bytes() + work_of(bytes) <= for_all;
}

/// What was freed can be taken again, so only what is in use counts; it is measured when that
/// decides.
bool environment::fits(std::uint64_t bytes) {
  MDB_envinfo info{};
  MDB_stat stat{};
  check("mdb_env_info", mdb_env_info(env_, &info));
  check("mdb_env_stat", mdb_env_stat(env_, &stat));
  const auto for_all = bound_ - std::min(bound_, reserve_bytes_);
  const auto used = (info.me_last_pgno + 1) * stat.ms_psize;
  if (used + bytes <= for_all)
    return true;
  // Once the reserve is no piece any more but pages here and there, twice as many are kept: a large
  // value needs neighbours.
  const auto scattered = used > for_all ? std::min(for_all, reserve_bytes_) : 0;
  return live_bytes() + bytes <= for_all - scattered;
}

std::uint64_t environment::live_bytes() {
  auto txn = transaction::read(*this);
  std::uint64_t pages = 2;  // the meta pages
  MDB_stat stat{};
  // The free list, the names, the databases that are open: their trees say how many pages they
  // have.
  for (MDB_dbi db = 0; db < max_databases + 2; ++db)
    if (mdb_stat(txn.get(), db, &stat) == MDB_SUCCESS)
      pages += stat.ms_branch_pages + stat.ms_leaf_pages + stat.ms_overflow_pages;
  return pages * stat.ms_psize;
}

std::unique_lock<std::mutex> environment::hold_map() const {
  return std::unique_lock{guard_->map};
}

std::uint64_t environment::newest() {
  MDB_envinfo info{};
  check("mdb_env_info", mdb_env_info(env_, &info));
  return info.me_last_txnid;
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
  env.pages()->pages.begin();
  return {begin(env, MDB_RDONLY), env.pages()};
}

transaction transaction::write(environment& env) {
  env.pages()->pages.begin();
  return {begin(env, 0), env.pages()};
}

transaction transaction::read_beside(environment& env) {
  transaction out{begin(env, MDB_RDONLY), env.pages()};
  out.own_ = std::make_shared<guard>(*env.pages());
  out.guard_ = out.own_.get();
  if (out.guard_->pages.head().txn != out.id())
    page_file::damaged("the newest meta page is not the one that LMDB reads");
  return out;
}

transaction::~transaction() {
  if (txn_ != nullptr)
    mdb_txn_abort(txn_);
}

void transaction::commit() {
  guard_->pages.changed();
  check("mdb_txn_commit", mdb_txn_commit(std::exchange(txn_, nullptr)));
}

std::uint64_t transaction::id() const noexcept {
  return mdb_txn_id(txn_);
}

std::optional<dbi> transaction::find_database(const char* name) {
  static_cast<void>(guard_->pages.find_tree(name));
  dbi out = 0;
  const int code = mdb_dbi_open(txn_, name, 0, &out);
  if (code == MDB_NOTFOUND || code == MDB_INCOMPATIBLE)
    return {};
  check("mdb_dbi_open", code);
  guard_->name(out, name);
  return out;
}

dbi transaction::create_database(const char* name) {
  static_cast<void>(guard_->pages.find_tree(name));
  dbi out = 0;
  check("mdb_dbi_open", mdb_dbi_open(txn_, name, MDB_CREATE, &out));
  guard_->name(out, name);
  return out;
}

std::uint64_t transaction::entries(dbi db) {
  static_cast<void>(guard_->pages.find_tree(guard_->name_of(db)));
  MDB_stat stat{};
  check("mdb_stat", mdb_stat(txn_, db, &stat));
  return stat.ms_entries;
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
  guard_->pages.check_key(guard_->name_of(db), key);
  auto k = to_val(key);
  MDB_val v{};
  const int code = mdb_get(txn_, db, &k, &v);
  if (code == MDB_NOTFOUND)
    return {};
  check("mdb_get", code);
  return to_view(v);
}

/// Over a value of this transaction LMDB writes a smaller one in its place, and the overflow pages
/// that are left over stay with it. We read a page as damaged that says another number than its
/// value needs, so the larger value goes first.
void transaction::make_way(dbi db, std::string_view key, std::size_t size) {
  const auto pages = [&](std::size_t bytes) {
    return overflow_pages(bytes, guard_->pages.head().page_bytes);
  };
  auto k = to_val(key);
  MDB_val old{};
  if (mdb_get(txn_, db, &k, &old) == MDB_SUCCESS && pages(old.mv_size) > pages(size))
    check("mdb_del", mdb_del(txn_, db, &k, nullptr));
}

void transaction::put(dbi db, std::string_view key, std::string_view value) {
  guard_->pages.check_key(guard_->name_of(db), key);
  make_way(db, key, value.size());
  auto k = to_val(key);
  auto v = to_val(value);
  check("mdb_put", mdb_put(txn_, db, &k, &v, 0));
}

bool transaction::erase(dbi db, std::string_view key) {
  guard_->pages.check_key(guard_->name_of(db), key);
  auto k = to_val(key);
  const int code = mdb_del(txn_, db, &k, nullptr);
  if (code == MDB_NOTFOUND)
    return false;
  check("mdb_del", code);
  return true;
}

char* transaction::reserve(dbi db, std::string_view key, std::size_t size) {
  guard_->pages.check_key(guard_->name_of(db), key);
  make_way(db, key, size);
  auto k = to_val(key);
  MDB_val v{size, nullptr};
  check("mdb_put", mdb_put(txn_, db, &k, &v, MDB_RESERVE));
  return static_cast<char*>(v.mv_data);
}

// cursor
// --------------------------------------------------------------------------------------------------------------

cursor::cursor(transaction& txn, dbi db) : guard_{txn.pages()}, db_{db} {
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

void cursor::check_from(std::string_view key) {
  checked_ = guard_->pages.check_run(guard_->name_of(db_), key, run_);
  run_ = std::min(2 * run_, max_run);
}

std::optional<entry> cursor::first() {
  check_from({});
  return remember(move(MDB_FIRST));
}
std::optional<entry> cursor::last() {
  guard_->pages.check_last(guard_->name_of(db_));
  checked_ = 1;
  return remember(move(MDB_LAST));
}
std::optional<entry> cursor::seek(std::string_view key) {
  check_from(key);
  return remember(move(MDB_SET_RANGE, key));
}
std::optional<entry> cursor::next() {
  if (checked_ <= 1 && !at_.empty())
    check_from(at_);
  if (checked_ > 0)
    --checked_;
  return remember(move(MDB_NEXT));
}

std::optional<entry> cursor::remember(std::optional<entry> found) {
  if (found && checked_ <= 1)
    at_ = found->key;
  return found;
}

std::optional<entry> cursor::prior() {
  return move(MDB_PREV);
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
