#include <troupe/state/internal/cache/eviction.hpp>

#include <algorithm>

namespace troupe {

void ghost_queue::push(std::uint64_t prefix) {
  const auto at = ghosts_.take();
  ghosts_[at].prefix = prefix;
  order_.push_front(ghosts_, at);
  index_.insert(hash_of(prefix), at);
}

bool ghost_queue::take(std::uint64_t prefix) {
  const auto at =
      index_.find(hash_of(prefix), [&](std::uint32_t x) { return ghosts_[x].prefix == prefix; });
  if (at == internal::none)
    return false;
  erase(at);
  return true;
}

void ghost_queue::shrink(std::size_t size) {
  while (index_.size() > size)
    erase(order_.back);
}

void ghost_queue::erase(std::uint32_t at) {
  index_.erase(hash_of(ghosts_[at].prefix), at);
  order_.erase(ghosts_, at);
  ghosts_.give_back(at);
}

void s3_fifo::push(internal::cache_nodes& nodes, std::uint32_t at, std::uint8_t standing) {
  auto& to = queue_of(standing);
  nodes[at].standing = standing;
  to.entries.push_front(nodes, at);
  to.bytes += nodes[at].cost;
  ++to.size;
}

void s3_fifo::admit(internal::cache_nodes& nodes, std::uint32_t at) {
  push(nodes, at, ghosts.take(nodes[at].prefix) ? in_main : std::uint8_t{0});
}

void s3_fifo::readmit(internal::cache_nodes& nodes, std::uint32_t at) {
  push(nodes, at, nodes[at].standing);
  accessed(nodes, at, 1);
}

void s3_fifo::restore(internal::cache_nodes& nodes, std::uint32_t at, std::uint8_t standing) {
  ghosts.take(nodes[at].prefix);
  push(nodes, at, standing & (in_main | frequency));
}

void s3_fifo::accessed(internal::cache_nodes& nodes, std::uint32_t at,
                       std::uint64_t count) noexcept {
  auto& standing = nodes[at].standing;
  const auto sum = std::min<std::uint64_t>(
      frequency, (standing & frequency) + std::min(count, std::uint64_t{frequency}));
  standing = static_cast<std::uint8_t>((standing & in_main) | sum);
}

void s3_fifo::forget(internal::cache_nodes& nodes, std::uint32_t at) noexcept {
  auto& from = queue_of(nodes[at].standing);
  from.entries.erase(nodes, at);
  from.bytes -= nodes[at].cost;
  --from.size;
}

std::uint32_t s3_fifo::evict(internal::cache_nodes& nodes) {
  for (int spared = 0;; ++spared) {
    const bool must_go = spared == max_spared;
    // Main is empty, or the small queue holds a tenth of the bytes or more.
    if (small.size > 0 && (main.size == 0 || 10 * small.bytes >= small.bytes + main.bytes)) {
      const auto at = small.entries.back;
      forget(nodes, at);
      if ((nodes[at].standing & frequency) > 1 && !must_go) {
        push(nodes, at, in_main);
        continue;
      }
      ghosts.push(nodes[at].prefix);
      ghosts.shrink((small.size + main.size + 1) * 9 / 10);
      return at;
    }
    const auto at = main.entries.back;
    const auto standing = nodes[at].standing;
    forget(nodes, at);
    if ((standing & frequency) == 0 || must_go)
      return at;
    push(nodes, at, static_cast<std::uint8_t>(standing - 1));
  }
}

bool s3_fifo::consistent(const internal::cache_nodes& nodes) const noexcept {
  for (const auto* q : {&small, &main}) {
    std::uint64_t bytes = 0;
    std::size_t size = 0;
    bool own = true;
    for (auto at = q->entries.back; at != internal::none; at = nodes[at].prev, ++size) {
      bytes += nodes[at].cost;
      own = own && ((nodes[at].standing & in_main) != 0) == (q == &main);
    }
    if (!own || bytes != q->bytes || size != q->size)
      return false;
  }
  return true;
}

}  // namespace troupe
