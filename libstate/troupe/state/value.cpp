#include <troupe/state/internal/canonical.hpp>
#include <troupe/state/value.hpp>

#include <msgpack/pack.hpp>
#include <simdjson.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cmath>
#include <cstddef>
#include <memory_resource>
#include <new>
#include <vector>

namespace troupe {

using internal::big_endian;
using internal::extent;
using internal::read_head;
using internal::read_integer;

std::string_view to_string(value_type type) noexcept {
  switch (type) {
    case value_type::null: return "null";
    case value_type::boolean: return "boolean";
    case value_type::integer: return "integer";
    case value_type::real: return "real";
    case value_type::string: return "string";
    case value_type::binary: return "binary";
    case value_type::array: return "array";
    case value_type::map: return "map";
  }
  return "unknown";
}

std::size_t internal::well_formed_extent(std::string_view b, std::size_t depth) {
  struct level {
    bool map;
    std::size_t left;
  };
  std::array<std::byte, 16 * sizeof(level)> nearby;  // most have fewer levels than half of that
  std::pmr::monotonic_buffer_resource memory{nearby.data(), nearby.size()};
  std::pmr::vector<level> open{&memory};
  open.reserve(8);
  std::size_t at = 0;
  do {
    while (!open.empty() && open.back().left == 0)
      open.pop_back();
    if (open.empty() && at > 0)
      break;
    if (at == b.size())
      return 0;
    const auto tag = static_cast<unsigned char>(b[at]);
    const bool foreign =
        tag == 0xc1 || (tag >= 0xc7 && tag <= 0xca) || (tag >= 0xd4 && tag <= 0xd8);
    const std::size_t length_bytes = tag == 0xc4 || tag == 0xd9                                 ? 1
                                     : tag == 0xc5 || tag == 0xda || tag == 0xdc || tag == 0xde ? 2
                                     : tag == 0xc6 || tag == 0xdb || tag == 0xdd || tag == 0xdf ? 4
                                                                                                : 0;
    if (foreign || b.size() - at < 1 + length_bytes)
      return 0;
    const auto h = read_head(b.substr(at));
    at += h.size;
    if (b.size() - at < h.payload || b.size() - at - h.payload < h.children)
      return 0;
    const auto payload = b.substr(at, h.payload);
    if (h.type == value_type::string && !is_utf8(payload))
      return 0;
    if (h.type == value_type::real
        && !std::isfinite(std::bit_cast<double>(big_endian(payload, 0, 8))))
      return 0;
    at += h.payload;
    if (!open.empty()) {
      auto& top = open.back();
      if (top.map && top.left % 2 == 0 && h.type != value_type::string)
        return 0;
      --top.left;
    }
    const bool container = h.type == value_type::array || h.type == value_type::map;
    if (container && open.size() == depth)
      return 0;
    if (h.children > 0)
      open.push_back({h.type == value_type::map, h.children});
  } while (true);
  return at;
}

// value_view -------------------------------------------------------------------------------------

value_view::value_view(std::string_view bytes) noexcept : bytes_{bytes.substr(0, extent(bytes))} {}

value_type value_view::type() const noexcept {
  return read_head(bytes_).type;
}

std::optional<bool> value_view::as_bool() const noexcept {
  if (bytes_[0] == '\xc2')
    return false;
  if (bytes_[0] == '\xc3')
    return true;
  return std::nullopt;
}

std::optional<std::int64_t> value_view::as_int64() const noexcept {
  const auto x = read_integer(bytes_);
  if (!x || (!x->negative && x->bits > static_cast<std::uint64_t>(INT64_MAX)))
    return std::nullopt;
  return static_cast<std::int64_t>(x->bits);
}

std::optional<std::uint64_t> value_view::as_uint64() const noexcept {
  const auto x = read_integer(bytes_);
  if (!x || x->negative)
    return std::nullopt;
  return x->bits;
}

std::optional<double> value_view::as_real() const noexcept {
  if (bytes_[0] != '\xcb')
    return std::nullopt;
  return std::bit_cast<double>(big_endian(bytes_, 1, 8));
}

std::optional<std::string_view> value_view::as_string() const noexcept {
  const auto h = read_head(bytes_);
  if (h.type != value_type::string)
    return std::nullopt;
  return bytes_.substr(h.size, h.payload);
}

std::optional<std::string_view> value_view::as_binary() const noexcept {
  const auto h = read_head(bytes_);
  if (h.type != value_type::binary)
    return std::nullopt;
  return bytes_.substr(h.size, h.payload);
}

std::size_t value_view::size() const noexcept {
  const auto h = read_head(bytes_);
  return h.type == value_type::map ? h.children / 2 : h.children;
}

value_view::cursor value_view::children() const noexcept {
  const auto h = read_head(bytes_);
  cursor out;
  out.map_ = h.type == value_type::map;
  out.left_ = out.map_ ? h.children / 2 : h.children;
  out.rest_ = bytes_.substr(h.size);
  return out;
}

std::optional<value_view> value_view::find(std::string_view key) const noexcept {
  if (type() != value_type::map)
    return std::nullopt;
  for (auto c = children(); c.next();) {
    if (c.key() == key)
      return c.item();
  }
  return std::nullopt;
}

bool value_view::cursor::next() noexcept {
  if (left_ == 0)
    return false;
  --left_;
  if (map_) {
    const auto h = read_head(rest_);
    key_ = rest_.substr(h.size, h.payload);
    rest_.remove_prefix(h.size + h.payload);
  }
  // The last child is all that is left: so a walk down a chain is linear.
  const auto size = left_ == 0 ? rest_.size() : extent(rest_);
  item_.bytes_ = rest_.substr(0, size);
  rest_.remove_prefix(size);
  return true;
}

bool operator==(value_view a, value_view b) {
  if (a.bytes() == b.bytes())
    return true;
  // Pairs still to be compared. Scalars differ when their bytes do (canonical form); maps are
  // compared by key order.
  using member = std::pair<std::string_view, value_view>;
  const auto sorted = [](value_view map) {
    std::vector<member> out;
    out.reserve(map.size());
    for (auto c = map.children(); c.next();)
      out.emplace_back(c.key(), c.item());
    std::sort(out.begin(), out.end(),
              [](const member& x, const member& y) { return x.first < y.first; });
    return out;
  };
  std::vector<std::pair<value_view, value_view>> todo{{a, b}};
  while (!todo.empty()) {
    const auto [x, y] = todo.back();
    todo.pop_back();
    if (x.bytes() == y.bytes())
      continue;
    const auto type = x.type();
    if (type != y.type() || x.size() != y.size())
      return false;
    if (type == value_type::array) {
      for (auto cx = x.children(), cy = y.children(); cx.next() && cy.next();)
        todo.emplace_back(cx.item(), cy.item());
    } else if (type == value_type::map) {
      const auto mx = sorted(x), my = sorted(y);
      for (std::size_t i = 0; i < mx.size(); ++i) {
        if (mx[i].first != my[i].first)
          return false;
        todo.emplace_back(mx[i].second, my[i].second);
      }
    } else {
      return false;
    }
  }
  return true;
}

// value ------------------------------------------------------------------------------------------

struct value::block {
  std::atomic<std::uint32_t> references;
  std::uint32_t size;
  [[nodiscard]] char* data() noexcept { return reinterpret_cast<char*>(this + 1); }
};

value::block* value::shared_block() const noexcept {
  block* out;
  std::memcpy(&out, raw_, sizeof out);
  return out;
}

value value::from_canonical(std::string_view bytes) {
  value out;
  if (bytes.size() < sizeof out.raw_) {
    out.set_inline(bytes);
    return out;
  }
  if (bytes.size() > UINT32_MAX)
    throw std::bad_alloc{};
  void* memory = ::operator new(sizeof(block) + bytes.size());
  auto* shared = new (memory) block{1, static_cast<std::uint32_t>(bytes.size())};
  std::memcpy(shared->data(), bytes.data(), bytes.size());
  std::memcpy(out.raw_, &shared, sizeof shared);
  out.raw_[15] = static_cast<char>(shared_tag);
  return out;
}

void value::retain() const noexcept {
  if (shared())
    shared_block()->references.fetch_add(1, std::memory_order_relaxed);
}

void value::release() noexcept {
  if (!shared())
    return;
  auto* block_ptr = shared_block();
  if (block_ptr->references.fetch_sub(1, std::memory_order_acq_rel) == 1) {
    block_ptr->~block();
    ::operator delete(block_ptr);
  }
}

value::value(const value& other) noexcept {
  other.retain();
  std::memcpy(raw_, other.raw_, sizeof raw_);
}

value::value(value&& other) noexcept {
  std::memcpy(raw_, other.raw_, sizeof raw_);
  other.set_inline(std::string_view{"\xc0", 1});
}

value& value::operator=(const value& other) noexcept {
  if (this != &other) {
    other.retain();
    release();
    std::memcpy(raw_, other.raw_, sizeof raw_);
  }
  return *this;
}

value& value::operator=(value&& other) noexcept {
  if (this != &other) {
    release();
    std::memcpy(raw_, other.raw_, sizeof raw_);
    other.set_inline(std::string_view{"\xc0", 1});
  }
  return *this;
}

std::string_view value::bytes() const noexcept {
  if (!shared())
    return {raw_, static_cast<std::size_t>(raw_[15])};
  auto* block_ptr = shared_block();
  return {block_ptr->data(), block_ptr->size};
}

value_view value::view() const& noexcept {
  value_view out;
  out.bytes_ = bytes();
  return out;
}

value value::from_integer(bool negative, std::uint64_t bits) {
  value_writer out;
  if (negative)
    out.integer(static_cast<std::int64_t>(bits));
  else
    out.unsigned_integer(bits);
  return out.finish();
}

value::value(double x) : value{value_writer{}.real(x).finish()} {}
value::value(std::string_view text) : value{value_writer{}.string(text).finish()} {}
value value::binary(std::string_view bytes) {
  return value_writer{}.binary(bytes).finish();
}

value value::array(std::initializer_list<value> items) {
  value_writer out;
  out.begin_array(items.size());
  for (const auto& item : items)
    out.raw(item);
  return out.finish();
}

value value::map(std::initializer_list<std::pair<std::string_view, value>> entries) {
  value_writer out;
  out.begin_map(entries.size());
  for (const auto& [key, item] : entries)
    out.string(key).raw(item);
  return out.finish();
}

// value_writer -----------------------------------------------------------------------------------

namespace {

/// The stream that msgpack's packer wants.
struct string_sink {
  std::string& out;
  void write(const char* data, std::size_t size) { out.append(data, size); }
};

template <class F>
void pack(std::string& out, F&& write) {
  string_sink sink{out};
  msgpack::packer<string_sink> packer{sink};
  write(packer);
}

std::uint32_t checked_size(std::size_t size) {
  if (size > UINT32_MAX)
    throw std::bad_alloc{};
  return static_cast<std::uint32_t>(size);
}

}  // namespace

value_writer& value_writer::null() {
  out_ += '\xc0';
  return *this;
}

value_writer& value_writer::boolean(bool x) {
  out_ += x ? '\xc3' : '\xc2';
  return *this;
}

value_writer& value_writer::integer(std::int64_t x) {
  pack(out_, [x](auto& p) { p.pack_int64(x); });
  return *this;
}

value_writer& value_writer::unsigned_integer(std::uint64_t x) {
  pack(out_, [x](auto& p) { p.pack_uint64(x); });
  return *this;
}

// msgpack-c's own pack_double writes 1.0 as the integer 1, so it is not used.
value_writer& value_writer::real(double x) {
  out_ += '\xcb';
  const auto bits = std::bit_cast<std::uint64_t>(x);
  for (int shift = 56; shift >= 0; shift -= 8)
    out_ += static_cast<char>(bits >> shift);
  return *this;
}

value_writer& value_writer::string(std::string_view x) {
  pack(out_, [x](auto& p) {
    p.pack_str(checked_size(x.size()))
        .pack_str_body(x.data(), static_cast<std::uint32_t>(x.size()));
  });
  return *this;
}

value_writer& value_writer::binary(std::string_view x) {
  pack(out_, [x](auto& p) {
    p.pack_bin(checked_size(x.size()))
        .pack_bin_body(x.data(), static_cast<std::uint32_t>(x.size()));
  });
  return *this;
}

value_writer& value_writer::begin_array(std::size_t size) {
  pack(out_, [size](auto& p) { p.pack_array(checked_size(size)); });
  return *this;
}

value_writer& value_writer::begin_map(std::size_t size) {
  pack(out_, [size](auto& p) { p.pack_map(checked_size(size)); });
  return *this;
}

value_writer& value_writer::raw(value_view x) {
  out_ += x.bytes();
  return *this;
}

value_writer& value_writer::members(value_view map) {
  out_ += map.bytes().substr(read_head(map.bytes()).size);
  return *this;
}

bool is_utf8(std::string_view text) noexcept {
  return simdjson::validate_utf8(text.data(), text.size());
}

}  // namespace troupe
