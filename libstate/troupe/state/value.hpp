#pragma once

#include <troupe/state/expected.hpp>
#include <troupe/state/limits.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace troupe {

enum class value_type : std::uint8_t { null, boolean, integer, real, string, binary, array, map };

[[nodiscard]] std::string_view to_string(value_type type) noexcept;

/// A look into canonical msgpack bytes: no ownership, no allocation, as cheap to copy as a
/// string_view. It lives as long as the bytes do.
///
/// Canonical means: shortest integers, non-negative ones unsigned; every real a float64; shortest
/// headers for strings, arrays and maps; map keys are unique strings; no extension types. Order of
/// map keys is kept.
class value_view {
public:
  constexpr value_view() noexcept = default;  ///< null
  /// REQUIRES: `bytes` begins with one canonical value; what follows is ignored. One pass to find
  /// its end.
  explicit value_view(std::string_view bytes) noexcept;
  /// The same of bytes behind which nothing follows: no pass. REQUIRES: `bytes` is one canonical
  /// value.
  [[nodiscard]] static value_view whole(std::string_view bytes) noexcept {
    value_view out;
    out.bytes_ = bytes;
    return out;
  }

  [[nodiscard]] value_type type() const noexcept;
  [[nodiscard]] bool is_null() const noexcept { return type() == value_type::null; }

  /// Nothing when the value is of another type (or does not fit).
  [[nodiscard]] std::optional<bool> as_bool() const noexcept;
  [[nodiscard]] std::optional<std::int64_t> as_int64() const noexcept;
  [[nodiscard]] std::optional<std::uint64_t> as_uint64() const noexcept;
  [[nodiscard]] std::optional<double> as_real() const noexcept;  ///< reals only: 1 is not 1.0
  [[nodiscard]] std::optional<std::string_view> as_string() const noexcept;
  [[nodiscard]] std::optional<std::string_view> as_binary() const noexcept;

  /// Elements of an array, entries of a map, else 0.
  [[nodiscard]] std::size_t size() const noexcept;

  class cursor;
  /// Walks the elements of an array or the entries of a map in their order. Empty for the other
  /// types.
  [[nodiscard]] cursor children() const noexcept;

  /// The value of a map's key. O(entries). Nothing when there is none or this is no map.
  [[nodiscard]] std::optional<value_view> find(std::string_view key) const noexcept;

  /// This value's own bytes and nothing behind them.
  [[nodiscard]] std::string_view bytes() const noexcept { return bytes_; }

  /// Structural: types must be equal (1 is not 1.0 is not true), arrays in order, maps whatever the
  /// order of keys.
  friend bool operator==(value_view a, value_view b);

private:
  friend class history;  // it knows where its items end
  friend class value;
  std::string_view bytes_{"\xc0", 1};
};

/// `for (auto c = v.children(); c.next();) use(c.key(), c.item());`
class value_view::cursor {
public:
  /// Moves to the next child; false after the last.
  bool next() noexcept;
  [[nodiscard]] std::string_view key() const noexcept { return key_; }  ///< empty in arrays
  [[nodiscard]] value_view item() const noexcept { return item_; }

private:
  friend class value_view;
  std::string_view rest_;
  std::size_t left_ = 0;
  bool map_ = false;
  std::string_view key_;
  value_view item_;
};

/// Immutable msgpack data, 16 bytes, cheap to copy: up to 15 bytes stand inside, larger ones in one
/// shared block. Any thread may read and copy the same value. It never refers to anything outside
/// itself.
class value {
  /// 'x' is no number, and a text of one character is "x".
  template <class T>
  static constexpr bool is_character =
      std::is_same_v<T, char> || std::is_same_v<T, wchar_t> || std::is_same_v<T, char8_t>
      || std::is_same_v<T, char16_t> || std::is_same_v<T, char32_t>;

public:
  value() noexcept { set_inline(std::string_view{"\xc0", 1}); }  ///< null
  value(std::nullptr_t) noexcept : value{} {}
  template <class T>
    requires std::is_same_v<T, bool>
  value(T x) noexcept {
    set_inline(x ? std::string_view{"\xc3", 1} : std::string_view{"\xc2", 1});
  }
  template <class T>
    requires(std::is_integral_v<T> && !is_character<T> && !std::is_same_v<T, bool>)
  value(T x) : value{from_integer(x < T{0}, static_cast<std::uint64_t>(x))} {}
  template <class T>
    requires is_character<T>
  value(T x) = delete;           ///< neither as a number nor as a real
  value(double x);               ///< REQUIRES: finite
  value(std::string_view text);  ///< REQUIRES: valid UTF-8
  /// A null pointer is null.
  value(const char* text) : value{text ? value{std::string_view{text}} : value{}} {}
  value(const std::string& text) : value{std::string_view{text}} {}

