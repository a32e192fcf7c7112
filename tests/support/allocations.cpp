#include "allocations.hpp"

#include <cstdlib>
#include <new>

namespace {

struct counts {
  bool watching = false;
  std::size_t largest = 0, total = 0, count = 0;
};
thread_local counts seen;

void* take(std::size_t size) {
  if (seen.watching) {
    seen.largest = size > seen.largest ? size : seen.largest;
    seen.total += size;
    ++seen.count;
  }
  if (void* out = std::malloc(size == 0 ? 1 : size))
    return out;
  throw std::bad_alloc{};
}

}  // namespace

void* operator new(std::size_t size) {
  return take(size);
}
void* operator new[](std::size_t size) {
  return take(size);
}
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  try {
    return take(size);
  } catch (...) {
    return nullptr;
  }
}
void* operator new[](std::size_t size, const std::nothrow_t& tag) noexcept {
  return operator new(size, tag);
}
void operator delete(void* p) noexcept {
  std::free(p);
}
void operator delete[](void* p) noexcept {
  std::free(p);
}
void operator delete(void* p, std::size_t) noexcept {
  std::free(p);
}
void operator delete[](void* p, std::size_t) noexcept {
  std::free(p);
}
void operator delete(void* p, const std::nothrow_t&) noexcept {
  std::free(p);
}
void operator delete[](void* p, const std::nothrow_t&) noexcept {
  std::free(p);
}

namespace troupe::testing {

allocation_watch::allocation_watch() noexcept {
  seen = {.watching = true};
}
allocation_watch::~allocation_watch() {
  seen.watching = false;
}
std::size_t allocation_watch::largest() const noexcept {
  return seen.largest;
}
std::size_t allocation_watch::total() const noexcept {
  return seen.total;
}
std::size_t allocation_watch::count() const noexcept {
  return seen.count;
}

}  // namespace troupe::testing
