#include <troupe/persistence/internal/data_directory.hpp>
#include <troupe/persistence/internal/lmdb.hpp>
#include <troupe/persistence/internal/pages.hpp>

#include <array>
#include <utility>

namespace troupe::lmdb {

bool key_less(const tree& of, std::string_view a, std::string_view b) noexcept {
  if (a.size() == 8 && b.size() == 8) {  // positions and transactions, which the longest trees have
    const auto x = get_le<std::uint64_t>(a.data()), y = get_le<std::uint64_t>(b.data());
    return (of.flags & tree::integer_keys) != 0 ? x < y
                                                : __builtin_bswap64(x) < __builtin_bswap64(y);
  }
  return a < b;
}

namespace {

constexpr std::size_t header_bytes = 16;
constexpr std::size_t node_bytes = 8;
constexpr std::uint16_t branch_flag = 0x01, leaf_flag = 0x02, overflow_flag = 0x04,
                        meta_flag = 0x08;
constexpr std::uint32_t meta_magic = 0xbeefc0de;
constexpr std::size_t max_depth = 32;  // of LMDB's cursors

std::optional<meta> read_meta(const std::string& in) {
  if (in.size() < meta::bytes || get_le<std::uint32_t>(in.data() + 16) != meta_magic
      || (get_le<std::uint16_t>(in.data() + 10) & meta_flag) == 0)
    return {};
  meta out;
  out.page_bytes = get_le<std::uint32_t>(in.data() + 40);
  out.free = tree::read(in.data() + 40);
  out.main = tree::read(in.data() + 40 + tree::bytes);
  out.last_page = get_le<std::uint64_t>(in.data() + 136);
  out.txn = get_le<std::uint64_t>(in.data() + 144);
  const bool power_of_two = (out.page_bytes & (out.page_bytes - 1)) == 0;
  if (out.page_bytes < 512 || out.page_bytes > 65'536 || !power_of_two)
    return {};
  return out;
}

std::size_t even(std::size_t size) noexcept {
  return (size + 1) & ~std::size_t{1};
}

/// The first of `size` for which `before` is false, from `from` on.
template <class Before>
std::size_t first_not(std::size_t from, std::size_t size, Before before) {
  while (from < size) {
    const auto middle = from + (size - from) / 2;
    if (before(middle))
      from = middle + 1;
    else
      size = middle;
  }
  return from;
}

/// Which child of a branch holds the key: the last whose separator is not greater.
std::size_t child_for(const page_file::page& branch, const tree& of, std::string_view key) {
  return first_not(1, branch.size(),
                   [&](std::size_t i) { return !key_less(of, key, branch[i].key); })
         - 1;
}

/// The first entry of a leaf that is not less than the key.
std::size_t entry_for(const page_file::page& leaf, const tree& of, std::string_view key) {
  return first_not(0, leaf.size(), [&](std::size_t i) { return key_less(of, leaf[i].key, key); });
}

/// The entry at `at`, whose own numbers are within the page.
node node_at(const char* in, std::size_t at, bool leaf) noexcept {
  node out;
  const std::uint64_t low = get_le<std::uint32_t>(in + at);
  out.flags = get_le<std::uint16_t>(in + at + 4);
  out.key = {in + at + node_bytes, get_le<std::uint16_t>(in + at + 6)};
  std::size_t value_bytes = 0;
  if (leaf) {
    out.size = static_cast<std::uint32_t>(low);
    value_bytes = (out.flags & node::big) != 0 ? sizeof(page_number) : out.size;
  } else {
    out.child = low | std::uint64_t{out.flags} << 32;
  }
  out.value = {out.key.data() + out.key.size(), value_bytes};
  return out;
}

}  // namespace

tree tree::read(const char* in) noexcept {
  return {.flags = get_le<std::uint16_t>(in + 4),
          .depth = get_le<std::uint16_t>(in + 6),
          .branch_pages = get_le<std::uint64_t>(in + 8),
          .leaf_pages = get_le<std::uint64_t>(in + 16),
          .overflow_pages = get_le<std::uint64_t>(in + 24),
          .entries = get_le<std::uint64_t>(in + 32),
          .root = get_le<std::uint64_t>(in + 40)};
}

key_range range_of(const page_file::page& branch, std::size_t child, const key_range& range) {
  key_range out = range;
  if (child > 0)
    out.low = branch[child].key;
  if (child + 1 < branch.size())
    out.high = branch[child + 1].key;
  return out;
}

node page_file::page::operator[](std::size_t i) const noexcept {
  return node_at(bytes.get(), get_le<std::uint16_t>(bytes.get() + header_bytes + 2 * i), leaf);
}

void page_file::damaged(const std::string& what) {
  throw failure{failure_kind::damaged, "data.mdb, " + what};
}

void page_file::read_bytes(page_number number, std::span<char> to, std::uint64_t offset) const {
  std::size_t done = 0;
  if (const int code = internal::read_at(fd_, to, offset, done); code != 0)
    throw failure{"read " + name_of(number) + " of data.mdb", code};
  if (done != to.size())
    damaged(name_of(number) + " is behind the end of the file");
}

std::string page_file::bytes_at(page_number number, std::size_t bytes, std::uint64_t offset) const {
  std::string out(bytes, '\0');
  read_bytes(number, out, offset);
  return out;
}

const meta& page_file::head() {
  if (head_)
    return *head_;
  const auto first = read_meta(bytes_at(0, meta::bytes, 0));
  if (!first)
    damaged("page 0 is no meta page");
  const auto second = read_meta(bytes_at(1, meta::bytes, first->page_bytes));
  if (!second || second->page_bytes != first->page_bytes)
    damaged("page 1 is no meta page");
  head_ = second->txn > first->txn ? *second : *first;
  return *head_;
}

page_file::page page_file::read(page_number number, const tree& of, std::size_t depth,
                                const key_range& range) {
  const auto bytes = head().page_bytes;
  if (number < 2 || number > head().last_page)
    damaged(name_of(number) + " is named and cannot be one: the last is "
            + std::to_string(head().last_page));
  if (depth > max_depth || depth > of.depth)
    damaged(name_of(number) + " is deeper than its tree");
  page out;
  out.number = number;
  out.leaf = depth == of.depth;
  out.bytes = std::make_unique_for_overwrite<char[]>(bytes);
  read_bytes(number, {out.bytes.get(), bytes}, number * bytes);
  const char* in = out.bytes.get();
  const auto wrong = [&](const char* what) { damaged(name_of(number) + " " + what); };
  if (get_le<std::uint64_t>(in) != number)
    wrong("says that it is another page");
  if (get_le<std::uint16_t>(in + 10) != (out.leaf ? leaf_flag : branch_flag))
    wrong(out.leaf ? "is no leaf page" : "is no branch page");
  const std::size_t lower = get_le<std::uint16_t>(in + 12);
  const std::size_t upper = get_le<std::uint16_t>(in + 14);
  if (lower <= header_bytes || lower % 2 != 0 || lower > upper || upper > bytes)
    wrong("has bounds that do not match");
  out.size_ = (lower - header_bytes) / 2;
  const std::size_t lowest = out.leaf ? 0 : 1;
  std::size_t used = 0;
  std::string_view before;
  for (std::size_t i = 0; i < out.size_; ++i) {
    const std::size_t at = get_le<std::uint16_t>(in + header_bytes + 2 * i);
    if (at < upper || at % 2 != 0 || at + node_bytes > bytes)
      wrong("has an entry outside of its bounds");
    const auto next = node_at(in, at, out.leaf);
    if (out.leaf && (next.flags & ~(node::big | node::sub_tree)) != 0)
      wrong("has an entry of an unknown kind");
    const auto size = node_bytes + next.key.size() + next.value.size();
    if (at + size > bytes)
      wrong("has an entry that is longer than the page");
    used += even(size);
    if (!out.leaf && i == 0)
      continue;  // the first key of a branch stands for all below
    if (i == lowest ? range.low && key_less(of, next.key, *range.low)
                    : !key_less(of, before, next.key))
      wrong(i == lowest ? "has a key below those that belong there"
                        : "has keys that do not ascend");
    before = next.key;
  }
  if (out.size_ > lowest && range.high && !key_less(of, before, *range.high))
    wrong("has a key above those that belong there");
  if (used != bytes - upper)
    wrong("has entries that overlap");
  return out;
}

/// Between two look-ups, as those under way hold pages that they met. Branches stay while they are
/// few: they lead to every leaf.
void page_file::make_room() {
  if (known_.size() < max_known)
    return;
  std::erase_if(known_, [](const auto& x) { return x.second.what.leaf; });
  if (known_.size() >= max_known / 2)
    known_.clear();
}

const page_file::known_page& page_file::look_root(const tree& of) {
  make_room();
  return look(nullptr, 0, of);
}

/// As `read`, once for all look-ups that meet the page. A second way to it is a wrong number in one
/// of the pages above it.
const page_file::known_page& page_file::look(const known_page* parent, std::size_t child,
                                             const tree& of) {
  const auto number = parent == nullptr ? of.root : parent->what[child].child;
  const auto at = known_.find(number);
  if (at != known_.end() && at->second.parent == parent && at->second.child == child
      && at->second.tree_flags == of.flags && at->second.tree_depth == of.depth)
    return at->second;
  known_page made{.parent = parent,
                  .child = child,
                  .tree_flags = of.flags,
                  .tree_depth = of.depth,
                  .depth = parent == nullptr ? 1 : parent->depth + 1};
  if (parent != nullptr)
    made.range = range_of(parent->what, child, parent->range);
  made.what = read(number, of, made.depth, made.range);
  if (at != known_.end())
    damaged(name_of(number) + " is used twice");
  return known_.emplace(number, std::move(made)).first->second;
}

std::uint64_t page_file::check_overflow(const page& holder, const node& what) {
  const auto bytes = head().page_bytes;
  const auto first = first_overflow(what);
  const auto count = overflow_pages(what.size, bytes);
  if (first < 2 || first > head().last_page || count > head().last_page - first + 1)
    damaged(name_of(holder.number)
            + " names an overflow page that cannot be one: " + std::to_string(first));
  std::array<char, header_bytes> in;
  read_bytes(first, in, first * bytes);
  if (get_le<std::uint64_t>(in.data()) != first
      || get_le<std::uint16_t>(in.data() + 10) != overflow_flag
      || get_le<std::uint32_t>(in.data() + 12) != count)
    damaged(name_of(first) + " is not the overflow page that " + name_of(holder.number) + " names");
  return count;
}

std::string page_file::value_of(const node& what) {
  if ((what.flags & node::big) == 0)
    return std::string{what.value};
  return bytes_at(first_overflow(what), what.size,
                  first_overflow(what) * head().page_bytes + header_bytes);
}

std::optional<tree> page_file::find_tree(std::string_view name) {
  for (const auto& [known, root] : roots_)
    if (known == name)
      return root;
  const auto& main = head().main;
  if (main.root == no_page)
    return {};
  const auto* here = &look_root(main);
  while (!here->what.leaf)
    here = &look(here, child_for(here->what, main, name), main);
  for (std::size_t i = 0; i < here->what.size(); ++i) {
    const auto entry = here->what[i];
    if (entry.key != name || (entry.flags & node::sub_tree) == 0)
      continue;
    if (entry.value.size() != tree::bytes)
      damaged(name_of(here->what.number) + " does not hold the database " + std::string{name});
    roots_.emplace_back(name, tree::read(entry.value.data()));
    return roots_.back().second;
  }
  return {};
}

void page_file::check_edge(const known_page& parent, std::size_t child, const tree& of,
                           bool rightmost) {
  const auto* here = &look(&parent, child, of);
  while (!here->what.leaf)
    here = &look(here, rightmost ? here->what.size() - 1 : 0, of);
}

void page_file::check_key(std::string_view database, std::string_view key) {
  const auto of = find_tree(database);
  if (!of || of->root == no_page)
    return;
  const auto* here = &look_root(*of);
  while (!here->what.leaf)
    here = &look(here, child_for(here->what, *of, key), *of);
  const auto& leaf = here->what;
  const auto found = entry_for(leaf, *of, key);
  if (found < leaf.size() && leaf[found].key == key) {
    if ((leaf[found].flags & node::big) != 0)
      check_overflow(leaf, leaf[found]);
    return;
  }
  const bool first = found == 0, last = found == leaf.size();
  for (; here->parent != nullptr && (first || last); here = here->parent) {
    const auto& parent = *here->parent;
    if (first && here->child > 0)
      return check_edge(parent, here->child - 1, *of, true);
    if (last && here->child + 1 < parent.what.size())
      return check_edge(parent, here->child + 1, *of, false);
  }
}

std::size_t page_file::run(const known_page& here, const tree& of, std::string_view key,
                           std::size_t entries) {
  const auto& what = here.what;
  if (what.leaf) {
    const auto from = entry_for(what, of, key);
    for (auto i = from; i < what.size(); ++i)
      if (const auto entry = what[i]; (entry.flags & node::big) != 0)
        check_overflow(what, entry);
    return what.size() - from;
  }
  std::size_t out = 0;
  for (auto i = child_for(what, of, key); i < what.size(); ++i) {
    const bool enough = out >= entries;
    const auto found = run(look(&here, i, of), of, key, enough ? 0 : entries - out);
    if (enough)
      break;  // one more, which a deletion before it may merge with, does not count
    out += found;
  }
  return out;
}

std::size_t page_file::check_run(std::string_view database, std::string_view key,
                                 std::size_t entries) {
  const auto of = find_tree(database);
  if (!of || of->root == no_page)
    return 0;
  return run(look_root(*of), *of, key, entries);
}

void page_file::check_last(std::string_view database) {
  const auto of = find_tree(database);
  if (!of || of->root == no_page)
    return;
  const auto* here = &look_root(*of);
  while (!here->what.leaf)
    here = &look(here, here->what.size() - 1, *of);
  if (const auto newest = here->what[here->what.size() - 1]; (newest.flags & node::big) != 0)
    check_overflow(here->what, newest);
}

}  // namespace troupe::lmdb
