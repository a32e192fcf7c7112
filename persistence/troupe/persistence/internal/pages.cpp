#include <troupe/persistence/internal/data_directory.hpp>
#include <troupe/persistence/internal/lmdb.hpp>
#include <troupe/persistence/internal/pages.hpp>

#include <algorithm>
#include <utility>

namespace troupe::lmdb {

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

/// Which child of a branch holds the key: the last whose separator is not greater.
std::size_t child_for(const page_file::page& branch, const tree& of, std::string_view key) {
  const auto behind = std::upper_bound(
      branch.nodes.begin() + 1, branch.nodes.end(), key,
      [&](std::string_view wanted, const node& x) { return key_less(of, wanted, x.key); });
  return static_cast<std::size_t>(behind - branch.nodes.begin()) - 1;
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

bool key_less(const tree& of, std::string_view a, std::string_view b) noexcept {
  if ((of.flags & tree::integer_keys) != 0 && a.size() == 8 && b.size() == 8)
    return get_le<std::uint64_t>(a.data()) < get_le<std::uint64_t>(b.data());
  return a < b;
}

key_range range_of(const page_file::page& branch, std::size_t child, const key_range& range) {
  key_range out = range;
  if (child > 0)
    out.low = branch.nodes[child].key;
  if (child + 1 < branch.nodes.size())
    out.high = branch.nodes[child + 1].key;
  return out;
}

void page_file::damaged(const std::string& what) {
  throw failure{failure_kind::damaged, "data.mdb, " + what};
}

std::string page_file::bytes_at(page_number number, std::size_t bytes, std::uint64_t offset) {
  std::string out;
  if (const int code = internal::read_at(fd_, out, bytes, offset); code != 0)
    throw failure{"read " + name_of(number) + " of data.mdb", code};
  if (out.size() != bytes)
    damaged(name_of(number) + " is behind the end of the file");
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
  page out{.number = number, .bytes = bytes_at(number, bytes, number * bytes)};
  const char* in = out.bytes.data();
  const auto wrong = [&](const char* what) { damaged(name_of(number) + " " + what); };
  if (get_le<std::uint64_t>(in) != number)
    wrong("says that it is another page");
  const auto flags = get_le<std::uint16_t>(in + 10);
  out.leaf = depth == of.depth;
  if (flags != (out.leaf ? leaf_flag : branch_flag))
    wrong(out.leaf ? "is no leaf page" : "is no branch page");
  const std::size_t lower = get_le<std::uint16_t>(in + 12);
  const std::size_t upper = get_le<std::uint16_t>(in + 14);
  if (lower <= header_bytes || lower % 2 != 0 || lower > upper || upper > bytes)
    wrong("has bounds that do not match");
  const auto count = (lower - header_bytes) / 2;
  out.nodes.reserve(count);
  std::size_t used = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t at = get_le<std::uint16_t>(in + header_bytes + 2 * i);
    if (at < upper || at % 2 != 0 || at + node_bytes > bytes)
      wrong("has an entry outside of its bounds");
    const std::uint64_t low = get_le<std::uint32_t>(in + at);
    node next;
    next.flags = get_le<std::uint16_t>(in + at + 4);
    const std::size_t key_bytes = get_le<std::uint16_t>(in + at + 6);
    std::size_t size = node_bytes + key_bytes;
    if (out.leaf) {
      if ((next.flags & ~(node::big | node::sub_tree)) != 0)
        wrong("has an entry of an unknown kind");
      next.size = static_cast<std::uint32_t>(low);
      size += (next.flags & node::big) != 0 ? sizeof(page_number) : next.size;
    } else {
      next.child = low | std::uint64_t{next.flags} << 32;
    }
    if (at + size > bytes)
      wrong("has an entry that is longer than the page");
    next.key = std::string_view{out.bytes}.substr(at + node_bytes, key_bytes);
    next.value = std::string_view{out.bytes}.substr(at + node_bytes + key_bytes,
                                                    size - node_bytes - key_bytes);
    used += even(size);
    const bool compared = out.leaf || i > 0;  // the first key of a branch stands for all below
    if (compared && range.low && key_less(of, next.key, *range.low))
      wrong("has a key below those that belong there");
    if (compared && range.high && !key_less(of, next.key, *range.high))
      wrong("has a key above those that belong there");
    if (i > (out.leaf ? 0U : 1U) && !key_less(of, out.nodes.back().key, next.key))
      wrong("has keys that do not ascend");
    out.nodes.push_back(next);
  }
  if (used != bytes - upper)
    wrong("has entries that overlap");
  return out;
}

/// As `read`, once for all look-ups that meet the page on the same way.
std::shared_ptr<const page_file::page> page_file::look(page_number number, const tree& of,
                                                       std::size_t depth, const key_range& range) {
  if (const auto at = known_.find(number); at != known_.end()) {
    const auto& known = at->second;
    if (known.root == of.root && known.depth == depth && known.range == range)
      return known.what;
  }
  auto what = std::make_shared<const page>(read(number, of, depth, range));
  if (known_.size() >= max_known)
    known_.clear();
  known_[number] = {of.root, depth, range, what};
  return what;
}

std::uint64_t page_file::check_overflow(const page& holder, const node& what) {
  const auto bytes = head().page_bytes;
  const auto first = first_overflow(what);
  const auto count = overflow_pages(what.size, bytes);
  if (first < 2 || first > head().last_page || count > head().last_page - first + 1)
    damaged(name_of(holder.number)
            + " names an overflow page that cannot be one: " + std::to_string(first));
  const auto in = bytes_at(first, header_bytes, first * bytes);
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
  key_range range;
  auto at = main.root;
  for (std::size_t depth = 1;; ++depth) {
    const auto here = look(at, main, depth, range);
    if (!here->leaf) {
      const auto child = child_for(*here, main, name);
      range = range_of(*here, child, range);
      at = here->nodes[child].child;
      continue;
    }
    for (const auto& entry : here->nodes) {
      if (entry.key != name || (entry.flags & node::sub_tree) == 0)
        continue;
      if (entry.value.size() != tree::bytes)
        damaged(name_of(here->number) + " does not hold the database " + std::string{name});
      roots_.emplace_back(name, tree::read(entry.value.data()));
      return roots_.back().second;
    }
    return {};
  }
}

void page_file::check_edge(const page& parent, std::size_t child, const tree& of, std::size_t depth,
                           const key_range& range, bool rightmost) {
  auto within = range_of(parent, child, range);
  auto here = look(parent.nodes[child].child, of, depth + 1, within);
  while (!here->leaf) {
    const auto next = rightmost ? here->nodes.size() - 1 : 0;
    within = range_of(*here, next, within);
    here = look(here->nodes[next].child, of, ++depth + 1, within);
  }
}

void page_file::check_key(std::string_view database, std::string_view key) {
  const auto of = find_tree(database);
  if (!of || of->root == no_page)
    return;
  struct level {
    std::shared_ptr<const page> at;
    std::size_t child;
    key_range range;
  };
  std::vector<level> path;
  key_range range;
  auto here = look(of->root, *of, 1, range);
  while (!here->leaf) {
    const auto child = child_for(*here, *of, key);
    auto within = range_of(*here, child, range);
    const auto next = here->nodes[child].child;
    path.push_back({std::move(here), child, std::move(range)});
    range = std::move(within);
    here = look(next, *of, path.size() + 1, range);
  }
  const auto found = std::lower_bound(
      here->nodes.begin(), here->nodes.end(), key,
      [&](const node& x, std::string_view wanted) { return key_less(*of, x.key, wanted); });
  if (found != here->nodes.end() && found->key == key) {
    if ((found->flags & node::big) != 0)
      check_overflow(*here, *found);
    return;
  }
  const bool first = found == here->nodes.begin(), last = found == here->nodes.end();
  for (std::size_t i = path.size(); i-- > 0 && (first || last);) {
    const auto& [parent, child, within] = path[i];
    if (first && child > 0)
      return check_edge(*parent, child - 1, *of, i + 1, within, true);
    if (last && child + 1 < parent->nodes.size())
      return check_edge(*parent, child + 1, *of, i + 1, within, false);
  }
}

std::size_t page_file::run(page_number number, const tree& of, std::size_t depth,
                           const key_range& range, std::string_view key, std::size_t entries) {
  const auto here = look(number, of, depth, range);
  std::size_t out = 0;
  if (here->leaf) {
    for (const auto& entry : here->nodes) {
      if (key_less(of, entry.key, key))
        continue;
      if ((entry.flags & node::big) != 0)
        check_overflow(*here, entry);
      ++out;
    }
    return out;
  }
  for (auto i = child_for(*here, of, key); i < here->nodes.size(); ++i) {
    const bool enough = out >= entries;
    const auto found = run(here->nodes[i].child, of, depth + 1, range_of(*here, i, range), key,
                           enough ? 0 : entries - out);
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
  return run(of->root, *of, 1, {}, key, entries);
}

void page_file::check_last(std::string_view database) {
  const auto of = find_tree(database);
  if (!of || of->root == no_page)
    return;
  key_range range;
  auto here = look(of->root, *of, 1, range);
  for (std::size_t depth = 2; !here->leaf; ++depth) {
    range = range_of(*here, here->nodes.size() - 1, range);
    here = look(here->nodes.back().child, *of, depth, range);
  }
  if (const auto& newest = here->nodes.back(); (newest.flags & node::big) != 0)
    check_overflow(*here, newest);
}

}  // namespace troupe::lmdb
