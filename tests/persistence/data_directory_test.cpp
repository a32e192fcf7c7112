#include <troupe/persistence/internal/bytes.hpp>

#include "store_fixture.hpp"
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <random>

using namespace troupe;
using namespace troupe::testing;

namespace fs = std::filesystem;

namespace {

void write(const fs::path& file, std::string_view bytes) {
  std::ofstream{file, std::ios::binary} << bytes;
}

mode_t mode_of(const fs::path& path) {
  struct stat info {};
  REQUIRE(::stat(path.c_str(), &info) == 0);
  return info.st_mode & 07777;
}

/// Where the pages end that the newer meta page names.
std::uintmax_t used_bytes(const fs::path& file) {
  std::ifstream in{file, std::ios::binary};
  std::uintmax_t last = 0;
  for (const int page : {0, 1}) {
    std::string meta(152, '\0');
    in.seekg(page * 4'096);
    in.read(meta.data(), static_cast<std::streamsize>(meta.size()));
    last = std::max<std::uintmax_t>(last, internal::get_le<std::uint64_t>(meta.data() + 136));
  }
  return (last + 1) * 4'096;
}

}  // namespace

TEST_CASE("a new store is closed to other users") {
  memory_directory dir;
  const auto store = open(dir);
  CHECK(mode_of(dir.store()) == 0700);
  for (const auto* file : {"data.mdb", "lock.mdb", "owner.lock"})
    CHECK(mode_of(dir.store() / file) == 0600);
  CHECK_FALSE(fs::exists(dir.store() / "creating"));
}

TEST_CASE("an owner that was killed and its child that dies a little later keep nobody out") {
  memory_directory dir;
  { const auto made = open(dir); }
  const pid_t owner = ::fork();
  if (owner == 0) {
    const auto store = open(dir);
    if (::fork() == 0)  // has the lock, as the process has that checks a store
      ::usleep(200'000);
    ::_exit(0);
  }
  REQUIRE(::waitpid(owner, nullptr, 0) == owner);
  CHECK(open(dir).stats().position == 0);
}

TEST_CASE("an empty directory is closed to others and one with content is refused") {
  memory_directory dir;
  fs::create_directory(dir.store());
  ::chmod(dir.store().c_str(), 0755);
  { const auto store = open(dir); }
  CHECK(mode_of(dir.store()) == 0700);
  ::chmod(dir.store().c_str(), 0750);
  CHECK(open_fault(dir) == errc::forbidden);
  CHECK(has(open_message(dir), "chmod 700"));
}

TEST_CASE("a second open of the directory is refused and names the owner") {
  memory_directory dir;
  {
    const auto store = open(dir);
    CHECK(open_fault(dir) == errc::busy);
    CHECK(has(open_message(dir), "in use by pid " + std::to_string(::getpid())));
  }
  CHECK(try_open(dir));
}

TEST_CASE("symbolic links are refused wherever they stand") {
  memory_directory dir;
  { const auto store = open(dir); }
  fs::create_directory_symlink(dir.store(), dir.path() / "link");
  for (const auto* name : {"link", "link/"}) {
    const auto out = journal_store::open(dir.path() / name, {}, fold_texts(join));
    REQUIRE_FALSE(out);
    CHECK(out.error().code == errc::damaged);
    CHECK(has(out.error().message, "symbolic link"));
  }
  for (const auto* name : {"data.mdb", "lock.mdb", "owner.lock"}) {
    fs::rename(dir.store() / name, dir.path() / name);
    fs::create_symlink(dir.path() / name, dir.store() / name);
    CHECK(open_fault(dir) == errc::damaged);
    fs::remove(dir.store() / name);
    fs::rename(dir.path() / name, dir.store() / name);
  }
  CHECK(try_open(dir));
}

TEST_CASE("a store that was truncated anywhere is refused and does not end the process") {
  memory_directory dir;
  {
    auto store = open(dir);
    for (std::uint64_t i = 1; i <= 200; ++i)
      REQUIRE(commit(store, change_of("a", i, std::string(3'000, 'x'))));
  }
  const auto file = dir.store() / "data.mdb";
  const auto size = fs::file_size(file);
  const auto saved = dir.path() / "saved";
  fs::copy_file(file, saved);
  // The file is longer than what is used; below that, every length is too short.
  constexpr std::uintmax_t used = 200 * 4'096;
  for (const auto length : {used, used - 1, used / 2, std::uintmax_t{8'192}, std::uintmax_t{8'191},
                            std::uintmax_t{4'096}, std::uintmax_t{100}, std::uintmax_t{0}}) {
    REQUIRE(length < size);
    fs::resize_file(file, length);
    const auto out = try_open(dir);
    REQUIRE_FALSE(out);
    CHECK(out.error().code == errc::damaged);
    CHECK(has(out.error().message, "truncated"));
    fs::copy_file(saved, file, fs::copy_options::overwrite_existing);
  }
  auto store = open(dir);
  CHECK(store.load(session_ref("a"))->sequence == 200);
}

TEST_CASE("the file is longer than its pages need so that a shorter one was truncated") {
  memory_directory dir;
  auto options = small_map();
  options.slice_bytes = 100'000;
  std::mt19937_64 random{7};
  std::map<std::string, std::uint64_t> sequences;
  for (int i = 0; i < 300; ++i) {
    auto store = open(dir, options);  // refuses a file that is shorter
    std::vector<commit_request> batch;
    for (int n = 0; n < 20; ++n) {
      const auto id = std::to_string(random() % 50);
      batch.push_back(change_of(id, ++sequences[id], std::string(random() % 3'000, 'x')));
    }
    for (const auto& result : store.commit(batch))
      REQUIRE(result);
    if (i % 3 == 0)
      REQUIRE(store.materialise());
    const auto file = dir.store() / "data.mdb";
    REQUIRE(fs::file_size(file) >= used_bytes(file) + (512 << 10));
  }
}

TEST_CASE("a file that is no Troupe store is refused and named") {
  memory_directory dir;
  fs::create_directory(dir.store());
  ::chmod(dir.store().c_str(), 0700);
  write(dir.store() / "data.mdb", std::string(10'000, 'x'));
  CHECK(open_fault(dir) == errc::damaged);
  CHECK(has(open_message(dir), "no Troupe store"));
  fs::remove(dir.store() / "data.mdb");
  {
    auto env = lmdb::environment::open(dir.store(), 1 << 20);
    auto txn = lmdb::transaction::write(env);
    txn.put(txn.create_database("something"), "a", "b");
    txn.commit();
  }
  CHECK(open_fault(dir) == errc::damaged);
  CHECK(has(open_message(dir), "no Troupe store"));
}

TEST_CASE("a creation that was interrupted is begun again") {
  memory_directory dir;
  fs::create_directories(dir.store() / "creating");
  ::chmod(dir.store().c_str(), 0700);
  write(dir.store() / "creating" / "data.mdb", std::string(8'192, '\0'));
  auto store = open(dir);
  CHECK(commit(store, change_of("a", 1, "x")));
}
