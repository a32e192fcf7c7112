#include <troupe/state/internal/cache/entry_table.hpp>

#include <algorithm>
#include <cassert>
#include <cstring>

namespace troupe::internal {

namespace {

/// What a value takes beside itself: nothing when it is short.
std::uint64_t outside(const value& what) noexcept {
  constexpr std::size_t block_head = 8, inside = 15;
  const auto size = what.bytes().size();
  return size > inside ? size + block_head : 0;
}

}  // namespace

std::uint64_t key_prefix(const cache_key& key) noexcept {
  std::uint64_t out;
  std::memcpy(&out, key.digest.bytes.data(), sizeof out);
  return out;
}

std::uint32_t entry_table::find(const cache_key& key) const {
  return index_.find(hash_of(key), [&](std::uint32_t at) {
    __builtin_prefetch(&payloads_[at]);  // on its way while the key is compared
    return std::memcmp(&nodes[at].key, &key, sizeof key) == 0;
  });
}

std::uint32_t entry_table::insert(const cache_key& key) {
  const auto at = nodes.take();
  [[maybe_unused]] const auto same = payloads_.take();
  assert(same == at);
  nodes[at].key = key;
  index_.insert(hash_of(key), at);
  return at;
}

void entry_table::fill(std::uint32_t at, const cache_content& content, const entry_times& times) {
  auto& node = nodes[at];
  auto& payload = payloads_[at];
  node.expires_at = times.expires_at ? times.expires_at->ms : never;
  node.cost = cache_cost(content);
  payload.output = content.output;
  payload.request = content.request;
  payload.created = times.created.ms;
  payload.last_accessed = times.last_accessed.ms;
  payload.access_count =
      static_cast<std::uint32_t>(std::min<std::uint64_t>(times.access_count, UINT32_MAX));
  payload.labels = labels_.attach(at, content);
  if (node.expires_at != never)
    expiry_.insert(at, node.expires_at, writes_);
  ++writes_;
  bytes_ += node.cost;
  value_bytes_ += outside(payload.output) + outside(payload.request);
  accesses_ += payload.access_count;
}

void entry_table::empty(std::uint32_t at) {
  auto& payload = payloads_[at];
  labels_.detach(payload.labels);
  expiry_.erase(at);
  bytes_ -= nodes[at].cost;
  value_bytes_ -= outside(payload.output) + outside(payload.request);
  accesses_ -= payload.access_count;
  payload.output = {};
  payload.request = {};
  payload.labels = none;
}

void entry_table::erase(std::uint32_t at) {
  index_.erase(hash_of(nodes[at].key), at);
  nodes.give_back(at);
  payloads_.give_back(at);
}

void entry_table::access(std::uint32_t at, std::uint64_t count, timestamp now) noexcept {
  auto& payload = payloads_[at];
  const auto added = std::min<std::uint64_t>(count, UINT32_MAX - payload.access_count);
  payload.access_count += static_cast<std::uint32_t>(added);
  payload.last_accessed = std::max(payload.last_accessed, now.ms);
  accesses_ += added;
}

bool entry_table::holds(std::uint32_t at, sums& total) const {
  const auto& node = nodes[at];
  const auto& payload = payloads_[at];
  const bool timed = node.expires_at != never;
  ++total.entries;
  total.timed += timed ? 1u : 0u;
  total.bytes += node.cost;
  total.accesses += payload.access_count;
  return find(node.key) == at && labels_.holds(at, payload.labels, total.labels)
         && timed == expiry_.holds(at, node.expires_at)
         && node.cost >= cache_cost(read(at).content);
}

cache_entry entry_table::read(std::uint32_t at) const {
  const auto& payload = payloads_[at];
  cache_entry out;
  out.content.output = payload.output;
  out.content.request = payload.request;
  labels_.read(payload.labels, out.content);
  out.created = {payload.created};
  out.last_accessed = {payload.last_accessed};
  if (nodes[at].expires_at != never)
    out.expires_at = timestamp{nodes[at].expires_at};
  out.access_count = payload.access_count;
  return out;
}

}  // namespace troupe::internal
