#include <troupe/persistence/internal/bytes.hpp>
#include <troupe/persistence/internal/crc32c.hpp>
#include <troupe/persistence/internal/record.hpp>

#include <openssl/evp.h>

#include <algorithm>
#include <cstring>
#include <stdexcept>

namespace troupe::internal {

namespace {

constexpr std::string_view magic = "TRPE";

// Offsets in the header. The first 16 bytes keep their place in every version, so that a checksum
// can be verified before the version is believed.
constexpr std::size_t at_version = 4;
constexpr std::size_t at_type = 5;
constexpr std::size_t at_flags = 6;
constexpr std::size_t at_payload_bytes = 8;
constexpr std::size_t at_checksum = 12;
constexpr std::size_t at_epoch = 16;
constexpr std::size_t at_sequence = 24;
constexpr std::size_t at_name_space = 32;
constexpr std::size_t at_shard = 48;
constexpr std::size_t at_id_bytes = 50;
constexpr std::size_t at_kind = 52;
constexpr std::size_t at_zero = 53;
constexpr std::size_t at_previous = 56;
static_assert(at_zero + 3 == at_previous && at_previous + 8 == record_header_bytes);

std::uint32_t checksum(std::string_view key, std::string_view bytes) noexcept {
  constexpr std::string_view blank{"\0\0\0\0", 4};
  auto crc = crc32c(bytes.substr(0, at_checksum), crc32c(key));
  crc = crc32c(blank, crc);
  return crc32c(bytes.substr(at_checksum + blank.size()), crc);
}

}  // namespace

namespace_hash hash_namespace(std::string_view name) {
  std::array<unsigned char, 32> digest{};
  if (EVP_Digest(name.data(), name.size(), digest.data(), nullptr, EVP_sha256(), nullptr) != 1)
    throw std::runtime_error{"SHA-256 is not available from OpenSSL"};
  namespace_hash out{};
  std::memcpy(out.data(), digest.data(), out.size());
  return out;
}

std::string entity_key(const namespace_hash& hash, entity_kind kind, std::string_view id) {
  std::string key;
  key.reserve(hash.size() + 1 + id.size());
  key.append(hash.data(), hash.size());
  key.push_back(static_cast<char>(kind));
  key.append(id);
  return key;
}

entity_key_parts split_entity_key(std::string_view key) {
  entity_key_parts out;
  std::copy_n(key.begin(), out.name_space.size(), out.name_space.begin());
  out.kind = static_cast<entity_kind>(static_cast<unsigned char>(key[out.name_space.size()]));
  out.id = key.substr(out.name_space.size() + 1);
  return out;
}

std::size_t encoded_size(const record& what) noexcept {
  return record_header_bytes + what.id.size() + what.payload.size();
}

void encode_record(char* out, std::string_view key, const record& what) noexcept {
  std::memcpy(out, magic.data(), magic.size());
  put_le(out + at_version, current_record_version);
  put_le(out + at_type, static_cast<std::uint8_t>(what.type));
  put_le(out + at_flags, what.flags);
  put_le(out + at_payload_bytes, static_cast<std::uint32_t>(what.payload.size()));
  put_le(out + at_checksum, std::uint32_t{0});
  put_le(out + at_epoch, what.epoch);
  put_le(out + at_sequence, what.sequence);
  std::memcpy(out + at_name_space, what.name_space.data(), what.name_space.size());
  put_le(out + at_shard, what.shard);
  put_le(out + at_id_bytes, static_cast<std::uint16_t>(what.id.size()));
  put_le(out + at_kind, static_cast<std::uint8_t>(what.kind));
  std::memset(out + at_zero, 0, at_previous - at_zero);
  put_le(out + at_previous, what.previous);
  std::copy(what.id.begin(), what.id.end(), out + record_header_bytes);
  std::copy(what.payload.begin(), what.payload.end(), out + record_header_bytes + what.id.size());
  put_le(out + at_checksum, checksum(key, {out, encoded_size(what)}));
}

expected<record> decode_record(std::string_view key, std::string_view bytes, record_type type,
                               verify depth) {
  if (bytes.size() < record_header_bytes || !bytes.starts_with(magic))
    return fail(errc::damaged, "it does not begin as a record does");
  const char* in = bytes.data();
  if (depth == verify::checksum && get_le<std::uint32_t>(in + at_checksum) != checksum(key, bytes))
    return fail(errc::damaged, "its checksum does not match");
  if (const auto version = get_le<std::uint8_t>(in + at_version); version > current_record_version)
    return fail(errc::newer_format, "its format version is " + std::to_string(version)
                                        + "; this build reads up to "
                                        + std::to_string(current_record_version));
  else if (version < oldest_record_version)
    return fail(errc::damaged, "its format version is not read any more");

  record out;
  out.flags = get_le<std::uint16_t>(in + at_flags);
  if ((out.flags & ~known_record_flags) != 0)
    return fail(errc::newer_format, "it has a flag that this build does not know");
  out.type = type_of(bytes);
  if (out.type != type)
    return fail(errc::newer_format, "it is of a type that this build does not expect there");
  out.epoch = get_le<std::uint64_t>(in + at_epoch);
  out.sequence = get_le<std::uint64_t>(in + at_sequence);
  out.previous = get_le<std::uint64_t>(in + at_previous);
  std::memcpy(out.name_space.data(), in + at_name_space, out.name_space.size());
  out.shard = get_le<std::uint16_t>(in + at_shard);
  const auto kind = get_le<std::uint8_t>(in + at_kind);
  if (kind < static_cast<std::uint8_t>(entity_kind::session)
      || kind > static_cast<std::uint8_t>(entity_kind::global))
    return fail(errc::newer_format, "it is of an entity kind that this build does not know");
  out.kind = static_cast<entity_kind>(kind);
  const std::size_t id_bytes = get_le<std::uint16_t>(in + at_id_bytes);
  const std::size_t payload_bytes = get_le<std::uint32_t>(in + at_payload_bytes);
  const bool zero =
      std::all_of(in + at_zero, in + at_previous, [](char byte) { return byte == 0; });
  if (id_bytes == 0 || id_bytes > max_id_bytes || !zero || out.sequence == 0
      || bytes.size() != record_header_bytes + id_bytes + payload_bytes)
    return fail(errc::damaged, "its lengths do not match");
  out.id = bytes.substr(record_header_bytes, id_bytes);
  out.payload = bytes.substr(record_header_bytes + id_bytes);
  return out;
}

record_type type_of(std::string_view bytes) noexcept {
  return bytes.size() > at_type ? static_cast<record_type>(bytes[at_type]) : record_type::change;
}

expected<std::vector<std::string_view>> split_set(std::string_view payload) {
  std::vector<std::string_view> out;
  while (!payload.empty()) {
    if (payload.size() < record_header_bytes)
      return fail(errc::damaged, "a set of changes is cut off");
    const std::size_t size = record_header_bytes
                             + get_le<std::uint16_t>(payload.data() + at_id_bytes)
                             + get_le<std::uint32_t>(payload.data() + at_payload_bytes);
    if (size > payload.size())
      return fail(errc::damaged, "a set of changes is cut off");
    out.push_back(payload.substr(0, size));
    payload.remove_prefix(size);
  }
  return out;
}

}  // namespace troupe::internal
