#include <troupe/state/internal/cache/expiry_heap.hpp>

#include <algorithm>

namespace troupe::internal {

namespace {

constexpr std::size_t width = 4;

}  // namespace

void expiry_heap::put(std::size_t position, const item& what) noexcept {
  heap_[position] = what;
  slots_[what.place].position = static_cast<std::uint32_t>(position);
}

void expiry_heap::rise(std::size_t position, item what) noexcept {
  while (position > 0) {
    const auto parent = (position - 1) / width;
    if (!before(what, heap_[parent]))
      break;
    put(position, heap_[parent]);
    position = parent;
  }
  put(position, what);
}

void expiry_heap::sink(std::size_t position, item what) noexcept {
  while (true) {
    const auto first = width * position + 1;
    if (first >= size_)
      break;
    auto least = first;
    for (auto i = first + 1; i < std::min(first + width, size_); ++i) {
      if (before(heap_[i], heap_[least]))
        least = i;
    }
    if (!before(heap_[least], what))
      break;
    put(position, heap_[least]);
    position = least;
  }
  put(position, what);
}

void expiry_heap::insert(std::uint32_t place, std::int64_t at, std::uint32_t order) {
  while (place >= slots_.capacity())
    slots_.grow();
  if (size_ == heap_.capacity())
    heap_.grow();
  rise(size_++, {at, order, place});
}

void expiry_heap::erase(std::uint32_t place) noexcept {
  if (place >= slots_.capacity() || slots_[place].position == none)
    return;
  const auto hole = slots_[place].position;
  const auto last = heap_[--size_];
  slots_[place].position = none;
  if (hole == size_)
    return;
  if (hole > 0 && before(last, heap_[(hole - 1) / width]))
    rise(hole, last);
  else
    sink(hole, last);
}

bool expiry_heap::holds(std::uint32_t place, std::int64_t at) const noexcept {
  if (place >= slots_.capacity() || slots_[place].position >= size_)
    return false;
  const auto position = slots_[place].position;
  const auto& here = heap_[position];
  return here.place == place && here.at == at
         && (position == 0 || !before(here, heap_[(position - 1) / width]));
}

}  // namespace troupe::internal
