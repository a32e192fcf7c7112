#include <troupe/persistence/internal/bytes.hpp>
#include <troupe/persistence/internal/crc32c.hpp>
#include <troupe/persistence/internal/record.hpp>

#include <doctest/doctest.h>

#include <string>

using namespace troupe;
using namespace troupe::internal;

namespace {

const std::string key = be64(0x0102030405060708);

record sample() {
  return {.type = record_type::change,
          .flags = 0,
          .shard = 0x0a0b,
          .epoch = 0x1112131415161718,
          .sequence = 0x2122232425262728,
          .previous = 0x3132333435363738,
          .name_space = hash_namespace("default"),
          .kind = entity_kind::team,
          .id = "an id",
          .payload = "payload"};
}

std::string encoded(const record& what) {
  std::string out(encoded_size(what), '?');
  encode_record(out.data(), key, what);
  return out;
}

/// Another byte in the header, and a checksum that agrees: what another version would write.
std::string with_byte(std::size_t at, unsigned char byte) {
  auto out = encoded(sample());
  out[at] = static_cast<char>(byte);
  auto blank = out;
  blank.replace(12, 4, 4, '\0');
  put_le(out.data() + 12, crc32c(blank, crc32c(key)));
  return out;
}

errc fault_of(std::string_view bytes, verify depth = verify::checksum) {
  const auto out = decode_record(key, bytes, record_type::change, depth);
  return out ? errc{} : out.error().code;
}

std::string hex(std::string_view bytes) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string out;
  for (const char byte : bytes) {
    out += digits[static_cast<unsigned char>(byte) >> 4];
    out += digits[static_cast<unsigned char>(byte) & 15];
  }
  return out;
}

}  // namespace

TEST_CASE("a record has the bytes that docs/on-disk-format.md says") {
  // The checksum was computed by another program, from the document.
  CHECK(hex(encoded(sample()))
        == "54525045"                          // TRPE
           "02" "01" "0000"                    // version, type, flags
           "07000000"                          // payload length
           "a70a1e6c"                        // checksum
           "1817161514131211"                  // epoch
           "2827262524232221"                  // sequence
           "37a8eec1ce19687d132fe29051dca629"  // SHA-256 of "default", first half
           "0b0a" "0500" "03" "000000"         // shard, id length, kind, zero
           "3837363534333231"                  // previous
           "616e206964"                        // an id
           "7061796c6f6164");                  // payload
}

TEST_CASE("a record is read back as it was written") {
  const auto bytes = encoded(sample());
  const auto out = decode_record(key, bytes, record_type::change);
  REQUIRE(out);
  CHECK(out->shard == sample().shard);
  CHECK(out->epoch == sample().epoch);
  CHECK(out->sequence == sample().sequence);
  CHECK(out->name_space == sample().name_space);
  CHECK(out->kind == sample().kind);
  CHECK(out->id == sample().id);
  CHECK(out->payload == sample().payload);
}

TEST_CASE("every flipped bit of a record is found as damage") {
  const auto bytes = encoded(sample());
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      auto flipped = bytes;
      flipped[at] = static_cast<char>(flipped[at] ^ (1 << bit));
      CHECK(fault_of(flipped) == errc::damaged);
    }
  }
}

TEST_CASE("a record that was cut or lengthened is damaged") {
  const auto bytes = encoded(sample());
  for (std::size_t size = 0; size < bytes.size(); ++size)
    CHECK(fault_of(std::string_view{bytes}.substr(0, size)) == errc::damaged);
  CHECK(fault_of(bytes + '\0') == errc::damaged);
}

TEST_CASE("a record under the key of another is damaged") {
  const auto bytes = encoded(sample());
  const auto out = decode_record(be64(0x0102030405060709), bytes, record_type::change);
  REQUIRE_FALSE(out);
  CHECK(out.error().code == errc::damaged);
}

TEST_CASE("what a newer version writes is refused by name and not taken for damage") {
  CHECK(fault_of(with_byte(4, current_record_version + 1)) == errc::newer_format);
  CHECK(fault_of(with_byte(5, 3)) == errc::newer_format);  // type
  for (int bit = 0; bit < 8; ++bit) {
    CHECK(fault_of(with_byte(6, static_cast<unsigned char>(1 << bit))) == errc::newer_format);
    CHECK(fault_of(with_byte(7, static_cast<unsigned char>(1 << bit))) == errc::newer_format);
  }
  CHECK(fault_of(with_byte(52, 6)) == errc::newer_format);  // kind
  CHECK(fault_of(with_byte(6, 1), verify::header) == errc::newer_format);
}

TEST_CASE("fields that no version writes are damaged even under a checksum that agrees") {
  CHECK(fault_of(with_byte(4, 0)) == errc::damaged);   // version 0
  CHECK(fault_of(with_byte(8, 6)) == errc::damaged);   // payload shorter than the record
  CHECK(fault_of(with_byte(50, 6)) == errc::damaged);  // id into the payload
  CHECK(fault_of(with_byte(55, 1)) == errc::damaged);  // zero bytes
}

TEST_CASE("only the header is believed when only the header is verified") {
  auto bytes = encoded(sample());
  bytes.back() = static_cast<char>(bytes.back() ^ 1);
  CHECK(fault_of(bytes) == errc::damaged);
  CHECK(fault_of(bytes, verify::header) == errc{});
}
