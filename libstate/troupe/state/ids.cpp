#include <troupe/state/ids.hpp>
#include <troupe/state/value.hpp>

#include <cstdio>

namespace troupe {

namespace {

bool has_control_character(std::string_view text) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c < 0x20 || c == 0x7f)
      return true;
    if (c == 0xc2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xa0)
      return true;  // C1: U+0080 to U+009F
  }
  return false;
}

}  // namespace

std::string_view to_string(entity_kind kind) noexcept {
  switch (kind) {
    case entity_kind::session: return "session";
    case entity_kind::workflow: return "workflow";
    case entity_kind::team: return "team";
    case entity_kind::user: return "user";
    case entity_kind::global: return "global";
  }
  return "unknown";
}

expected<std::string> checked_id(std::string_view text) {
  if (text.empty())
    return fail(errc::bad_id, "an id is at least one byte long");
  if (text.size() > max_id_bytes)
    return tl::unexpected(error{
        .code = errc::bad_id, .message = "an id is at most 256 bytes long", .limit = max_id_bytes});
  if (!is_utf8(text))
    return fail(errc::bad_id, "an id is UTF-8");
  if (has_control_character(text))
    return fail(errc::bad_id, "an id has no control characters");
  return std::string{text};
}

std::string to_string(const entity_ref& ref) {
  std::string out = ref.name_space;
  out += '/';
  out += to_string(ref.kind);
  out += '/';
  out += ref.id;
  return out;
}

entity_ref session_ref(std::string id) {
  return {.name_space = "default", .kind = entity_kind::session, .id = std::move(id)};
}

std::string id_from_random(const std::array<std::uint64_t, 2>& bits) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string out(32, '0');
  auto* digit = out.data();
  for (const auto word : bits) {
    for (int shift = 60; shift >= 0; shift -= 4)
      *digit++ = digits[(word >> shift) & 15u];
  }
  return out;
}

}  // namespace troupe

std::size_t std::hash<troupe::entity_ref>::operator()(
    const troupe::entity_ref& ref) const noexcept {
  const auto mix = [](std::size_t a, std::size_t b) {
    return (a ^ b) * 0x9e3779b97f4a7c15ull + (a >> 29);
  };
  const std::hash<std::string_view> text;
  return mix(mix(text(ref.id), text(ref.name_space)), static_cast<std::size_t>(ref.kind));
}
