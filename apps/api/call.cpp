#include "api/call.hpp"

#include <troupe/state/digest.hpp>
#include <troupe/state/json.hpp>

#include "api/status.hpp"

#include <charconv>
#include <utility>

namespace troupe::api {

namespace {

constexpr std::size_t max_key_text = 256;  // of an Idempotency-Key; then: malformed
constexpr std::size_t usual_headers = 4;   // of an answer, the id of its request among them

std::optional<std::uint64_t> whole_number(std::string_view text) {
  std::uint64_t out = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (code != std::errc{} || end != text.data() + text.size())
    return std::nullopt;
  return out;
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t'))
    text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t'))
    text.remove_suffix(1);
  return text;
}

/// Calls `visit(part)` for each part between commas until it answers false.
template <class F>
void for_parts(std::string_view list, F&& visit) {
  while (true) {
    const auto comma = list.find(',');
    if (!visit(trimmed(list.substr(0, comma))) || comma == std::string_view::npos)
      return;
    list.remove_prefix(comma + 1);
  }
}

bool accepts_msgpack(const http::request& request) {
  const auto* header = request.find_header("Accept");
  bool out = false;
  if (header)
    for_parts(*header, [&](std::string_view type) {
      type = trimmed(type.substr(0, type.find(';')));
      out = http::iequals(type, "application/msgpack");
      return !out && !http::iequals(type, "application/json");
    });
  return out;
}

std::string_view name_of(durability level) {
  switch (level) {
    case durability::memory: return "memory";
    case durability::relaxed: return "relaxed";
    case durability::durable: return "durable";
  }
  return "durable";
}

/// `Prefer: durability=relaxed`; nothing without it.
expected<std::optional<durability>> preferred(const http::request& request) {
  std::optional<durability> out;
  bool known = true;
  for (const auto& header : request.headers) {
    if (!http::iequals(header.name, "Prefer"))
      continue;
    for_parts(header.value, [&](std::string_view part) {
      constexpr std::string_view name = "durability=";
      if (!part.starts_with(name))
        return true;
      part.remove_prefix(name.size());
      known = false;
      for (const auto level : {durability::memory, durability::relaxed, durability::durable}) {
        if (part == name_of(level)) {
          out = level;
          known = true;
        }
      }
      return known;
    });
  }
  if (!known)
    return fail(errc::malformed, "Prefer: durability= is memory, relaxed or durable");
  return out;
}

/// RFC 8259 has no other; a charset may be named and quoted.
bool in_utf8(const http::request& request) {
  const auto* header = request.find_header("Content-Type");
  std::string_view rest = header != nullptr ? std::string_view{*header} : std::string_view{};
  while (rest.find(';') != rest.npos) {
    rest.remove_prefix(rest.find(';') + 1);
    const auto one = trimmed(rest.substr(0, rest.find(';')));
    const auto equals = one.find('=');
    if (equals == one.npos || !http::iequals(one.substr(0, equals), "charset"))
      continue;
    auto name = one.substr(equals + 1);
    if (name.size() >= 2 && name.front() == '"' && name.back() == '"')
      name = name.substr(1, name.size() - 2);
    if (!http::iequals(name, "utf-8"))
      return false;
  }
  return true;
}

}  // namespace

answer revision_answer(const outcome& done) {
  return to_answer(revision_body{done.revision}, done.revision);
}

answer deleted_answer(const outcome& done) {
  return {204, {}, done.revision, {}};
}

void call::refuse(const error& why) {
  respond_(to_response(why));
}

void call::send(answer what) {
  http::response out{.status = what.status, .headers = std::move(what.headers)};
  out.headers.reserve(usual_headers);
  if (what.etag)
    out.headers.push_back({"ETag", '"' + std::to_string(*what.etag) + '"'});
  if (!what.body.empty() && accepts_msgpack(request)) {
    out.content_type = "application/msgpack";
    out.body = std::move(what.body);
  } else if (!what.body.empty()) {
    out.body.reserve(what.body.size() + what.body.size() / 4 + 64);
    append_json(out.body, value_view::whole(what.body));
  }
  respond_(std::move(out));
}

std::string_view call::media_type() const {
  const auto* header = request.find_header("Content-Type");
  if (!header)
    return {};
  const std::string_view type = *header;
  return trimmed(type.substr(0, type.find(';')));
}

expected<value> call::body(std::string_view also_json) const {
  const auto type = media_type();
  if (!http::iequals(type, "application/msgpack") && !in_utf8(request))
    return fail(errc::unsupported_media_type,
                "JSON is UTF-8: send it so, and leave the charset out");
  const limits budget{.bytes = request.body.size()};  // the server bounded the body already
  if (http::iequals(type, "application/msgpack"))
    return value_from_msgpack(request.body, budget);
  if (!request.body.empty() && !http::iequals(type, "application/json")
      && (also_json.empty() || !http::iequals(type, also_json)))
    return fail(errc::unsupported_media_type,
                "send application/json or application/msgpack"
                    + (also_json.empty() ? std::string{} : " or " + std::string{also_json}));
  return value_from_json(request.body, budget);
}

error call::not_a_member(error why, std::string_view name) {
  return why.code == errc::unknown_field ? std::move(why) : internal::unknown_member(name).value();
}

expected<std::optional<std::uint64_t>> call::number(std::string_view name, std::uint64_t least,
                                                    std::uint64_t most) const {
  const auto* text = query(name);
  if (!text)
    return std::nullopt;
  const auto out = whole_number(*text);
  if (out && *out >= least && *out <= most)
    return out;
  error why{.code = errc::invalid_value,
            .message = '`' + std::string{name} + "` is a whole number from " + std::to_string(least)
                       + " to " + std::to_string(most),
            .path = std::string{name}};
  if (most != std::numeric_limits<std::uint64_t>::max())
    why.limit = most;
  return tl::unexpected(std::move(why));
}

expected<bool> call::flag(std::string_view name) const {
  const auto* text = query(name);
  if (!text || *text == "false")
    return false;
  if (*text == "true")
    return true;
  return fail(errc::invalid_value, '`' + std::string{name} + "` is true or false",
              std::string{name});
}

expected<bool> call::latest() const {
  const auto* text = query("consistency");
  if (!text || *text == "committed")
    return false;
  if (*text == "latest")
    return true;
  return fail(errc::invalid_value, "`consistency` is committed or latest", "consistency");
}

expected<std::optional<std::uint64_t>> call::if_match() const {
  const auto* header = request.find_header("If-Match");
  if (!header)
    return std::nullopt;
  if (http::count_header(request.headers, "If-Match") > 1)
    return fail(errc::malformed, "one If-Match at most");
  const std::string_view tag = *header;
  if (tag.size() > 2 && tag.front() == '"' && tag.back() == '"') {
    if (const auto revision = whole_number(tag.substr(1, tag.size() - 2)))
      return revision;
  }
  return fail(errc::malformed,
              "If-Match is one revision in quotes, as the ETag header gave it: \"42\"");
}

expected<bool> call::if_absent() const {
  const auto* header = request.find_header("If-None-Match");
  if (header && *header != "*")
    return fail(errc::malformed, "If-None-Match on PUT is `*`: create, or fail");
  return header != nullptr;
}

std::string call::new_id() const {
  const auto* key = request.find_header("Idempotency-Key");
  if (!key)
    return doors.random_id();
  sha256_hasher of;
  of.field("troupe/id").field(who.name_space).field(who.by.user).field(request.method);
  for (const auto& segment : target.segments)
    of.field(segment);
  return to_hex(of.field(*key).finish()).substr(0, 32);
}

expected<command> call::envelope() const {
  command out;
  const auto level = preferred(request);
  if (!level)
    return tl::unexpected(level.error());
  out.level = level->value_or(durability::durable);
  const auto* key = request.find_header("Idempotency-Key");
  if (!key)
    return out;
  if (http::count_header(request.headers, "Idempotency-Key") > 1 || key->empty()
      || key->size() > max_key_text)
    return fail(errc::malformed, "one Idempotency-Key of 1 to 256 bytes");
  sha256_hasher asked;
  asked.field(request.method).field(request.target).field(media_type()).field(request.body);
  out.once =
      idempotency{.principal = who.by.user, .key = *key, .body_hash = to_hex(asked.finish())};
  return out;
}

void read(const call_ptr& c, std::function<expected<answer>(const entity_state&)> shape) {
  const auto latest = c->latest();
  if (!latest)
    return c->refuse(latest.error());
  c->entity.read(*latest, [c, shape = std::move(shape)](expected<runtime::snapshot> state) {
    if (!state)
      return c->refuse(state.error());
    auto out = shape(**state);
    if (!out)
      return c->refuse(out.error());
    c->send(*std::move(out));
  });
}

void execute(const call_ptr& c, const entity_access& entity, std::vector<operation> what,
             std::optional<std::uint64_t> expected_revision,
             std::function<void(expected<command_result>)> done) {
  auto request = c->envelope();
  if (!request)
    return c->refuse(request.error());
  std::string{}.swap(c->request.body);  // was read, and the disk may take its time
  request->operations = std::move(what);
  request->expected_revision = expected_revision;
  entity.execute(*std::move(request), std::move(done));
}

void execute(const call_ptr& c, std::vector<operation> what,
             std::function<answer(const command_result&)> shape) {
  const auto expected_revision = c->if_match();
  if (!expected_revision)
    return c->refuse(expected_revision.error());
  execute(c, c->entity, std::move(what), *expected_revision,
          [c, shape = std::move(shape)](expected<command_result> result) {
            if (!result)
              return c->refuse(result.error());
            send_result(c, shape(*result), *result);
          });
}

void send_result(const call_ptr& c, answer what, const command_result& result) {
  what.headers.reserve(usual_headers);
  if (const auto level = preferred(c->request); level && *level)
    what.headers.push_back({"Preference-Applied", "durability=" + std::string{name_of(**level)}});
  what.headers.push_back({"Troupe-Durable", result.durable ? "true" : "false"});
  c->send(std::move(what));
}

}  // namespace troupe::api
