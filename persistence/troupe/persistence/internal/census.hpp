#pragma once

#include <troupe/persistence/internal/pages.hpp>

#include <cstdint>
#include <functional>
#include <string>

namespace troupe::lmdb {

/// How the pages of a file are used.
struct page_census {
  std::uint64_t pages = 0;  ///< of the file, as its newest meta page says
  std::uint64_t used = 0;
  std::uint64_t free = 0;  ///< to be taken by what comes next
};

/// Walks every tree, page by page, and counts: each page is used once or free, and every tree has
/// as many pages and entries as it says. `on_fault` hears what is not so, with the page's number.
/// Throws `failure` when the meta pages are damaged or the file cannot be read.
page_census take_census(page_file& pages, const std::function<void(const std::string&)>& on_fault);

/// What a start must know before LMDB writes: the free list and the list of databases. Throws
/// `failure` at the first fault.
void check_start(page_file& pages);

}  // namespace troupe::lmdb
