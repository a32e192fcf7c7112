#pragma once

/// The rules of the cache written again in the plainest way, to compare the real one with: vectors,
/// every question answered by looking at everything.

#include <troupe/state/cache.hpp>

#include <algorithm>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace troupe::testing {

/// Keys, the next to go first.
struct naive_lru {
  struct place {
    cache_key key;
    std::uint64_t cost;
  };
  std::vector<place> order;

  void admit(const cache_key& key, std::uint64_t cost) { order.push_back({key, cost}); }
  void restore(const cache_key& key, std::uint64_t cost, std::uint8_t) { admit(key, cost); }
  std::uint8_t forget(const cache_key& key) {
    std::erase_if(order, [&](const place& x) { return x.key == key; });
    return 0;
  }
  void readmit(const cache_key& key, std::uint64_t cost, std::uint8_t) { admit(key, cost); }
  void accessed(const cache_key& key, std::uint64_t) {
    const auto at =
        std::find_if(order.begin(), order.end(), [&](const place& x) { return x.key == key; });
    std::rotate(at, at + 1, order.end());
  }
  cache_key evict() {
    const auto out = order.front().key;
    order.erase(order.begin());
    return out;
  }
  [[nodiscard]] std::vector<std::pair<cache_key, std::uint8_t>> all() const {
    std::vector<std::pair<cache_key, std::uint8_t>> out;
    for (const auto& x : order)
      out.emplace_back(x.key, std::uint8_t{0});
    return out;
  }
};

/// Algorithm 1 of the S3-FIFO paper with what docs/adr/0005 says we do otherwise. Tails are in
/// front.
struct naive_s3_fifo {
  struct place {
    cache_key key;
    std::uint64_t cost;
    std::uint64_t freq;
  };
  std::deque<place> small, main;
  std::deque<cache_key> ghost;

  static std::uint64_t bytes(const std::deque<place>& q) {
    std::uint64_t out = 0;
    for (const auto& x : q)
      out += x.cost;
    return out;
  }
  place* find(const cache_key& key) {
    for (auto* q : {&small, &main})
      for (auto& x : *q)
        if (x.key == key)
          return &x;
    return nullptr;
  }
  void admit(const cache_key& key, std::uint64_t cost) {
    const auto at = std::find(ghost.begin(), ghost.end(), key);
    if (at != ghost.end()) {
      ghost.erase(at);
      main.push_back({key, cost, 0});
    } else {
      small.push_back({key, cost, 0});
    }
  }
  void restore(const cache_key& key, std::uint64_t cost, std::uint8_t standing) {
    std::erase(ghost, key);
    (standing >= 4 ? main : small).push_back({key, cost, standing % 4u});
  }
  std::uint8_t forget(const cache_key& key) {
    const auto is_key = [&](const place& x) { return x.key == key; };
    std::uint8_t out = 0;
    for (auto* q : {&small, &main})
      for (const auto& x : *q)
        if (is_key(x))
          out = static_cast<std::uint8_t>(x.freq + (q == &main ? 4 : 0));
    std::erase_if(small, is_key);
    std::erase_if(main, is_key);
    return out;
  }
  void readmit(const cache_key& key, std::uint64_t cost, std::uint8_t standing) {
    (standing >= 4 ? main : small)
        .push_back({key, cost, std::min<std::uint64_t>(3, standing % 4u + 1)});
  }
  void accessed(const cache_key& key, std::uint64_t count) {
    auto* x = find(key);
    for (; count > 0 && x->freq < 3; --count)
      ++x->freq;
  }
  cache_key evict() {
    while (true) {
      const bool from_small =
          !small.empty() && (main.empty() || 10 * bytes(small) >= bytes(small) + bytes(main));
      auto& q = from_small ? small : main;
      auto t = q.front();
      const auto held = small.size() + main.size();
      q.pop_front();
      if (from_small && t.freq > 1) {
        main.push_back({t.key, t.cost, 0});
      } else if (from_small) {
        ghost.push_back(t.key);
        while (ghost.size() > held * 9 / 10)
          ghost.pop_front();
        return t.key;
      } else if (t.freq > 0) {
        --t.freq;
        main.push_back(t);
      } else {
        return t.key;
      }
    }
  }
  [[nodiscard]] std::vector<std::pair<cache_key, std::uint8_t>> all() const {
    std::vector<std::pair<cache_key, std::uint8_t>> out;
    for (const auto& x : small)
      out.emplace_back(x.key, static_cast<std::uint8_t>(x.freq));
    for (const auto& x : main)
      out.emplace_back(x.key, static_cast<std::uint8_t>(4 + x.freq));
    return out;
  }
};

template <class Order>
class naive_cache {
public:
  explicit naive_cache(const cache_limits& limits) : limits_{limits} {}

  std::optional<errc> set(const cache_key& key, const cache_content& content,
                          std::optional<std::int64_t> ttl, timestamp now) {
    if (ttl && *ttl <= 0)
      return errc::invalid_value;
    const auto cost = cache_cost(content);
    if (limits_.max_entries == 0 || cost > limits_.max_bytes)
      return errc::too_large;
    held fresh{key, {without_doubles(content), now, now, std::nullopt, 0}, cost, ++writes_};
    if (ttl)
      fresh.entry.expires_at = timestamp{now.ms + *ttl};
    const bool there = find(key) != nullptr;
    const auto standing = order_.forget(key);
    std::erase_if(entries_, [&](const held& x) { return x.key == key; });
    make_room(cost, now);
    entries_.push_back(fresh);
    if (there)
      order_.readmit(key, cost, standing);
    else
      order_.admit(key, cost);
    return std::nullopt;
  }

