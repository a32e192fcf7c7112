#pragma once

/// Which entries carry a label. Not installed.

#include <troupe/state/cache.hpp>
#include <troupe/state/internal/cache/flat_index.hpp>
#include <troupe/state/internal/cache/pool.hpp>

#include <cstdint>
#include <string>
#include <string_view>

namespace troupe::internal {

/// Each text is kept once for each kind, as long as an entry carries it. Every entry has a chain of
/// its labels (in the order given) and every label a chain of its entries, so both ways cost what
/// they find.
class label_index {
public:
  explicit label_index(std::uint64_t seed) noexcept : seed_{seed} {}

  /// Notes the labels of an entry; the answer names them as a whole (`none`: there are none).
  std::uint32_t attach(std::uint32_t entry, const cache_content& content);
  /// REQUIRES: what `attach` gave.
  void detach(std::uint32_t labels);
  /// Writes an entry's labels where they came from.
  void read(std::uint32_t labels, cache_content& into) const;

  /// An entry with this label, or `none`.
  [[nodiscard]] std::uint32_t any(cache_label kind, std::string_view text) const;

  [[nodiscard]] std::size_t size() const noexcept { return index_.size(); }
  [[nodiscard]] std::size_t memory() const noexcept {
    return index_.memory() + labels_.memory() + members_.memory() + text_bytes_;
  }

  /// How many pairs of an entry and a label there are.
  [[nodiscard]] std::size_t attached() const noexcept { return attached_; }

  /// Whether every label of the entry is found by its text and has the entry in its chain; counts
  /// them. For checks; O(members of the labels).
  [[nodiscard]] bool holds(std::uint32_t entry, std::uint32_t labels, std::size_t& count) const;

private:
  struct label {
    std::string text;
    std::uint32_t hash = 0;
    std::uint32_t next = none;  // in the pool's free chain
    chain members;
    cache_label kind{};
  };
  struct member {
    std::uint32_t entry = none;
    std::uint32_t label = none;
    std::uint32_t prev = none, next = none;  // of the same label
    std::uint32_t next_of_entry = none;
  };

  [[nodiscard]] std::uint32_t hash_of(cache_label kind, std::string_view text) const noexcept;
  [[nodiscard]] static std::size_t outside(const std::string& text) noexcept {
    return text.capacity() > 15 ? text.capacity() + 1 : 0;
  }
  [[nodiscard]] std::uint32_t find(std::uint32_t hash, cache_label kind,
                                   std::string_view text) const;

  std::uint64_t seed_;
  flat_index index_;
  pool<label> labels_;
  pool<member> members_;
  std::size_t attached_ = 0;
  std::size_t text_bytes_ = 0;  // of texts that do not fit into a std::string itself
};

}  // namespace troupe::internal
