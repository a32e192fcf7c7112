#include <troupe/state/history.hpp>
#include <troupe/state/internal/canonical.hpp>
#include <troupe/state/internal/history_chunk.hpp>

#include <algorithm>
#include <array>
#include <cassert>
#include <cstring>
#include <stdexcept>
#include <string>

namespace troupe {

using internal::first_item_at;
using internal::max_chunk_items;
using internal::offset_bytes;

namespace {

constexpr std::size_t complete_bytes = 16 << 10;  // then: the chunk takes no more items
constexpr std::size_t max_item_bytes = 1U << 31;
constexpr std::size_t least_slack = 16;  // less would only be the allocator's

/// The room of a chunk whose first items take `used` packed bytes: what it would need when complete
/// if items went on like this, but at most twice of what it needs now.
std::size_t room_for(std::size_t used, std::size_t items) noexcept {
  const auto need = used + items * offset_bytes;
  if (used >= complete_bytes || items == max_chunk_items)
    return need;
  const auto each = need / items + 1;
  const auto complete =
      std::min(each * max_chunk_items, complete_bytes + max_chunk_items * offset_bytes + each);
  return std::clamp(complete, need + need / 16, 2 * need);
}

}  // namespace

// chunk_ptr --------------------------------------------------------------------------------------

history::chunk_ptr::chunk_ptr(const chunk_ptr& other) noexcept : chunk_(other.chunk_) {
  if (chunk_ != nullptr)
    chunk_->refs.fetch_add(1, std::memory_order_relaxed);
}

history::chunk_ptr::~chunk_ptr() {
  if (chunk_ == nullptr
      || (!chunk_->unique() && chunk_->refs.fetch_sub(1, std::memory_order_acq_rel) != 1))
    return;
  chunk_->~chunk();
  ::operator delete(chunk_);
}

// history: a value -------------------------------------------------------------------------------

history::history(const history& other) noexcept = default;

history::history(history&& other) noexcept {
  swap(other);
}

history& history::operator=(history other) noexcept {
  swap(other);
  return *this;
}

history::~history() = default;

void history::swap(history& other) noexcept {
  sealed_.swap(other.sealed_);
  std::swap(tail_, other.tail_);
  std::swap(tail_count_, other.tail_count_);
  std::swap(tail_bytes_, other.tail_bytes_);
}

// Reading ----------------------------------------------------------------------------------------

std::size_t history::size() const noexcept {
  return empty() ? 0 : tail_->first_index + tail_count_;
}

std::uint64_t history::bytes() const noexcept {
  return empty() ? 0 : tail_->bytes_before + tail_bytes_;
}

std::size_t history::chunk_count() const noexcept {
  return empty() ? 0 : sealed_.size() + 1;
}

const history::chunk& history::chunk_at(std::size_t number) const noexcept {
  return number == sealed_.size() ? *tail_.get() : *sealed_[number].get();
}

/// The index behind the chunk's last item. A chunk may have been gone on with after it became one
/// of ours, so only what follows tells how much of it we see.
std::size_t history::chunk_end(std::size_t number) const noexcept {
  return number == sealed_.size() ? size() : chunk_at(number + 1).first_index;
}

/// Most chunks hold about as many items, so two of three steps guess from that and the third
/// halves: a few steps as a rule, O(log n) at worst.
std::size_t history::chunk_of(std::size_t index) const noexcept {
  if (index >= tail_->first_index)
    return sealed_.size();
  std::size_t low = 0;
  std::size_t begin = 0;
  auto high = sealed_.size();
  auto end = tail_->first_index;
  for (unsigned step = 1; high - low > 1; ++step) {
    const auto guess =
        step % 3 == 0 ? (high - low) / 2 : (index - begin) * (high - low) / (end - begin);
    const auto probe = low + std::clamp<std::size_t>(guess, 1, high - low - 1);
    const auto first = chunk_at(probe).first_index;
    (first <= index ? low : high) = probe;
    (first <= index ? begin : end) = first;
  }
  return low;
}

item_view history::operator[](std::size_t index) const noexcept {
  const auto& c = chunk_at(chunk_of(index));
  return c.item(static_cast<std::uint32_t>(index - c.first_index));
}

item_view history::back() const noexcept {
  return tail_->item(tail_count_ - 1);
}

std::uint64_t history::last_seq() const noexcept {
  return empty() ? 0 : tail_->seq(tail_count_ - 1);
}

std::size_t history::first_after(std::uint64_t seq) const noexcept {
  // The last chunk that begins with no larger number; in it, the first item with a larger one.
  std::size_t low = 0;
  for (auto high = chunk_count(); low != high;) {
    const auto middle = low + (high - low) / 2;
    if (chunk_at(middle).first_seq() <= seq)
      low = middle + 1;
    else
      high = middle;
  }
  if (low == 0)
    return 0;
  const auto& c = chunk_at(low - 1);
  auto slot = std::uint32_t{0};
  for (auto end = static_cast<std::uint32_t>(chunk_end(low - 1) - c.first_index); slot != end;) {
    const auto middle = slot + (end - slot) / 2;
    if (c.seq(middle) <= seq)
      slot = middle + 1;
    else
      end = middle;
  }
  return c.first_index + slot;
}

packed_chunk history::packed(std::size_t number) const noexcept {
  const auto& c = chunk_at(number);
  const auto count = static_cast<std::uint32_t>(chunk_end(number) - c.first_index);
  const bool sealed = number != sealed_.size() || !accepts(0);
  return {c.first_index, count, sealed, std::string_view(c.data(), c.used(count))};
}

history::const_iterator history::begin() const noexcept {
  return {this, 0};
}

history::const_iterator history::end() const noexcept {
  return {this, size()};
}

item_view history::const_iterator::operator*() const noexcept {
  return chunk_->item(static_cast<std::uint32_t>(index_ - first_));
}

void history::const_iterator::seek() noexcept {
  if (index_ >= owner_->size()) {
    chunk_ = nullptr;
    count_ = 0;
    return;
  }
  const auto number = owner_->chunk_of(index_);
  chunk_ = &owner_->chunk_at(number);
  first_ = chunk_->first_index;
  count_ = owner_->chunk_end(number) - first_;
}

// Comparing --------------------------------------------------------------------------------------

/// A chunk is only ever reached behind the chunks it was first appended to, so chunks are shared up
/// to some point and never again behind it. Of the last one shared, one may see more than the
/// other.
std::size_t history::shared_with(const history& other) const noexcept {
  std::size_t low = 0;
  for (auto high = std::min(chunk_count(), other.chunk_count()); low != high;) {
    const auto middle = low + (high - low) / 2;
    if (&chunk_at(middle) == &other.chunk_at(middle))
      low = middle + 1;
    else
      high = middle;
  }
  return low == 0 ? 0 : std::min(chunk_end(low - 1), other.chunk_end(low - 1));
}

std::size_t history::common_with(const history& other) const {
  const auto start = static_cast<std::ptrdiff_t>(shared_with(other));
  auto mine = begin() + start;
  auto theirs = other.begin() + start;
  while (mine != end() && theirs != other.end() && *mine == *theirs) {
    ++mine;
    ++theirs;
  }
  return static_cast<std::size_t>(mine - begin());
}

// Changing ---------------------------------------------------------------------------------------

/// Whether an item of that size goes into the last chunk.
bool history::accepts(std::size_t item_bytes) const noexcept {
  return tail_count_ != 0 && tail_count_ < max_chunk_items
         && tail_->used(tail_count_) < complete_bytes && item_bytes < complete_bytes;
}

void history::append(std::uint64_t seq, timestamp at, value_view fields) {
  assert(seq > last_seq() && fields.type() == troupe::value_type::map);
  const auto item = fields.bytes();
  if (item.size() >= max_item_bytes)
    throw std::length_error("an item of a history is less than 2 GiB");
  const bool goes_on = accepts(item.size());
  const auto slot = goes_on ? tail_count_ : 0;
  const auto time = static_cast<std::uint64_t>(at.ms);

  std::array<char, 2 * internal::max_varint> head;
  auto* head_end = internal::write_varint(head.data(), goes_on ? seq - tail_->first_seq() : 0);
  head_end =
      internal::write_varint(head_end, goes_on ? internal::zigzag(time - tail_->base_time()) : 0);
  const std::string_view numbers(head.data(), static_cast<std::size_t>(head_end - head.data()));
  const auto more = numbers.size() + item.size();

  // The old chunk lives until the item, which may lie in it, is written.
  chunk_ptr fresh;
  if (!goes_on) {
    fresh = chunk::make(room_of_next(more), size(), bytes());
    fresh->begin(seq, time);
    if (!empty())
      sealed_.push_back(tail_);
  } else if (!tail_->has_room(slot, more) || !tail_->claim(slot)) {
    fresh = chunk::make(room_for(tail_->used(slot) + more, slot + 1), tail_->first_index,
                        tail_->bytes_before);
    fresh->assign(*tail_.get(), slot);
  }
  if (fresh.get() == nullptr) {
    tail_->write(slot, numbers, item);
  } else {
    fresh->write(slot, numbers, item);
    fresh->claimed.store(slot + 1, std::memory_order_relaxed);
    tail_ = std::move(fresh);
  }
  tail_count_ = slot + 1;
  tail_bytes_ = (goes_on ? tail_bytes_ : 0) + static_cast<std::uint32_t>(item.size());
}

/// For the first item of the next chunk. Chunks of one history are mostly alike, so it begins as
/// large as the last one became, with a byte for each item's longer numbers.
std::size_t history::room_of_next(std::size_t item_bytes) const noexcept {
  const auto used = first_item_at + item_bytes;
  if (tail_count_ < 2 || used >= complete_bytes)
    return room_for(used, 1);
  return std::max(used + offset_bytes, tail_->used(tail_count_) + tail_count_ * (offset_bytes + 1));
}

history history::take(std::size_t n) const {
  if (n >= size())
    return *this;
  history out;
  if (n == 0)
    return out;
  const auto number = chunk_of(n - 1);
  out.sealed_ = sealed_.take(number);
  out.tail_ = number == sealed_.size() ? tail_ : sealed_[number];
  out.tail_count_ = static_cast<std::uint32_t>(n - out.tail_->first_index);
  for (std::uint32_t slot = 0; slot != out.tail_count_; ++slot)
    out.tail_bytes_ += static_cast<std::uint32_t>(out.tail_->item(slot).fields.bytes().size());
  return out;
}

void history::shrink_to_fit() {
  if (empty() || !tail_->unique())
    return;
  const auto need = tail_->used(tail_count_) + tail_count_ * offset_bytes;
  if (tail_->capacity - need < least_slack)
    return;
  auto fresh = chunk::make(need, tail_->first_index, tail_->bytes_before);
  fresh->assign(*tail_.get(), tail_count_);
  tail_ = std::move(fresh);
}

// Reading untrusted bytes ------------------------------------------------------------------------

expected<history> history::from_chunks(std::span<const std::string_view> chunks,
                                       std::size_t depth) {
  history out;
  for (const auto bytes : chunks)
    if (!out.append_chunk(bytes, depth))
      return fail(errc::damaged,
                  "chunk " + std::to_string(out.chunk_count()) + " of a history is damaged");
  return out;
}

/// False when the bytes are not what `packed` gives for a chunk behind the last item.
bool history::append_chunk(std::string_view bytes, std::size_t depth) {
  if (bytes.size() < first_item_at || bytes.size() >= max_item_bytes)
    return false;
  const auto first_seq = internal::read_u64(bytes.data());
  if (first_seq <= last_seq())
    return false;
  std::array<std::uint32_t, max_chunk_items> ends;
  std::uint32_t count = 0;
  std::size_t payload = 0;
  std::uint64_t last = 0;
  for (auto rest = bytes.substr(first_item_at); !rest.empty(); ++count) {
    if (count == max_chunk_items)
      return false;
    const auto number = internal::take_varint(rest);
    const auto time = number ? internal::take_varint(rest) : std::nullopt;
    if (!time || (count == 0 ? *number != 0 || *time != 0 : *number <= last)
        || *number > UINT64_MAX - first_seq)
      return false;
    const auto extent = internal::well_formed_extent(rest, depth);
    if (extent == 0 || internal::read_head(rest).type != troupe::value_type::map)
      return false;
    last = *number;
    payload += extent;
    rest.remove_prefix(extent);
    ends[count] = static_cast<std::uint32_t>(bytes.size() - rest.size());
  }
  if (count == 0)
    return false;

  auto fresh = chunk::make(bytes.size() + count * offset_bytes, size(), this->bytes());
  std::memcpy(fresh->data(), bytes.data(), bytes.size());
  for (std::uint32_t slot = 0; slot != count; ++slot)
    fresh->end_of(slot) = ends[slot];
  fresh->claimed.store(count, std::memory_order_relaxed);
  if (!empty())
    sealed_.push_back(tail_);
  tail_ = std::move(fresh);
  tail_count_ = count;
  tail_bytes_ = static_cast<std::uint32_t>(payload);
  return true;
}

}  // namespace troupe