  std::optional<value> get(const cache_key& key, timestamp now) {
    auto* x = find(key);
    if (x != nullptr && live(*x, now)) {
      ++hits_;
      access(*x, 1, now);
      return x->entry.content.output;
    }
    ++misses_;
    if (x != nullptr) {
      ++expirations_;
      remove(key);
    }
    return std::nullopt;
  }

  std::optional<cache_entry> inspect(const cache_key& key, timestamp now) {
    auto* x = find(key);
    return x != nullptr && live(*x, now) ? std::optional{x->entry} : std::nullopt;
  }

  bool touch(const cache_key& key, std::uint64_t count, timestamp now) {
    hits_ += count;
    auto* x = find(key);
    if (x == nullptr || !live(*x, now) || now < x->entry.created || count == 0)
      return false;
    access(*x, count, now);
    return true;
  }
  void count_misses(std::uint64_t count) { misses_ += count; }

  bool invalidate(const cache_key& key) {
    const bool there = find(key) != nullptr;
    remove(key);
    return there;
  }

  std::size_t evict(std::size_t max, timestamp now) {
    std::size_t count = 0;
    for (; count < max && !entries_.empty(); ++count) {
      if (drop_one_expired(now))
        continue;
      ++evictions_;
      remove(order_.evict());
    }
    return count;
  }

  std::size_t invalidate(cache_label label, const std::string& text) {
    std::vector<cache_key> found;
    for (const auto& x : entries_) {
      const auto& c = x.entry.content;
      const bool has = label == cache_label::agent   ? c.agent == text
                       : label == cache_label::owner ? c.owner == text
                       : label == cache_label::content_hash
                           ? c.content_hash == text
                           : std::count(c.tags.begin(), c.tags.end(), text) > 0;
      if (has && !text.empty())
        found.push_back(x.key);
    }
    for (const auto& key : found)
      remove(key);
    return found.size();
  }

  std::size_t clear() {
    const auto count = entries_.size();
    entries_.clear();
    order_ = {};
    return count;
  }

  std::size_t expire(timestamp now, std::size_t max) {
    std::size_t count = 0;
    while (count < max && drop_one_expired(now))
      ++count;
    return count;
  }

  std::optional<bool> restore(const saved_entry& saved, timestamp now) {
    const auto cost = cache_cost(saved.entry.content);
    if (limits_.max_entries == 0 || cost > limits_.max_bytes)
      return std::nullopt;
    if ((saved.entry.expires_at && *saved.entry.expires_at <= now) || find(saved.key) != nullptr)
      return false;
    make_room(cost, now);
    entries_.push_back({saved.key, saved.entry, cost, ++writes_});
    order_.restore(saved.key, cost, saved.standing);
    return true;
  }

  [[nodiscard]] std::vector<saved_entry> all(timestamp now) {
    std::vector<saved_entry> out;
    for (const auto& [key, standing] : order_.all()) {
      const auto& x = *find(key);
      if (live(x, now))
        out.push_back({key, x.entry, standing});
    }
    return out;
  }

  [[nodiscard]] cache_stats stats() const {
    double accesses = 0;
    for (const auto& x : entries_)
      accesses += static_cast<double>(x.entry.access_count);
    return {
        entries_.size(), bytes(),
        hits_,           misses_,
        evictions_,      evicted_for_bytes_,
        expirations_,    entries_.empty() ? 0.0 : accesses / static_cast<double>(entries_.size())};
  }

private:
  struct held {
    cache_key key;
    cache_entry entry;
    std::uint64_t cost;
    std::uint64_t write;
  };

  static bool live(const held& x, timestamp now) {
    return !x.entry.expires_at || now < *x.entry.expires_at;
  }
  static cache_content without_doubles(cache_content x) {
    std::vector<std::string> tags;
    for (const auto& tag : x.tags)
      if (!tag.empty() && std::find(tags.begin(), tags.end(), tag) == tags.end())
        tags.push_back(tag);
    x.tags = tags;
    return x;
  }
  held* find(const cache_key& key) {
    for (auto& x : entries_)
      if (x.key == key)
        return &x;
    return nullptr;
  }
  void remove(const cache_key& key) {
    order_.forget(key);
    std::erase_if(entries_, [&](const held& x) { return x.key == key; });
  }
  void access(held& x, std::uint64_t count, timestamp now) {
    x.entry.access_count += count;
    x.entry.last_accessed = std::max(x.entry.last_accessed, now);
    order_.accessed(x.key, count);
  }
  bool drop_one_expired(timestamp now) {
    const held* first = nullptr;
    for (const auto& x : entries_) {
      if (live(x, now))
        continue;
      if (first == nullptr
          || std::pair{*x.entry.expires_at, x.write}
                 < std::pair{*first->entry.expires_at, first->write})
        first = &x;
    }
    if (first == nullptr)
      return false;
    ++expirations_;
    remove(cache_key{first->key});
    return true;
  }
  [[nodiscard]] std::uint64_t bytes() const {
    std::uint64_t out = 0;
    for (const auto& x : entries_)
      out += x.cost;
    return out;
  }
  void make_room(std::uint64_t cost, timestamp now) {
    while (entries_.size() + 1 > limits_.max_entries || bytes() + cost > limits_.max_bytes) {
      if (drop_one_expired(now))
        continue;
      ++evictions_;
      if (entries_.size() + 1 <= limits_.max_entries)
        ++evicted_for_bytes_;
      remove(order_.evict());
    }
  }

  cache_limits limits_;
  std::vector<held> entries_;
  Order order_;
  std::uint64_t writes_ = 0;
  std::uint64_t hits_ = 0, misses_ = 0, evictions_ = 0, evicted_for_bytes_ = 0, expirations_ = 0;
};

}  // namespace troupe::testing
