#include "api/decode.hpp"

#include <troupe/state/json.hpp>

#include <algorithm>
#include <charconv>
#include <initializer_list>
#include <string>

namespace troupe::api {

namespace {

constexpr std::string_view ops_type = "application/vnd.troupe.ops+json";

std::string_view media_type(const http::request& request) {
  const auto* header = request.find_header("Content-Type");
  if (!header)
    return {};
  std::string_view type = *header;
  type = type.substr(0, type.find(';'));
  while (!type.empty() && type.back() == ' ')
    type.remove_suffix(1);
  return type;
}

/// A pointer token; only for names this file knows, which need no escapes.
std::string at(std::string_view parent, std::string_view name) {
  return std::string{parent} + '/' + std::string{name};
}

std::string escaped_at(std::string_view parent, std::string_view key) {
  std::string out{parent};
  append_json_pointer(out, key);
  return out;
}

expected<void> check_fields(value_view map, std::string_view path,
                            std::initializer_list<std::string_view> known,
                            std::initializer_list<std::string_view> not_yet = {}) {
  if (map.type() != value_type::map)
    return fail(errc::wrong_type, "expected an object, got " + std::string{to_string(map.type())},
                std::string{path});
  for (auto member = map.children(); member.next();) {
    const auto is = [&](std::string_view name) { return name == member.key(); };
    if (std::any_of(not_yet.begin(), not_yet.end(), is))
      return fail(errc::not_supported, "this version does not have this field yet",
                  escaped_at(path, member.key()));
    if (std::none_of(known.begin(), known.end(), is))
      return fail(errc::unknown_field, "no such field here", escaped_at(path, member.key()));
  }
  return {};
}

expected<std::string> text_field(value_view map, std::string_view path, std::string_view name) {
  const auto field = map.find(name);
  if (!field)
    return fail(errc::wrong_type, "this field is required", at(path, name));
  const auto text = field->as_string();
  if (!text)
    return fail(errc::wrong_type, "expected a string", at(path, name));
  return std::string{*text};
}

expected<state_op> decode_op(value_view op, const std::string& path) {
  if (op.type() != value_type::map)
    return fail(errc::wrong_type, "an operation is an object", path);
  const auto name = text_field(op, path, "op");
  if (!name)
    return tl::unexpected(name.error());
  const bool set = *name == "set";
  if (!set && *name != "delete") {
    for (const auto* known : {"add", "union", "append", "cas"}) {
      if (*name == known)
        return fail(errc::not_supported, "this version has `set` and `delete` only",
                    at(path, "op"));
    }
    return fail(errc::invalid_value, "no such operation", at(path, "op"));
  }
  auto fields =
      set ? check_fields(op, path, {"op", "key", "value"}) : check_fields(op, path, {"op", "key"});
  if (!fields)
    return tl::unexpected(fields.error());
  auto key = text_field(op, path, "key");
  if (!key)
    return tl::unexpected(key.error());
  if (!set)
    return delete_key{*std::move(key)};
  const auto data = op.find("value");
  if (!data)
    return fail(errc::wrong_type, "this field is required", at(path, "value"));
  return set_key{*std::move(key), value{*data}};
}

expected<std::uint64_t> number(const http::query_parameter& parameter) {
  std::uint64_t out = 0;
  const auto& text = parameter.value;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (code != std::errc{} || end != text.data() + text.size())
    return fail(errc::invalid_value,
                "`" + parameter.name + "` is a whole number from 0 to 18446744073709551615",
                parameter.name);
  return out;
}

}  // namespace

expected<value> json_body(const http::request& request, std::string_view also) {
  if (request.body.empty())
    return value{};
  const auto type = media_type(request);
  if (!http::iequals(type, "application/json") && (also.empty() || !http::iequals(type, also)))
    return fail(
        errc::unsupported_media_type,
        "send application/json" + (also.empty() ? std::string{} : " or " + std::string{also}));
  return value_from_json(request.body,
                         {.bytes = request.body.size()});  // the server bounded the body already
}

expected<create> decode_create(const http::request& request) {
  auto body = json_body(request);
  if (!body)
    return tl::unexpected(body.error());
  create out;
  if (request.body.empty())
    return out;
  if (auto ok =
          check_fields(*body, "", {"user", "metadata"}, {"team", "workflow", "ttl_s", "schema"});
      !ok)
    return tl::unexpected(ok.error());
  if (body->view().find("user")) {
    auto user = text_field(*body, "", "user");
    if (!user)
      return tl::unexpected(user.error());
    auto id = checked_id(*user);
    if (!id)
      return fail(errc::bad_id, id.error().message, "/user");
    out.info.user = *std::move(id);
  }
  if (const auto metadata = body->view().find("metadata"))
    out.info.metadata = value{*metadata};
  return out;
}

expected<append_items> decode_append(const http::request& request) {
  auto body = json_body(request);
  if (!body)
    return tl::unexpected(body.error());
  if (auto ok = check_fields(*body, "", {"items"}); !ok)
    return tl::unexpected(ok.error());
  const auto items = body->view().find("items");
  if (!items || items->type() != value_type::array)
    return fail(errc::wrong_type, "`items` is an array of objects", "/items");
  append_items out;
  out.items.reserve(items->size());
  for (auto item = items->children(); item.next();)
    out.items.emplace_back(item.item());
  return out;
}

expected<operation> decode_patch(const http::request& request) {
  if (!http::iequals(media_type(request), ops_type)) {
    auto patch = json_body(request, "application/merge-patch+json");
    if (!patch)
      return tl::unexpected(patch.error());
    return merge_state{*std::move(patch)};
  }
  auto body = json_body(request, ops_type);
  if (!body)
    return tl::unexpected(body.error());
  if (auto ok = check_fields(*body, "", {"ops"}); !ok)
    return tl::unexpected(ok.error());
  const auto ops = body->view().find("ops");
  if (!ops || ops->type() != value_type::array)
    return fail(errc::wrong_type, "`ops` is an array of operations", "/ops");
  patch_state out;
  for (auto op = ops->children(); op.next();) {
    auto decoded = decode_op(op.item(), "/ops/" + std::to_string(out.ops.size()));
    if (!decoded)
      return tl::unexpected(decoded.error());
    out.ops.push_back(*std::move(decoded));
  }
  return out;
}

expected<std::optional<std::uint64_t>> decode_if_match(const http::request& request) {
  const auto* header = request.find_header("If-Match");
  if (!header)
    return std::nullopt;
  if (http::count_header(request.headers, "If-Match") > 1)
    return fail(errc::malformed, "one If-Match at most");
  const std::string_view tag = *header;
  std::uint64_t revision = 0;
  if (tag.size() > 2 && tag.front() == '"' && tag.back() == '"') {
    const auto [end, code] = std::from_chars(tag.data() + 1, tag.data() + tag.size() - 1, revision);
    if (code == std::errc{} && end == tag.data() + tag.size() - 1)
      return revision;
  }
  return fail(errc::malformed,
              "If-Match is one revision in quotes, as the ETag header gave it: \"42\"");
}

expected<item_page> decode_item_page(const http::parsed_target& target) {
  item_page out;
  int starts = 0;
  for (const auto& parameter : target.query) {
    const bool cursor = parameter.name == "after" || parameter.name == "cursor";
    const bool limit = parameter.name == "limit";
    if (!cursor && !limit && parameter.name != "last" && parameter.name != "before") {
      for (const auto* known : {"max_bytes", "pair_safe", "q"}) {
        if (parameter.name == known)
          return fail(errc::not_supported, "this version does not have this parameter yet",
                      parameter.name);
      }
      return fail(errc::unknown_field, "no such query parameter here", parameter.name);
    }
    const auto x = number(parameter);
    if (!x)
      return tl::unexpected(x.error());
    if ((limit || parameter.name == "last") && (*x == 0 || *x > max_page_items))
      return tl::unexpected(error{.code = errc::invalid_value,
                                  .message = "a page has 1 to 1,000 items",
                                  .path = parameter.name,
                                  .limit = max_page_items});
    if (limit) {
      out.limit = *x;
      continue;
    }
    ++starts;
    (cursor ? out.after : parameter.name == "last" ? out.last : out.before) = *x;
  }
  if (starts > 1)
    return fail(errc::invalid_value, "give one of `last`, `after` and `before`");
  return out;
}

expected<void> no_query(const http::parsed_target& target) {
  if (!target.query.empty())
    return fail(errc::unknown_field, "no such query parameter here", target.query.front().name);
  return {};
}

}  // namespace troupe::api
