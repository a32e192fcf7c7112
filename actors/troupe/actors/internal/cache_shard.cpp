#include <troupe/actors/internal/cache_shard.hpp>

#include <algorithm>
#include <cassert>
#include <limits>
#include <span>

namespace troupe::internal {

/// One namespace.
struct cache_shard::space {
  using held_cache = std::variant<cache<lru>, cache<s3_fifo>>;

  template <class F>
  decltype(auto) with(F&& use) {
    if (auto* plain = std::get_if<cache<lru>>(&held))
      return use(*plain);
    return use(*std::get_if<cache<s3_fifo>>(&held));
  }
  [[nodiscard]] cache_stats stats() {
    return with([](auto& x) { return x.stats(); });
  }

  /// Adds the counts, not what is held.
  void add_counts(result_cache_stats& to) {
    const auto now = stats();
    const auto own = now.evictions - forced_for_entries - forced_for_bytes;
    to.hits += now.hits;
    to.misses += now.misses;
    to.expirations += now.expirations;
    to.evicted_for_quota += limited ? own : 0;
    to.evicted_for_bytes += forced_for_bytes + (limited ? 0 : now.evicted_for_bytes);
    to.evicted_for_entries += forced_for_entries + (limited ? 0 : own - now.evicted_for_bytes);
  }