  [[nodiscard]] static value binary(std::string_view bytes);
  [[nodiscard]] static value array(std::initializer_list<value> items);
  /// REQUIRES: keys are unique.
  [[nodiscard]] static value map(std::initializer_list<std::pair<std::string_view, value>> entries);
  /// Takes bytes that are known to be canonical, e.g. from a `value_writer`. Untrusted bytes go
  /// through `value_from_msgpack`.
  [[nodiscard]] static value from_canonical(std::string_view bytes);
  explicit value(value_view view) : value{from_canonical(view.bytes())} {}

  value(const value& other) noexcept;
  value(value&& other) noexcept;
  value& operator=(const value& other) noexcept;
  value& operator=(value&& other) noexcept;
  ~value() { release(); }

  /// The canonical msgpack encoding. Valid as long as this value is.
  [[nodiscard]] std::string_view bytes() const noexcept;
  [[nodiscard]] value_view view() const& noexcept;
  value_view view() const&& = delete;  ///< the view would outlive the value
  operator value_view() const noexcept { return view(); }

  [[nodiscard]] value_type type() const noexcept { return view().type(); }
  [[nodiscard]] bool is_null() const noexcept { return view().is_null(); }

  friend bool operator==(const value& a, const value& b) { return a.view() == b.view(); }

private:
  struct block;  // a reference count, a size, then the bytes
  static constexpr std::uint8_t shared_tag = 0xff;

  [[nodiscard]] static value from_integer(bool negative, std::uint64_t bits);
  void set_inline(std::string_view bytes) noexcept {
    std::memcpy(raw_, bytes.data(), bytes.size());
    raw_[15] = static_cast<char>(bytes.size());
  }
  [[nodiscard]] bool shared() const noexcept {
    return static_cast<std::uint8_t>(raw_[15]) == shared_tag;
  }
  [[nodiscard]] block* shared_block() const noexcept;
  void retain() const noexcept;
  void release() noexcept;

  alignas(8) char raw_[16]{};  // inline: bytes, then their count; shared: a block*, then shared_tag
};

/// Writes canonical msgpack into one string. The caller sees to it that a map or array gets as many
/// children as it announced and that keys are unique.
class value_writer {
public:
  value_writer& null();
  value_writer& boolean(bool x);
  value_writer& integer(std::int64_t x);
  value_writer& unsigned_integer(std::uint64_t x);
  value_writer& real(double x);
  value_writer& string(std::string_view x);
  value_writer& binary(std::string_view x);
  value_writer& begin_array(std::size_t size);
  value_writer& begin_map(std::size_t size);
  value_writer& raw(value_view x);        ///< a whole value
  value_writer& members(value_view map);  ///< those of a map into the one that was begun

  /// Makes room for so many bytes, for who knows that much is to come.
  void reserve(std::size_t bytes) { out_.reserve(bytes); }

  [[nodiscard]] const std::string& bytes() const noexcept { return out_; }
  [[nodiscard]] std::string take() noexcept { return std::move(out_); }
  [[nodiscard]] value finish() const { return value::from_canonical(out_); }

private:
  std::string out_;
};

/// Reads msgpack from anywhere: checks every length against the input before memory is taken, and
/// answers the same value in canonical form (shorter integers, float32 widened). Errors, each with
/// its path: `malformed` (cut off, bytes behind the value, 0xc1), `too_large`, `too_deep`,
/// `too_many_elements`, `invalid_value` (extension types, keys that are no strings or occur twice,
/// strings that are not UTF-8, NaN and infinities).
expected<value> value_from_msgpack(std::string_view bytes, const limits& budget = {});

/// True for well-formed UTF-8 (no surrogates, no overlong forms).
[[nodiscard]] bool is_utf8(std::string_view text) noexcept;

}  // namespace troupe
