#include <troupe/state/internal/cache/packed.hpp>
#include <troupe/state/internal/compression.hpp>
#include <troupe/state/limits.hpp>

#include <stdexcept>
#include <string>

namespace troupe::internal {

value packed(const value& what, std::size_t threshold) {
  const auto bytes = what.bytes();
  if (bytes.size() < threshold || bytes.size() > max_packed_bytes || is_packed(what))
    return what;
  const auto frame = compressed(std::string{bytes}, threshold);
  return frame.size() < bytes.size() ? value::from_canonical(frame) : what;
}

bool is_packed(const value& what) noexcept {
  return is_compressed(what.bytes());
}

value unpacked(const value& what) {
  if (!is_packed(what))
    return what;
  const auto bytes = decompressed(what.bytes(), max_packed_bytes);
  if (!bytes)
    throw std::runtime_error{"a packed output in memory is damaged: " + bytes.error().message};
  return value::from_canonical(*bytes);
}

expected<value> checked_packed(std::string_view bytes) {
  const limits budget{.bytes = SIZE_MAX, .depth = SIZE_MAX, .elements = SIZE_MAX};
  if (!is_compressed(bytes)) {
    auto out = value_from_msgpack(bytes, budget);
    if (!out || out->bytes() != bytes)
      return fail(errc::damaged, "an output is not canonical msgpack");
    return out;
  }
  const auto plain = decompressed(bytes, max_packed_bytes);
  if (!plain)
    return unexpected{plain.error()};
  if (const auto read = value_from_msgpack(*plain, budget); !read || read->bytes() != *plain)
    return fail(errc::damaged, "a compressed output is not canonical msgpack");
  return value::from_canonical(bytes);
}

}  // namespace troupe::internal