  std::shared_ptr<const std::string> name;
  held_cache held;
  bool limited = false;                                        // by a quota of its own
  std::uint64_t forced_for_entries = 0, forced_for_bytes = 0;  // evicted to make room for others
};

cache_shard::cache_shard(cache_shard_options options) : options_{std::move(options)} {}
cache_shard::~cache_shard() = default;

// Readers ----------------------------------------------------------------------------------------

std::optional<value> cache_shard::get(std::string_view name_space, const cache_key& key,
                                      timestamp now) {
  const std::lock_guard lock{mutex_};
  auto* where = find(name_space);
  if (where == nullptr) {
    ++past_.misses;
    return std::nullopt;
  }
  const auto seen = where->with([&](auto& x) {
    const auto found = x.look(key, now);
    if (!found)
      x.count_misses(1);
    return found;
  });
  if (!seen)
    return std::nullopt;
  std::optional<value> out{*seen.output};
  note_hit(seen.place, now);
  return out;
}

std::optional<value> cache_shard::peek(std::string_view name_space, const cache_key& key,
                                       timestamp now) {
  const std::lock_guard lock{mutex_};
  auto* where = find(name_space);
  return where == nullptr ? std::nullopt : where->with([&](auto& x) { return x.peek(key, now); });
}

std::optional<saved_entry> cache_shard::inspect(std::string_view name_space, const cache_key& key,
                                                timestamp now) {
  const std::lock_guard lock{mutex_};
  apply_notes();
  auto* where = find(name_space);
  return where == nullptr ? std::nullopt : where->with([&](auto& x) { return x.save(key, now); });
}

void cache_shard::add_stats(result_cache_stats& to, const std::optional<std::string>& name_space) {
  const std::lock_guard lock{mutex_};
  apply_notes();
  for (const auto& [name, one] : spaces_) {
    if (name_space && name != *name_space)
      continue;
    const auto now = one->stats();
    to.entries += now.entries;
    to.bytes += now.bytes;
    to.memory += now.memory;
    to.average_access_count += now.average_access_count * static_cast<double>(now.entries);
    one->add_counts(to);
  }
  to.loading = to.loading || counts.loading;
  to.saving = to.saving || counts.saving;
  if (name_space)
    return;
  to.unsaved += counts.unsaved;
  to.invalidations += counts.invalidations;
  to.computations += counts.computations;
  to.waits += counts.waits;
  to.memory += sizeof *this;
  to.hits += past_.hits;
  to.misses += past_.misses;
  to.expirations += past_.expirations;
  to.evicted_for_entries += past_.evicted_for_entries;
  to.evicted_for_bytes += past_.evicted_for_bytes;
  to.evicted_for_quota += past_.evicted_for_quota;
}

void cache_shard::add_name_spaces(std::set<std::string>& to) {
  const std::lock_guard lock{mutex_};
  for (const auto& [name, one] : spaces_)
    to.emplace(name);
}

// The owner --------------------------------------------------------------------------------------

expected<written_entry> cache_shard::set(const cache_id& id, const cache_content& content,
                                         std::optional<std::chrono::milliseconds> ttl,
                                         timestamp now) {
  const std::lock_guard lock{mutex_};
  apply_notes();
  auto* where = find_or_make(id.name_space);
  if (where == nullptr)
    return unexpected{error{.code = errc::quota_exceeded,
                            .message = "the cache holds results of as many namespaces as it may",
                            .limit = max_cache_name_spaces}};
  auto out = where->with([&](auto& x) -> expected<written_entry> {
    const bool there = options_.note_removals && x.contains(id.key);
    if (auto done = x.set(id.key, content, ttl, now); !done)
      return unexpected{std::move(done.error())};
    return written_entry{there, where->name};
  });
  if (out)
    trim(now);
  else
    drop_if_empty(where);
  check();
  return out;
}

std::size_t cache_shard::invalidate(const cache_invalidation& what, std::size_t max) {
  const std::lock_guard lock{mutex_};
  apply_notes();
  auto* where = find(what.name_space);
  if (where == nullptr)
    return 0;
  std::size_t count = 0;
  if (const auto* key = std::get_if<cache_key>(&what.what))
    count = where->with([&](auto& x) { return x.invalidate(*key) ? 1u : 0u; });
  else if (const auto* with = std::get_if<cache_invalidation::labelled>(&what.what))
    count = where->with([&](auto& x) { return x.invalidate(with->label, with->text, max); });
  check();
  return count;
}

std::unique_ptr<cache_shard::corpse> cache_shard::clear(const std::string& name_space) {
  const std::lock_guard lock{mutex_};
  apply_notes();
  const auto at = spaces_.find(name_space);
  if (at == spaces_.end())
    return nullptr;
  auto body = std::move(at->second);
  spaces_.erase(at);
  hint_ = nullptr;
  body->add_counts(past_);
  return std::make_unique<corpse>(std::move(body));
}

std::size_t cache_shard::expire(timestamp now, std::size_t max) {
  const std::lock_guard lock{mutex_};
  apply_notes();
  std::size_t count = 0;
  for (const auto& [name, one] : spaces_)
    count += one->with([&](auto& x) { return x.expire(now, max - count); });
  drop_empty();
  check();
  return count;
}

expected<bool> cache_shard::restore(const std::string& name_space, const saved_entry& saved,
                                    timestamp now) {
  const std::lock_guard lock{mutex_};
  apply_notes();
  auto* where = find_or_make(name_space);
  if (where == nullptr)
    return false;
  auto out = where->with([&](auto& x) { return x.restore(saved, now); });
  trim(now);
  drop_if_empty(where);
  check();
  return out;
}

std::vector<removed_entry> cache_shard::take_removed() {
  const std::lock_guard lock{mutex_};
  return std::exchange(removed_, {});
}

void cache_shard::forget_removed() {
  const std::lock_guard lock{mutex_};
  options_.note_removals = false;
  removed_ = {};
}

bool cache_shard::empty() {
  const std::lock_guard lock{mutex_};
  return spaces_.empty();
}

void cache_shard::close() {
  const std::lock_guard lock{mutex_};
  counts.saving = counts.loading = false;
  noted_ = fresh_ = 0;
  hint_ = nullptr;
  spaces_.clear();
}

// Parts ------------------------------------------------------------------------------------------

cache_shard::space* cache_shard::find(std::string_view name_space) noexcept {
  if (hint_ != nullptr && *hint_->name == name_space)
    return hint_;  // most caches have one namespace
  const auto at = spaces_.find(name_space);
  if (at == spaces_.end())
    return nullptr;
  keep_fresh_notes();
  return hint_ = at->second.get();
}

cache_shard::space* cache_shard::find_or_make(const std::string& name_space) {
  if (auto* found = find(name_space))
    return found;
  drop_empty();
  if (spaces_.size() == max_cache_name_spaces)
    return nullptr;
  auto limits = options_.limits;
  const auto quota = options_.quota ? options_.quota(name_space) : std::nullopt;
  if (quota) {
    limits.max_entries = std::min(limits.max_entries, quota->max_entries);
    limits.max_bytes = std::min(limits.max_bytes, quota->max_bytes);
  }
  auto fresh = std::make_unique<space>();
  fresh->name = std::make_shared<const std::string>(name_space);
  fresh->limited = quota.has_value();
  if (options_.s3_fifo)
    fresh->held.emplace<cache<s3_fifo>>(limits);
  else
    fresh->held.emplace<cache<lru>>(limits);
  if (options_.note_removals)
    fresh->with([&](auto& x) {
      x.on_removal([this, name = fresh->name](const cache_key& key) {
        if (options_.note_removals)
          removed_.push_back({name, key});
      });
    });
  hint_ = fresh.get();
  spaces_.emplace(*hint_->name, std::move(fresh));
  return hint_;
}

void cache_shard::drop_if_empty(space* which) {
  if (which->stats().entries == 0)
    drop_empty();
}

void cache_shard::drop_empty() {
  std::erase_if(spaces_, [&](const auto& named) {
    auto& one = named.second;
    if (one->stats().entries > 0)
      return false;
    one->add_counts(past_);
    return true;
  });
  hint_ = nullptr;
}

/// Of an entry of the namespace that was found last.
void cache_shard::note_hit(std::uint32_t place, timestamp at) {
  if (fresh_ == 0)
    base_ = at;
  const auto after = at.ms - base_.ms;
  if (after < 0 || after > std::numeric_limits<std::uint32_t>::max()) {
    keep_fresh_notes();
    base_ = at;
    fresh_notes_[fresh_++] = {place, 0};
  } else {
    fresh_notes_[fresh_++] = {place, static_cast<std::uint32_t>(after)};
  }
  if (fresh_ == max_fresh)
    keep_fresh_notes();
}

/// There is always room for them: `hint_` is still whose they are.
void cache_shard::copy_fresh_notes() {
  for (const auto& one : std::span{fresh_notes_.data(), std::exchange(fresh_, 0U)})
    notes_[noted_++] = {hint_, one.place, {base_.ms + one.after_ms}};
}

void cache_shard::keep_fresh_notes() {
  copy_fresh_notes();
  if (noted_ + max_fresh > max_notes)
    apply_notes();
}

/// The notes hold places, so nothing may leave or come before they are applied.
void cache_shard::apply_notes() {
  constexpr std::size_t ahead = 6;
  copy_fresh_notes();
  for (std::size_t i = 0; i < noted_; ++i) {
    if (i + ahead < noted_) {
      const auto& next = notes_[i + ahead];
      next.where->with([&](auto& x) { x.prefetch(next.place); });
    }
    const auto& one = notes_[i];
    one.where->with([&](auto& x) { x.touch(one.place, one.at); });
  }
  noted_ = 0;
}

/// Holds the budget that the namespaces share. Alone, a namespace holds it by itself.
void cache_shard::trim(timestamp now) {
  if (spaces_.size() < 2)
    return;
  while (true) {
    std::size_t entries = 0;
    std::uint64_t bytes = 0;
    space *most = nullptr, *largest = nullptr;
    std::size_t most_entries = 0;
    std::uint64_t most_bytes = 0;
    for (const auto& [name, one] : spaces_) {
      const auto held = one->stats();
      entries += held.entries;
      bytes += held.bytes;
      if (held.entries > most_entries)
        most = one.get(), most_entries = held.entries;
      if (held.bytes > most_bytes)
        largest = one.get(), most_bytes = held.bytes;
    }
    const bool many = entries > options_.limits.max_entries;
    if (!many && bytes <= options_.limits.max_bytes)
      return;
    const auto expired = [&](const auto& named) {
      return named.second->with([&](auto& x) { return x.expire(now, 1) == 1; });
    };
    if (std::any_of(spaces_.begin(), spaces_.end(), expired))
      continue;
    auto& giver = *(many ? most : largest);
    giver.with([&](auto& x) { x.evict(1, now); });
    ++(many ? giver.forced_for_entries : giver.forced_for_bytes);
  }
}

/// In a debug build every change of a small cache is followed by a check of everything.
void cache_shard::check() const {
#ifndef NDEBUG
  for (const auto& [name, one] : spaces_) {
    if (one->stats().entries <= 64)
      assert(one->with([](auto& x) { return x.consistent(); }));
  }
#endif
}

// What was cleared -------------------------------------------------------------------------------

cache_shard::corpse::corpse(std::unique_ptr<space> body) : body_{std::move(body)} {}
cache_shard::corpse::~corpse() = default;

std::size_t cache_shard::corpse::size() const {
  return body_->stats().entries;
}

bool cache_shard::corpse::drop(std::size_t max,
                               const std::function<void(const removed_entry&)>& use) {
  return body_->with([&](auto& x) {
    x.on_removal([&](const cache_key& key) { use({body_->name, key}); });
    const bool more = x.evict(max, {}) == max;
    x.on_removal({});
    return more;
  });
}

}  // namespace troupe::internal
