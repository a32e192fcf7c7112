#include <troupe/persistence/internal/data_directory.hpp>
#include <troupe/persistence/internal/pages.hpp>

#include "store_fixture.hpp"

using namespace troupe;
using namespace troupe::testing;

namespace fs = std::filesystem;

namespace {

std::string key_of(int n) {
  return "key-" + std::to_string(1'000 + n);
}

/// A database "d" whose root has several leaves, written by LMDB, and its file.
struct written_tree {
  written_tree() {
    fs::create_directories(dir.store());
    {
      auto env = lmdb::environment::open(dir.store(), 1 << 24);
      env.reserve(1 << 20);
      auto txn = lmdb::transaction::write(env);
      const auto db = txn.create_database("d");
      for (int n = 0; n < 200; ++n)
        txn.put(db, key_of(n), std::string(100, 'x'));
      txn.commit();
    }
    file = internal::unique_fd{::open((dir.store() / "data.mdb").c_str(), O_RDWR)};
    pages.emplace(file.get());
    const auto tree = pages->find_tree("d").value();
    REQUIRE(tree.depth == 2);
    root = pages->read(tree.root, tree, 1, {});
    first = pages->read(root[0].child, tree, 2, {});
    second = pages->read(root[1].child, tree, 2, {});
  }

  void overwrite(lmdb::page_number page, std::size_t at, const void* bytes, std::size_t size) {
    REQUIRE(::pwrite(file.get(), bytes, size, static_cast<off_t>(page * 4'096 + at))
            == static_cast<ssize_t>(size));
  }

  memory_directory dir;
  internal::unique_fd file;
  std::optional<lmdb::page_file> pages;
  lmdb::page_file::page root, first, second;
};

std::string fault_of(lmdb::page_file& pages, std::string_view key) {
  try {
    pages.check_key("d", key);
    return {};
  } catch (const lmdb::failure& what) {
    return what.what();
  }
}

}  // namespace

TEST_CASE("a page is read again when the next transaction begins and not before") {
  written_tree t;
  const std::string key{t.first[0].key};
  CHECK(fault_of(*t.pages, key).empty());
  t.overwrite(t.first.number, 0, "\xff\xff", 2);  // its own number
  CHECK(fault_of(*t.pages, key).empty());
  t.pages->begin();
  CHECK(has(fault_of(*t.pages, key), "says that it is another page"));
}

TEST_CASE("a page that was found on one way is checked again when another way leads to it") {
  written_tree t;
  const auto node = static_cast<std::size_t>(t.root[1].key.data() - t.root.bytes.get()) - 8;
  const auto wrong = static_cast<std::uint32_t>(t.first.number);
  t.overwrite(t.root.number, node, &wrong, sizeof wrong);
  CHECK(fault_of(*t.pages, t.first[0].key).empty());
  CHECK(has(fault_of(*t.pages, t.second[0].key), "below those that belong there"));
}
