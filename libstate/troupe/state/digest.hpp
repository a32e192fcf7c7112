#pragma once

#include <troupe/state/expected.hpp>
#include <troupe/state/value.hpp>

#include <array>
#include <compare>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace troupe {

/// The 32 bytes of a SHA-256 (FIPS 180-4). A value: compares, copies, never fails.
struct sha256 {
  std::array<std::uint8_t, 32> bytes{};

  friend auto operator<=>(const sha256&, const sha256&) = default;
  friend bool operator==(const sha256&, const sha256&) = default;
};

/// 64 lower-case hexadecimal digits.
[[nodiscard]] std::string to_hex(const sha256& digest);

/// The reverse, lower-case digits only: one digest has one spelling. Errors: `malformed`.
expected<sha256> sha256_from_hex(std::string_view hex);

/// SHA-256 of bytes that come in pieces; where they are cut does not matter. One owner. Throws
/// `std::runtime_error` only where the machine's OpenSSL has no SHA-256.
class sha256_hasher {
public:
  sha256_hasher();
  ~sha256_hasher();
  sha256_hasher(sha256_hasher&&) noexcept;
  sha256_hasher& operator=(sha256_hasher&&) noexcept;

  sha256_hasher& update(std::string_view bytes);

  /// The length as eight bytes, the highest first, then the bytes: a sequence of fields has one
  /// reading.
  sha256_hasher& field(std::string_view bytes);

  /// As `field`, of the value's canonical msgpack with each map's keys in the bytewise order of
  /// their encodings: equal values hash equal, others differently (1 is not 1.0 is not true).
  /// O(bytes x depth + keys x log keys); no recursion.
  sha256_hasher& field(value_view what);

  /// The digest of all that came in. The hasher begins anew.
  [[nodiscard]] sha256 finish();

private:
  friend sha256 digest_of(value_view);
  void ordered(value_view what);
  void flush();

  struct context;
  std::unique_ptr<context> context_;
};

[[nodiscard]] sha256 sha256_of(std::string_view bytes);

/// The digest of a value whatever the order of its maps' keys: `digest_of(a) == digest_of(b)` just
/// when `a == b`. Of a value without maps it is the SHA-256 of its bytes.
[[nodiscard]] sha256 digest_of(value_view what);

}  // namespace troupe
