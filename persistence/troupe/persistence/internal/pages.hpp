#pragma once

#include <troupe/persistence/internal/bytes.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

/// LMDB's data format 1, read with our own eyes. LMDB believes every number it finds in a page and
/// dies of a wrong one, by SIGBUS or by an assertion; here each is checked before it is used.
/// Layout: lmdb.c of 0.9, 64-bit and little-endian.
namespace troupe::lmdb {

using internal::get_le;
using page_number = std::uint64_t;
inline constexpr page_number no_page = ~std::uint64_t{0};

/// What a meta page or the main database says of one tree.
struct tree {
  static constexpr std::size_t bytes = 48;
  static constexpr std::uint16_t integer_keys = 0x08;

  std::uint16_t flags = 0;
  std::uint16_t depth = 0;
  std::uint64_t branch_pages = 0;
  std::uint64_t leaf_pages = 0;
  std::uint64_t overflow_pages = 0;
  std::uint64_t entries = 0;
  page_number root = no_page;

  [[nodiscard]] static tree read(const char* in) noexcept;
  [[nodiscard]] std::uint64_t pages() const noexcept {
    return branch_pages + leaf_pages + overflow_pages;
  }
};

struct meta {
  static constexpr std::size_t bytes = 152;

  std::size_t page_bytes = 0;
  tree free;  ///< the free list: transaction -> pages that it freed
  tree main;  ///< name -> tree
  page_number last_page = 0;
  std::uint64_t txn = 0;
};

/// How many overflow pages a value takes that stands on some.
[[nodiscard]] constexpr std::size_t overflow_pages(std::size_t value_bytes,
                                                   std::size_t page_bytes) noexcept {
  return (16 - 1 + value_bytes) / page_bytes + 1;  // behind the first page's head
}

/// One entry of a page. Both views live as long as the page's bytes.
struct node {
  static constexpr std::uint16_t big = 0x01;       ///< the value stands on overflow pages
  static constexpr std::uint16_t sub_tree = 0x02;  ///< the value is a `tree`

  std::string_view key;
  std::string_view value;  ///< of a leaf; of a big one the number of its first overflow page
  std::uint16_t flags = 0;
  std::uint32_t size = 0;       ///< of the whole value
  page_number child = no_page;  ///< of a branch
};

/// Where the keys of a page must lie: `low` <= key < `high`, where there is one. They point into
/// the pages above it.
struct key_range {
  std::optional<std::string_view> low{};
  std::optional<std::string_view> high{};
};

/// The pages of one data file. Every function that reads a page throws `failure` with the kind
/// `damaged` and a text that names the page, or the system's code when it cannot be read. By
/// `pread`: what the disk cannot give is an error, not a signal. One thread at a time.
class page_file {
public:
  explicit page_file(int fd) noexcept : fd_{fd} {}  ///< which outlives this
  /// As of `head`, whatever is committed later. REQUIRES: a reader keeps its pages.
  page_file(int fd, const meta& head) noexcept : fd_{fd}, head_{head} {}

  /// A branch or leaf page whose every number is within bounds and whose keys ascend within
  /// its range. Its nodes point into it, and are made of its bytes when they are asked for: most
  /// pages are looked at once.
  class page {
  public:
    page_number number = 0;
    bool leaf = false;
    std::unique_ptr<char[]> bytes{};

    [[nodiscard]] std::size_t size() const noexcept { return size_; }  ///< entries; never none
    [[nodiscard]] node operator[](std::size_t i) const noexcept;

  private:
    friend class page_file;
    std::size_t size_ = 0;
  };

  /// The newest meta page. It is remembered until `changed`.
  const meta& head();
  void changed() noexcept {
    head_.reset();
    roots_.clear();
    known_.clear();
  }

  /// From here on a page is read once, as long as it is remembered, until `changed` or the next
  /// such: a transaction begins.
  void begin() noexcept { known_.clear(); }

  page read(page_number number, const tree& of, std::size_t depth, const key_range& range);

  /// The overflow pages of a big node are there and as many as its size says; answers how many.
  std::uint64_t check_overflow(const page& holder, const node& what);
  /// The whole value of a leaf's entry. REQUIRES: of a big one `check_overflow` passed.
  std::string value_of(const node& what);
  [[nodiscard]] static page_number first_overflow(const node& what) noexcept {
    return get_le<std::uint64_t>(what.value.data());
  }

  /// A named tree; nothing when the main database has no such name.
  std::optional<tree> find_tree(std::string_view name);

  /// All pages that a look-up of the key in the named database meets. When the key is at the edge
  /// of its leaf and absent, also the leaf beside it: a wrong separator would hide it there.
  void check_key(std::string_view database, std::string_view key);

  /// The pages of at least `entries` entries from `key` on, and on every level the page behind
  /// them, which LMDB may merge them with. Answers how many entries from `key` on that are, without
  /// it.
  std::size_t check_run(std::string_view database, std::string_view key, std::size_t entries);

  /// The pages on the way to the newest entry.
  void check_last(std::string_view database);

  [[nodiscard]] static std::string name_of(page_number number) {
    return "page " + std::to_string(number);
  }
  [[noreturn]] static void damaged(const std::string& what);

private:
  /// A page that was read as part of a tree, as the child of one that was.
  struct known_page {
    page what{};
    const known_page* parent = nullptr;  ///< null: the root
    std::size_t child = 0;
    std::uint16_t tree_flags = 0;
    std::uint16_t tree_depth = 0;
    std::size_t depth = 0;
    key_range range{};
  };
  static constexpr std::size_t max_known = 512;  // then: the leaves are forgotten, or all

  void read_bytes(page_number number, std::span<char> to, std::uint64_t offset) const;
  std::string bytes_at(page_number number, std::size_t bytes, std::uint64_t offset) const;
  void make_room();
  const known_page& look_root(const tree& of);
  const known_page& look(const known_page* parent, std::size_t child, const tree& of);
  void check_edge(const known_page& parent, std::size_t child, const tree& of, bool rightmost);
  std::size_t run(const known_page& here, const tree& of, std::string_view key,
                  std::size_t entries);

  int fd_;
  std::optional<meta> head_;
  std::vector<std::pair<std::string, tree>> roots_;
  std::unordered_map<page_number, known_page> known_;
};

/// The keys of a branch's child: its separators, or those of the branch at its ends.
[[nodiscard]] key_range range_of(const page_file::page& branch, std::size_t child,
                                 const key_range& range);

/// As the tree sorts: numbers, or bytes.
[[nodiscard]] bool key_less(const tree& of, std::string_view a, std::string_view b) noexcept;

}  // namespace troupe::lmdb
