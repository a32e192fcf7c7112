#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory_resource>
#include <new>
#include <string_view>
#include <utility>
#include <vector>

namespace troupe::internal {

/// A hash map for very many keys of some ten bytes: an entry is one piece of memory that holds its
/// key, where the standard's needs two or three. An entry stays where it is until it is erased.
template <class Value>
class key_table {
public:
  class entry {
  public:
    [[nodiscard]] std::string_view key() const noexcept {
      return {reinterpret_cast<const char*>(this + 1), key_bytes_};
    }
    Value value{};

  private:
    friend class key_table;
    entry* next_ = nullptr;  // with the same bucket
    std::size_t key_bytes_ = 0;
  };

  /// Entries live in `memory`, which outlives the table.
  explicit key_table(std::pmr::memory_resource& memory) : memory_{&memory} {}
  key_table(key_table&& other) noexcept : memory_{other.memory_} { swap(other); }
  key_table& operator=(key_table&& other) noexcept {
    key_table{std::move(other)}.swap(*this);
    return *this;
  }
  ~key_table() { clear(); }

  [[nodiscard]] std::size_t size() const noexcept { return size_; }

  /// Null where there is none.
  [[nodiscard]] entry* find(std::string_view key) const noexcept {
    if (buckets_.empty())
      return nullptr;
    auto* at = buckets_[bucket_of(key)];
    while (at != nullptr && at->key() != key)
      at = at->next_;
    return at;
  }

  /// A new one. REQUIRES: there is none with this key.
  entry& insert(std::string_view key) {
    if (size_ == buckets_.size())
      grow();
    auto* made = ::new (memory_->allocate(sizeof(entry) + key.size(), alignof(entry))) entry;
    made->key_bytes_ = key.size();
    if (!key.empty())
      std::memcpy(static_cast<void*>(made + 1), key.data(), key.size());
    put(*made);
    ++size_;
    return *made;
  }

  void erase(entry& gone) noexcept {
    auto** at = &buckets_[bucket_of(gone.key())];
    while (*at != &gone)
      at = &(*at)->next_;
    *at = gone.next_;
    --size_;
    end(&gone);
  }

  void clear() noexcept {
    for (auto* at : buckets_)
      while (at != nullptr)
        end(std::exchange(at, at->next_));
    buckets_.clear();
    size_ = 0;
  }

  /// In no order.
  template <class F>
  void for_each(F visit) const {
    for (const auto* at : buckets_)
      for (; at != nullptr; at = at->next_)
        visit(*at);
  }

private:
  [[nodiscard]] std::size_t bucket_of(std::string_view key) const noexcept {
    return std::hash<std::string_view>{}(key) & (buckets_.size() - 1);
  }

  void put(entry& what) noexcept {
    auto*& first = buckets_[bucket_of(what.key())];
    what.next_ = first;
    first = &what;
  }

  /// To a power of two.
  void grow() {
    std::vector<entry*> before(std::max<std::size_t>(16, 2 * buckets_.size()), nullptr);
    before.swap(buckets_);
    for (auto* at : before)
      while (at != nullptr)
        put(*std::exchange(at, at->next_));
  }

  void end(entry* gone) noexcept {
    const auto bytes = sizeof(entry) + gone->key_bytes_;
    gone->~entry();
    memory_->deallocate(gone, bytes, alignof(entry));
  }

  void swap(key_table& other) noexcept {
    std::swap(memory_, other.memory_);
    buckets_.swap(other.buckets_);
    std::swap(size_, other.size_);
  }

  std::pmr::memory_resource* memory_;
  std::vector<entry*> buckets_;
  std::size_t size_ = 0;
};

}  // namespace troupe::internal
