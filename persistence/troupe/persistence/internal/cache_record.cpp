#include <troupe/persistence/internal/bytes.hpp>
#include <troupe/persistence/internal/cache_record.hpp>
#include <troupe/persistence/internal/crc32c.hpp>
#include <troupe/state/ids.hpp>
#include <troupe/state/internal/cache/packed.hpp>

#include <algorithm>
#include <cstring>
#include <limits>

namespace troupe::internal {

namespace {

constexpr std::string_view magic = "TRPC";

// Offsets in the header; the first 16 bytes are laid out as those of a journal record.
constexpr std::size_t at_version = 4;
constexpr std::size_t at_standing = 5;
constexpr std::size_t at_flags = 6;
constexpr std::size_t at_payload_bytes = 8;
constexpr std::size_t at_checksum = 12;
constexpr std::size_t at_created = 16;
constexpr std::size_t at_last_accessed = 24;
constexpr std::size_t at_expires = 32;
constexpr std::size_t at_access_count = 40;
constexpr std::size_t at_digest = 48;
constexpr std::size_t header_bytes = 80;

constexpr std::int64_t never = std::numeric_limits<std::int64_t>::max();

std::uint32_t checksum(std::string_view key, std::string_view bytes) noexcept {
  constexpr std::string_view blank{"\0\0\0\0", 4};
  auto crc = crc32c(bytes.substr(0, at_checksum), crc32c(key));
  crc = crc32c(blank, crc);
  return crc32c(bytes.substr(at_checksum + blank.size()), crc);
}

void put_time(char* out, std::int64_t ms) noexcept {
  put_le(out, static_cast<std::uint64_t>(ms));
}

std::int64_t get_time(const char* in) noexcept {
  return static_cast<std::int64_t>(get_le<std::uint64_t>(in));
}

unexpected damaged(const char* what) {
  return fail(errc::damaged, what);
}

/// `[namespace, output, request, agent, owner, content hash, [tag ...]]`, all bytes.
std::string payload_of(const saved_result& what) {
  const auto& content = what.saved.entry.content;
  value_writer out;
  out.begin_array(7).binary(what.name_space).binary(content.output.bytes());
  out.binary(content.request.bytes()).binary(content.agent).binary(content.owner);
  out.binary(content.content_hash).begin_array(content.tags.size());
  for (const auto& tag : content.tags)
    out.binary(tag);
  return out.take();
}

expected<void> read_payload(std::string_view bytes, saved_result& out) {
  const limits budget{.bytes = SIZE_MAX, .depth = 3, .elements = 1'000};
  const auto all = value_from_msgpack(bytes, budget);
  if (!all || all->view().size() != 7 || all->type() != value_type::array)
    return damaged("its payload is not what it has to be");
  auto fields = all->view().children();
  bool good = true;
  const auto next = [&] {
    const auto text = fields.next() ? fields.item().as_binary() : std::nullopt;
    good = good && text.has_value();
    return text.value_or(std::string_view{});
  };
  auto& content = out.saved.entry.content;
  out.name_space = next();
  const auto output = checked_packed(next()), request = checked_packed(next());
  content.agent = next();
  content.owner = next();
  content.content_hash = next();
  good = good && output && request && !is_packed(*request) && checked_id(out.name_space)
         && fields.next() && fields.item().type() == value_type::array;
  if (!good)
    return damaged("a field of its payload is not what it has to be");
  content.output = *output;
  content.request = *request;
  for (auto tags = fields.item().children(); tags.next();) {
    const auto tag = tags.item().as_binary();
    if (!tag)
      return damaged("a tag is not bytes");
    content.tags.emplace_back(*tag);
  }
  return {};
}

}  // namespace

std::string encode_cache_record(std::string_view key, const saved_result& what) {
  const auto payload = payload_of(what);
  const auto& entry = what.saved.entry;
  std::string out(header_bytes, '\0');
  std::copy(magic.begin(), magic.end(), out.begin());
  put_le(out.data() + at_version, current_cache_record_version);
  put_le(out.data() + at_standing, what.saved.standing);
  put_le(out.data() + at_flags, std::uint16_t{0});
  put_le(out.data() + at_payload_bytes, static_cast<std::uint32_t>(payload.size()));
  put_time(out.data() + at_created, entry.created.ms);
  put_time(out.data() + at_last_accessed, entry.last_accessed.ms);
  put_time(out.data() + at_expires, entry.expires_at ? entry.expires_at->ms : never);
  put_le(out.data() + at_access_count, entry.access_count);
  const auto& digest = what.saved.key.digest.bytes;
  std::memcpy(out.data() + at_digest, digest.data(), digest.size());
  out += payload;
  put_le(out.data() + at_checksum, checksum(key, out));
  return out;
}

expected<saved_result> decode_cache_record(std::string_view key, std::string_view bytes) {
  if (bytes.size() < header_bytes || !bytes.starts_with(magic))
    return damaged("it does not begin as a saved result does");
  const char* in = bytes.data();
  if (get_le<std::uint32_t>(in + at_checksum) != checksum(key, bytes))
    return damaged("its checksum does not match");
  if (get_le<std::uint8_t>(in + at_version) != current_cache_record_version
      || get_le<std::uint16_t>(in + at_flags) != 0)
    return fail(errc::newer_format, "its version or flags are not of this build");
  if (bytes.size() - header_bytes != get_le<std::uint32_t>(in + at_payload_bytes))
    return damaged("its length does not match");
  saved_result out;
  out.saved.standing = get_le<std::uint8_t>(in + at_standing);
  auto& entry = out.saved.entry;
  entry.created.ms = get_time(in + at_created);
  entry.last_accessed.ms = get_time(in + at_last_accessed);
  if (const auto expires = get_time(in + at_expires); expires != never)
    entry.expires_at = timestamp{expires};
  entry.access_count = get_le<std::uint64_t>(in + at_access_count);
  auto& digest = out.saved.key.digest.bytes;
  std::memcpy(digest.data(), in + at_digest, digest.size());
  if (auto read = read_payload(bytes.substr(header_bytes), out); !read)
    return unexpected{std::move(read.error())};
  return out;
}

}  // namespace troupe::internal
