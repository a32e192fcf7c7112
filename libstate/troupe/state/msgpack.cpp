#include <troupe/state/internal/document_builder.hpp>
#include <troupe/state/value.hpp>

#include <msgpack/null_visitor.hpp>
#include <msgpack/unpack.hpp>

namespace troupe {

namespace {

/// msgpack-c's own limits are per type and apply after it counted; ours stand before anything
/// grows.
struct guard : msgpack::null_visitor {
  guard(const limits& budget, std::size_t input) : out{budget, input}, unread{input} {}

  bool visit_nil() { return not_a_key() && out.null(); }
  bool visit_boolean(bool x) { return not_a_key() && out.boolean(x); }
  bool visit_positive_integer(std::uint64_t x) { return not_a_key() && out.unsigned_integer(x); }
  bool visit_negative_integer(std::int64_t x) { return not_a_key() && out.integer(x); }
  bool visit_float32(float x) { return not_a_key() && out.real(static_cast<double>(x)); }
  bool visit_float64(double x) { return not_a_key() && out.real(x); }
  bool visit_str(const char* data, std::uint32_t size) {
    const std::string_view text{data, size};
    if (!in_key)
      return out.checked_string(text);
    if (!is_utf8(text))
      return out.fail_key(errc::invalid_value, "a key is not UTF-8");
    return out.key(text);
  }
  bool visit_bin(const char* data, std::uint32_t size) {
    return not_a_key() && out.binary({data, size});
  }
  bool visit_ext(const char*, std::uint32_t) {
    return not_a_key() && out.fail_value(errc::invalid_value, "extension types are not kept");
  }
  bool start_array(std::uint32_t size) {
    return not_a_key() && fits(size) && out.begin_array(size);
  }
  bool start_map(std::uint32_t size) {
    return not_a_key() && fits(2ull * size) && out.begin_map(size);
  }
  bool end_array() { return out.end(); }
  bool end_map() { return out.end(); }
  bool start_map_key() { return in_key = true; }
  bool end_map_key() {
    in_key = false;
    return true;
  }

  bool not_a_key() { return !in_key || out.fail_key(errc::invalid_value, "a key is not a string"); }
  /// Each child takes a byte at least, so a longer count can only be a lie.
  bool fits(std::uint64_t children) {
    return children <= unread
           || out.fail_value(errc::malformed, "an array or map is longer than the input");
  }

  internal::document_builder out;
  std::size_t unread;
  bool in_key = false;
};

}  // namespace

expected<value> value_from_msgpack(std::string_view bytes, const limits& budget) {
  if (bytes.size() > budget.bytes)
    return tl::unexpected(error{.code = errc::too_large,
                                .message = "more than " + std::to_string(budget.bytes) + " bytes",
                                .limit = budget.bytes});
  guard visitor{budget, bytes.size()};
  std::size_t offset = 0;
  const bool complete = msgpack::parse(bytes.data(), bytes.size(), offset, visitor);
  if (visitor.out.failed())
    return tl::unexpected(*visitor.out.failed());
  if (!complete)
    return fail(errc::malformed,
                "the msgpack ends early or is none, at byte " + std::to_string(offset));
  if (offset != bytes.size())
    return fail(errc::malformed, "bytes follow the value, at byte " + std::to_string(offset));
  return visitor.out.finish();
}

}  // namespace troupe
