#pragma once

/// The chunk of a history: its bytes as documented at `packed_chunk`, and the block that holds
/// them. Not installed.

#include <troupe/state/history.hpp>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <new>
#include <optional>

namespace troupe {

namespace internal {

inline constexpr std::uint32_t max_chunk_items = 32;  // on disk: a chunk never has more
inline constexpr std::size_t first_item_at = 16;      // behind the base number and the base time
inline constexpr std::size_t max_varint = 10;
inline constexpr std::size_t offset_bytes = sizeof(std::uint32_t);

inline std::uint64_t read_u64(const char* from) noexcept {
  std::uint64_t out = 0;
  for (unsigned i = 0; i != 8; ++i)
    out |= std::uint64_t{static_cast<unsigned char>(from[i])} << (8 * i);
  return out;
}

inline void write_u64(char* to, std::uint64_t x) noexcept {
  for (unsigned i = 0; i != 8; ++i)
    to[i] = static_cast<char>(x >> (8 * i));
}

inline char* write_varint(char* to, std::uint64_t x) noexcept {
  for (; x >= 0x80; x >>= 7)
    *to++ = static_cast<char>(x | 0x80);
  *to++ = static_cast<char>(x);
  return to;
}

/// REQUIRES: a varint stands at `from`, which is moved behind it.
inline std::uint64_t read_varint(const char*& from) noexcept {
  std::uint64_t out = 0;
  for (unsigned shift = 0;; shift += 7) {
    const auto byte = static_cast<unsigned char>(*from++);
    out |= std::uint64_t{byte & 0x7fU} << shift;
    if (byte < 0x80)
      return out;
  }
}

/// Takes the varint that `rest` begins with off it; nothing when it is cut off, not the shortest or
/// over 64 bits.
inline std::optional<std::uint64_t> take_varint(std::string_view& rest) noexcept {
  std::uint64_t out = 0;
  for (std::size_t i = 0; i != std::min(rest.size(), max_varint); ++i) {
    const auto byte = static_cast<unsigned char>(rest[i]);
    out |= std::uint64_t{byte & 0x7fU} << (7 * i);
    if (byte >= 0x80)
      continue;
    if ((byte == 0 && i != 0) || (i == max_varint - 1 && byte > 1))
      return std::nullopt;
    rest.remove_prefix(i + 1);
    return out;
  }
  return std::nullopt;
}

inline std::uint64_t zigzag(std::uint64_t difference) noexcept {
  return (difference << 1) ^ (std::uint64_t{0} - (difference >> 63));
}

inline std::uint64_t from_zigzag(std::uint64_t x) noexcept {
  return (x >> 1) ^ (std::uint64_t{0} - (x & 1));
}

}  // namespace internal

/// One heap block: this head, the packed bytes growing upwards, and from the block's end downwards
/// for each item the position where it ends.
///
/// Slots are claimed in order and belong to whoever claimed them; nobody else looks at them before
/// being handed a history that has them. So a history that sees n items may append in place exactly
/// if claimed == n, and what stands before is never written again.
struct history::chunk {
  chunk(std::size_t room, std::size_t index, std::uint64_t before) noexcept
      : capacity(static_cast<std::uint32_t>(room)),
        first_index(index),
        bytes_before(before) {}

  static chunk_ptr make(std::size_t room, std::size_t first_index, std::uint64_t bytes_before) {
    room = (room + internal::offset_bytes - 1) / internal::offset_bytes * internal::offset_bytes;
    void* memory = ::operator new(sizeof(chunk) + room);
    return chunk_ptr(::new (memory) chunk(room, first_index, bytes_before));
  }

  [[nodiscard]] char* data() noexcept { return reinterpret_cast<char*>(this + 1); }
  [[nodiscard]] const char* data() const noexcept {
    return reinterpret_cast<const char*>(this + 1);
  }
  [[nodiscard]] std::uint32_t& end_of(std::uint32_t slot) noexcept {
    return *(reinterpret_cast<std::uint32_t*>(data() + capacity) - 1 - slot);
  }
  /// Where the first n items end.
  [[nodiscard]] std::size_t used(std::uint32_t n) const noexcept {
    return n == 0 ? internal::first_item_at
                  : *(reinterpret_cast<const std::uint32_t*>(data() + capacity) - n);
  }
  [[nodiscard]] bool has_room(std::uint32_t n, std::size_t more) const noexcept {
    return used(n) + more + (n + 1) * internal::offset_bytes <= capacity;
  }
  bool claim(std::uint32_t slot) noexcept {
    return claimed.compare_exchange_strong(slot, slot + 1, std::memory_order_acq_rel,
                                           std::memory_order_relaxed);
  }
  [[nodiscard]] bool unique() const noexcept { return refs.load(std::memory_order_acquire) == 1; }

  [[nodiscard]] std::uint64_t first_seq() const noexcept { return internal::read_u64(data()); }
  [[nodiscard]] std::uint64_t base_time() const noexcept { return internal::read_u64(data() + 8); }
  [[nodiscard]] std::uint64_t seq(std::uint32_t slot) const noexcept {
    const auto* at = data() + used(slot);
    return first_seq() + internal::read_varint(at);
  }

  [[nodiscard]] item_view item(std::uint32_t slot) const noexcept {
    const auto* at = data() + used(slot);
    item_view out;
    out.seq = first_seq() + internal::read_varint(at);
    out.at.ms =
        static_cast<std::int64_t>(base_time() + internal::from_zigzag(internal::read_varint(at)));
    out.fields.bytes_ =
        std::string_view(at, static_cast<std::size_t>(data() + used(slot + 1) - at));
    return out;
  }

  void begin(std::uint64_t seq, std::uint64_t time) noexcept {
    internal::write_u64(data(), seq);
    internal::write_u64(data() + 8, time);
  }

  /// REQUIRES: the slot is claimed or the chunk nobody else's yet, and there is room.
  void write(std::uint32_t slot, std::string_view numbers, std::string_view item) noexcept {
    auto* const to = data() + used(slot);
    std::memcpy(to, numbers.data(), numbers.size());
    std::memcpy(to + numbers.size(), item.data(), item.size());
    end_of(slot) = static_cast<std::uint32_t>(used(slot) + numbers.size() + item.size());
  }

  /// Copies the first n items of another chunk into this one, which is nobody else's yet.
  void assign(const chunk& from, std::uint32_t n) noexcept {
    std::memcpy(data(), from.data(), from.used(n));
    for (std::uint32_t i = 0; i != n; ++i)
      end_of(i) = static_cast<std::uint32_t>(from.used(i + 1));
    claimed.store(n, std::memory_order_relaxed);
  }

  std::atomic<std::uint32_t> refs{1};
  std::atomic<std::uint32_t> claimed{0};
  const std::uint32_t capacity;  // bytes behind this head, a multiple of internal::offset_bytes
  const std::size_t first_index;
  const std::uint64_t bytes_before;  // of fields, in all items before this chunk
};

}  // namespace troupe
