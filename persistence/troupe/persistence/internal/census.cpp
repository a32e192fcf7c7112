#include <troupe/persistence/internal/census.hpp>
#include <troupe/persistence/internal/lmdb.hpp>

#include <algorithm>
#include <utility>
#include <vector>

namespace troupe::lmdb {

namespace {

class walker {
public:
  using fault_function = std::function<void(const std::string&)>;

  walker(page_file& pages, fault_function on_fault)
      : pages_{pages},
        on_fault_{std::move(on_fault)},
        seen_(pages.head().last_page + 1) {
    for (page_number at : {0, 1})
      seen_[at] = true;
    used_ = 2;
  }

  /// Calls for each entry of the tree.
  void walk(const std::string& name, const tree& of,
            const std::function<void(const page_file::page&, const node&)>& on_entry = {}) {
    counted_ = {};
    broken_ = false;
    if (of.root != no_page)
      walk_page(of.root, of, 1, {}, on_entry);
    const bool same =
        counted_.branch_pages == of.branch_pages && counted_.leaf_pages == of.leaf_pages
        && counted_.overflow_pages == of.overflow_pages && counted_.entries == of.entries;
    if (!same && !broken_)
      on_fault_("the " + name + " has not as many pages and entries as it says");
  }

  void walk_free_list() {
    walk("free list", pages_.head().free,
         [this](const page_file::page& holder, const node& entry) { read_free(holder, entry); });
  }

  [[nodiscard]] page_census result() const {
    return {.pages = seen_.size(), .used = used_, .free = free_};
  }

private:
  void take(page_number first, std::uint64_t count, bool free) {
    for (auto at = first; at < first + count; ++at) {
      if (seen_[at])
        on_fault_(page_file::name_of(at) + (free ? " is free and in use" : " is used twice"));
      seen_[at] = true;
    }
    (free ? free_ : used_) += count;
  }

  void walk_page(page_number number, const tree& of, std::size_t depth, const key_range& range,
                 const std::function<void(const page_file::page&, const node&)>& on_entry) {
    try {
      const auto here = pages_.read(number, of, depth, range);
      if (seen_[number])  // not followed twice, so a ring ends
        return fault(page_file::name_of(number) + " is used twice");
      take(number, 1, false);
      ++(here.leaf ? counted_.leaf_pages : counted_.branch_pages);
      for (std::size_t i = 0; i < here.size(); ++i) {
        const auto entry = here[i];
        if (!here.leaf) {
          walk_page(entry.child, of, depth + 1, range_of(here, i, range), on_entry);
          continue;
        }
        ++counted_.entries;
        take_entry(here, entry, on_entry);
      }
    } catch (const failure& what) {
      if (what.kind() != failure_kind::damaged)
        throw;
      fault(what.what());
    }
  }

  /// An entry that is broken is no fault of the others.
  void take_entry(const page_file::page& here, const node& entry,
                  const std::function<void(const page_file::page&, const node&)>& on_entry) {
    try {
      if ((entry.flags & node::big) != 0) {
        const auto count = pages_.check_overflow(here, entry);
        take(page_file::first_overflow(entry), count, false);
        counted_.overflow_pages += count;
      }
      if (on_entry)
        on_entry(here, entry);
    } catch (const failure& what) {
      if (what.kind() != failure_kind::damaged)
        throw;
      fault(what.what());
    }
  }

  void fault(const std::string& what) {
    broken_ = true;
    on_fault_(what);
  }

  /// A count, then page numbers in falling order.
  void read_free(const page_file::page& holder, const node& entry) {
    const auto value = pages_.value_of(entry);
    const auto number_at = [&](std::size_t i) {
      return get_le<std::uint64_t>(value.data() + 8 * i);
    };
    const auto wrong = [&] {
      page_file::damaged(page_file::name_of(holder.number)
                         + " holds a part of the free list that is none");
    };
    if (entry.key.size() != 8 || value.size() < 8 || number_at(0) > value.size() / 8 - 1)
      wrong();
    auto before = pages_.head().last_page + 1;
    for (std::size_t i = 1; i <= number_at(0); ++i) {
      if (number_at(i) < 2 || number_at(i) >= before)
        wrong();
      before = number_at(i);
      take(before, 1, true);
    }
  }

  page_file& pages_;
  fault_function on_fault_;
  std::vector<bool> seen_;
  tree counted_;
  bool broken_ = false;
  std::uint64_t used_ = 0;
  std::uint64_t free_ = 0;
};

}  // namespace

page_census take_census(page_file& pages, const std::function<void(const std::string&)>& on_fault) {
  std::uint64_t faults = 0;
  walker all{pages, [&](const std::string& what) {
               ++faults;
               on_fault(what);
             }};
  std::vector<std::pair<std::string, tree>> named;
  all.walk("list of databases", pages.head().main, [&](const page_file::page&, const node& entry) {
    if ((entry.flags & node::sub_tree) != 0 && entry.value.size() == tree::bytes)
      named.emplace_back(entry.key, tree::read(entry.value.data()));
  });
  for (const auto& [name, of] : named)
    all.walk("database " + name, of);
  all.walk_free_list();
  const auto out = all.result();
  if (const auto lost = out.pages - std::min(out.pages, out.used + out.free);
      lost != 0 && faults == 0)
    on_fault(std::to_string(lost) + " pages are neither used nor free");
  return out;
}

void check_start(page_file& pages) {
  walker parts{pages, page_file::damaged};
  parts.walk("list of databases", pages.head().main);
  parts.walk_free_list();
}

}  // namespace troupe::lmdb
