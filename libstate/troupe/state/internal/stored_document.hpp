#pragma once

/// How stored arrays are read and written field by field. Not installed.

#include <troupe/state/codec.hpp>
#include <troupe/state/internal/canonical.hpp>
#include <troupe/state/internal/compression.hpp>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace troupe::internal {

/// A document's own nesting beyond that of the values in it.
inline constexpr std::size_t stored_depth = limits{}.depth + 6;

/// Of an item, wherever it stands: deeper ones would not fit into the event that brings them back.
inline constexpr std::size_t item_depth = limits{}.depth;

/// Of an entry: more than any command takes, and less than `entry_key` has room for.
inline constexpr std::size_t max_stored_key_bytes = 600;

/// Reads the fields of one stored array in order; after the first that does not fit, all that
/// follow are empty and `ok` is false.
class field_reader {
public:
  explicit field_reader(value_view array)
      : cursor_{array.children()},
        ok_{array.type() == value_type::array} {}

  value_view next() {
    if (ok_ && cursor_.next())
      return cursor_.item();
    ok_ = false;
    return {};
  }
  std::uint64_t number() { return take(next().as_uint64()); }
  timestamp time() { return {take(next().as_int64())}; }
  std::string text() { return std::string{take(next().as_string())}; }
  std::string_view bytes() { return take(next().as_binary()); }
  value any() { return value{next()}; }
  value_view array() {
    const auto x = next();
    ok_ = ok_ && x.type() == value_type::array;
    return x;
  }
  template <class Enum>
  Enum one_of(Enum first, Enum last) {
    const auto x = number();
    ok_ = ok_ && x >= static_cast<std::uint64_t>(first) && x <= static_cast<std::uint64_t>(last);
    return ok_ ? static_cast<Enum>(x) : first;
  }
  /// A greater number than there is leaves `ok` as it is and shows in `newer_section`.
  section which_section() {
    const auto x = number();
    if (x > all_sections.size())
      newer_section_ = x;
    ok_ = ok_ && x > 0;
    return is_section(x) ? static_cast<section>(x) : section::info;
  }
  /// Why a document that is good otherwise cannot be read, if it names a newer version's section.
  [[nodiscard]] expected<void> known_section() const {
    if (newer_section_ == 0)
      return {};
    return fail(errc::newer_format,
                "section " + std::to_string(newer_section_) + " is none that this build knows");
  }
  std::string id() {
    auto out = text();
    ok_ = ok_ && checked_id(out).has_value();
    return out;
  }
  entity_ref ref() {
    field_reader in{next()};
    entity_ref out{in.id(), in.one_of(entity_kind::session, entity_kind::global), in.id()};
    ok_ = ok_ && in.ended();
    return out;
  }
  std::string key() {
    auto out = text();
    ok_ = ok_ && out.size() <= max_stored_key_bytes;
    return out;
  }

  /// The id of a user, or null.
  value owner() {
    auto out = any();
    const auto text = out.view().as_string();
    ok_ = ok_ && (out.is_null() || (text && checked_id(*text)));
    return out;
  }
  std::shared_ptr<const lineage> lineage_from(value_view stored) {
    field_reader in{stored};
    lineage out{in.ref(), in.number()};
    ok_ = ok_ && in.ended();
    return std::make_shared<const lineage>(std::move(out));
  }

  /// What a newer minor version has put behind the fields read so far: an array, or null.
  value rest() {
    std::vector<value_view> more;
    while (ok_ && cursor_.next())
      more.push_back(cursor_.item());
    if (more.empty())
      return {};
    value_writer out;
    out.begin_array(more.size());
    for (const auto x : more)
      out.raw(x);
    return out.finish();
  }

  [[nodiscard]] bool ok() const { return ok_; }
  /// All was good and nothing is left: what stands within events and snapshots has a fixed length,
  /// since what followed there would be lost.
  bool ended() {
    ok_ = ok_ && !cursor_.next();
    return ok_;
  }
  void refuse() { ok_ = false; }

private:
  template <class T>
  T take(std::optional<T> x) {
    ok_ = ok_ && x.has_value();
    return x.value_or(T{});
  }

  value_view::cursor cursor_;
  bool ok_;
  std::uint64_t newer_section_ = 0;
};

/// The bytes of a document, decompressed where need be, and its version checked.
class document {
public:
  static expected<document> open(std::string_view bytes, std::string_view what) {
    document out;
    out.bytes_ = bytes;
    if (is_compressed(bytes)) {
      auto plain = decompressed(bytes, max_decoded_bytes);
      if (!plain)
        return tl::unexpected(plain.error());
      out.plain_ = std::make_unique<std::string>(*std::move(plain));
      out.bytes_ = *out.plain_;
    }
    if (!well_formed(out.bytes_, stored_depth))
      return fail(errc::damaged, std::string{what} + " is not the msgpack it should be");
    auto fields = out.fields();
    const auto version = fields.number();
    if (!fields.ok() || version < oldest_codec_version)
      return fail(errc::damaged, std::string{what} + " has no version that this build reads");
    if (version > current_codec_version)
      return fail(errc::newer_format, std::string{what} + " has version " + std::to_string(version)
                                          + "; this build reads up to "
                                          + std::to_string(current_codec_version));
    return out;
  }

  [[nodiscard]] field_reader fields() const { return field_reader{value_view{bytes_}}; }

private:
  std::unique_ptr<std::string> plain_;
  std::string_view bytes_;
};

inline void write_rest(value_writer& out, value_view rest) {
  for (auto field = rest.children(); field.next();)
    out.raw(field.item());
}

inline void write_ref(value_writer& out, const entity_ref& ref) {
  out.begin_array(3).string(ref.name_space);
  out.unsigned_integer(static_cast<std::uint64_t>(ref.kind)).string(ref.id);
}

inline void write_lineage(value_writer& out, const lineage& from) {
  write_ref(out.begin_array(2), from.parent);
  out.unsigned_integer(from.at);
}

template <class Number>
std::uint64_t number_of(Number x) {
  return static_cast<std::uint64_t>(x);
}

}  // namespace troupe::internal
