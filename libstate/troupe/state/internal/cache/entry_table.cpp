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
    return std::memcmp(&faces_[at].key, &key, sizeof key) == 0;
  });
}

std::uint32_t entry_table::insert(const cache_key& key) {
  const auto at = nodes.take();
  [[maybe_unused]] const auto same = faces_.take();
  assert(same == at);
  faces_[at].key = key;
  nodes[at].prefix = key_prefix(key);
  index_.insert(hash_of(key), at);
  return at;
}

void entry_table::fill(std::uint32_t at, const cache_content& content, const entry_times& times) {
  auto& node = nodes[at];
  auto& face = faces_[at];
  face.expires_at = times.expires_at ? times.expires_at->ms : never;
  face.output = content.output;
  face.labels = labels_.attach(at, content);
  node.cost = cache_cost(content);
  node.request = content.request;
  node.created = times.created.ms;
  node.last_accessed = times.last_accessed.ms;
  node.access_count =
      static_cast<std::uint32_t>(std::min<std::uint64_t>(times.access_count, UINT32_MAX));
  if (face.expires_at != never)
    expiry_.insert(at, face.expires_at, writes_);
  ++writes_;
  bytes_ += node.cost;
  value_bytes_ += outside(face.output) + outside(node.request);
  accesses_ += node.access_count;
}

void entry_table::empty(std::uint32_t at) {
  auto& node = nodes[at];
  auto& face = faces_[at];
  labels_.detach(face.labels);
  expiry_.erase(at);
  bytes_ -= node.cost;
  value_bytes_ -= outside(face.output) + outside(node.request);
  accesses_ -= node.access_count;
  face.output = {};
  node.request = {};
  face.labels = none;
}

void entry_table::erase(std::uint32_t at) {
  index_.erase(hash_of(faces_[at].key), at);
  nodes.give_back(at);
  faces_.give_back(at);
}

void entry_table::access(std::uint32_t at, std::uint64_t count, timestamp now) noexcept {
  auto& node = nodes[at];
  const auto added = std::min<std::uint64_t>(count, UINT32_MAX - node.access_count);
  node.access_count += static_cast<std::uint32_t>(added);
  node.last_accessed = std::max(node.last_accessed, now.ms);
  accesses_ += added;
}

bool entry_table::holds(std::uint32_t at, sums& total) const {
  const auto& node = nodes[at];
  const auto& face = faces_[at];
  const bool timed = face.expires_at != never;
  ++total.entries;
  total.timed += timed ? 1u : 0u;
  total.bytes += node.cost;
  total.accesses += node.access_count;
  return find(face.key) == at && node.prefix == key_prefix(face.key)
         && labels_.holds(at, face.labels, total.labels)
         && timed == expiry_.holds(at, face.expires_at)
         && node.cost >= cache_cost(read(at).content);
}

cache_entry entry_table::read(std::uint32_t at) const {
  const auto& node = nodes[at];
  const auto& face = faces_[at];
  cache_entry out;
  out.content.output = face.output;
  out.content.request = node.request;
  labels_.read(face.labels, out.content);
  out.created = {node.created};
  out.last_accessed = {node.last_accessed};
  if (face.expires_at != never)
    out.expires_at = timestamp{face.expires_at};
  out.access_count = node.access_count;
  return out;
}

}  // namespace troupe::internal
