#pragma once

#include <troupe/state/json.hpp>
#include <troupe/state/value.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <memory_resource>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace troupe::internal {

[[nodiscard]] error too_deep(std::size_t limit);

/// Turns a parser's events into canonical bytes and holds what every untrusted document must obey:
/// depth and element budgets, unique keys, finite numbers. Knows at each moment where it is. After
/// `fail` every event is refused.
///
/// Keys are kept as views: the caller's bytes live as long as the builder.
class document_builder {
public:
  /// `bytes` of input, which becomes about as many.
  document_builder(const limits& budget, std::size_t bytes) : budget_{budget} {
    out_.reserve(bytes);
    frames_.reserve(8);  // most documents have fewer levels, and fewer keys that are open
    keys_.reserve(16);
  }

  bool null() { return scalar() && (out_.null(), true); }
  bool boolean(bool x) { return scalar() && (out_.boolean(x), true); }
  bool integer(std::int64_t x) {
    return scalar()
           && (x < 0 ? out_.integer(x) : out_.unsigned_integer(static_cast<std::uint64_t>(x)),
               true);
  }
  bool unsigned_integer(std::uint64_t x) { return scalar() && (out_.unsigned_integer(x), true); }
  bool real(double x) {
    if (!scalar())
      return false;
    if (!std::isfinite(x))
      return fail(errc::invalid_value, "NaN and infinities are no values");
    out_.real(x);
    return true;
  }
  /// REQUIRES: UTF-8, or let `checked_string` look.
  bool string(std::string_view x) { return scalar() && (out_.string(x), true); }
  bool checked_string(std::string_view x) {
    return scalar() && (is_utf8(x) || fail(errc::invalid_value, "a string is not UTF-8"))
           && (out_.string(x), true);
  }
  bool binary(std::string_view x) { return scalar() && (out_.binary(x), true); }

  bool begin_array(std::size_t size) {
    return scalar() && open(size, false) && (out_.begin_array(size), true);
  }
  bool begin_map(std::size_t size) {
    return scalar() && open(2 * size, true) && (out_.begin_map(size), true);
  }
  bool key(std::string_view x) {
    frames_.back().key = x;
    keys_.push_back(x);
    out_.string(x);
    return !failed_;
  }
  /// After the last child of the innermost array or map.
  bool end();

  bool fail(errc code, std::string message);
  /// A value that cannot be kept: counted, so that the path is its own.
  bool fail_value(errc code, std::string message) {
    return scalar() && fail(code, std::move(message));
  }
  /// A key that cannot be kept has no path; its map has.
  bool fail_key(errc code, std::string message) {
    frames_.pop_back();
    return fail(code, std::move(message));
  }

  [[nodiscard]] const std::optional<error>& failed() const noexcept { return failed_; }
  /// A JSON pointer to the value that came last or is being read.
  [[nodiscard]] std::string path() const;
  [[nodiscard]] value finish() const { return out_.finish(); }

private:
  struct frame {
    bool map;
    std::size_t next;       // index of the child to come
    std::size_t first_key;  // of this map in keys_
    std::string_view key;
  };

  bool scalar() {  // what every value, scalar or not, is counted by
    if (failed_)
      return false;
    if (!frames_.empty())
      ++frames_.back().next;
    return true;
  }
  bool open(std::size_t children, bool map);

  limits budget_;
  value_writer out_;
  std::size_t elements_ = 1;
  std::array<std::byte, 1'024> nearby_;  // what most documents need of the two
  std::pmr::monotonic_buffer_resource memory_{nearby_.data(), nearby_.size()};
  std::pmr::vector<frame> frames_{&memory_};
  std::pmr::vector<std::string_view> keys_{&memory_};  // of all open maps, innermost last
  std::optional<error> failed_;
};

}  // namespace troupe::internal
