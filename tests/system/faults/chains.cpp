#include "chains.hpp"

#include <troupe/state/header.hpp>

#include <algorithm>
#include <charconv>
#include <memory>

namespace troupe::faults {

namespace {

constexpr std::size_t body_bytes = 600;
constexpr std::size_t chunk_bytes = 5'000;

std::uint64_t mix(std::uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

/// Bytes that no other place has.
std::string filler(std::uint64_t seed, std::size_t size) {
  std::string out(size, '\0');
  std::uint64_t block = 0;
  for (std::size_t i = 0; i < size; ++i) {
    if (i % 8 == 0)
      block = mix(seed + i);
    out[i] = static_cast<char>(block >> (i % 8 * 8));
  }
  return out;
}

std::size_t filler_bytes(entity_kind kind, const chain& of) {
  switch (kind) {
    case entity_kind::session: return of.digest % 600;
    case entity_kind::workflow: return 1'500 + of.digest % 6'000;
    case entity_kind::team: return 20'000 + of.digest % 60'000;
    case entity_kind::user: return 50;
    case entity_kind::global: return 9'000;
  }
  return 0;
}

}  // namespace

chain applied(chain to, std::string_view payload) {
  for (const char c : payload)
    to.digest = (to.digest ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  return {to.sequence + 1, mix(to.digest + payload.size())};
}

std::string text_of(entity_kind kind, const chain& of) {
  return std::to_string(of.sequence) + ' ' + std::to_string(of.digest) + '\n'
         + filler(of.digest, filler_bytes(kind, of));
}

std::string text_of(const stored_parts& stored) {
  auto out = stored.body;
  for (const auto& chunk : stored.chunks)
    out += chunk;
  return out;
}

expected<folded_entity> fold_chains(entity_kind kind, const stored_parts& stored) {
  chain now;
  if (const auto text = text_of(stored); !text.empty()) {
    const auto* end = text.data() + text.size();
    const auto* at = std::from_chars(text.data(), end, now.sequence).ptr;
    if (at != end)
      std::from_chars(at + 1, end, now.digest);
    if (text != text_of(kind, now))
      return fail(errc::damaged, "a snapshot is none that was written");
  }
  for (const auto& change : stored.changes)
    now = applied(now, change);

  const auto text = std::make_shared<const std::string>(text_of(kind, now));
  folded_entity out;
  out.first_revision = 1;
  out.keep_from = now.sequence - std::min<std::uint64_t>(now.sequence - 1, 4);
  if (now.sequence > 10)
    out.pins = {now.sequence / 10 * 10};
  out.parts.revision = now.sequence;
  out.parts.live = true;
  entity_header header;
  header.status = lifecycle::live;
  header.revision = now.sequence;
  out.parts.header = encode(header);
  out.parts.body = text->substr(0, body_bytes);
  for (auto at = body_bytes; at < text->size(); at += chunk_bytes)
    out.parts.chunks.push_back(std::string_view{*text}.substr(at, chunk_bytes));
  out.parts.owner = text;
  return out;
}

}  // namespace troupe::faults
