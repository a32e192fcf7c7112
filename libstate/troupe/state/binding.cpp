#include <troupe/state/binding.hpp>
#include <troupe/state/json.hpp>

namespace troupe::internal {

namespace {

std::string_view with_article(value_type type) {
  switch (type) {
    case value_type::null: return "null";
    case value_type::boolean: return "a boolean";
    case value_type::integer: return "an integer";
    case value_type::real: return "a real";
    case value_type::string: return "a string";
    case value_type::binary: return "bytes";
    case value_type::array: return "an array";
    case value_type::map: return "an object";
  }
  return "nothing known";
}

/// Short enough to be shown, else only its type.
std::string shown(value_view found) {
  auto json = to_json(found);
  return json.size() <= 60 ? json : std::string{with_article(found.type())};
}

}  // namespace

unexpected wrong_type(std::string_view wanted, value_view found) {
  return fail(errc::wrong_type, std::string{wanted} + " is expected, found "
                                    + std::string{with_article(found.type())});
}

unexpected out_of_range(std::int64_t least, std::uint64_t most, value_view found) {
  return fail(errc::invalid_value, "an integer of " + std::to_string(least) + " to "
                                       + std::to_string(most) + " is expected, found "
                                       + shown(found));
}

unexpected unknown_name(const std::vector<std::string_view>& names, value_view found) {
  std::string all;
  for (const auto name : names)
    all += (all.empty() ? "" : ", ") + std::string{name};
  return fail(errc::invalid_value, "one of " + all + " is expected, found " + shown(found));
}

unexpected inside(error below, std::string_view member) {
  std::string path;
  append_json_pointer(path, member);
  below.path.insert(0, path);
  return unexpected{std::move(below)};
}

unexpected absent(std::string_view member) {
  return inside({.code = errc::wrong_type, .message = '`' + std::string{member} + "` is missing"},
                member);
}

unexpected unknown_member(std::string_view member) {
  return inside({.code = errc::unknown_field, .message = "there is no member of this name"},
                member);
}

unexpected no_key(std::string_view name) {
  return inside({.code = errc::not_found, .message = "there is no key of this name"}, name);
}

expected<timestamp> time_from(value_view x) {
  const auto text = x.as_string();
  if (!text)
    return wrong_type("a string", x);
  if (const auto at = from_rfc3339(*text))
    return *at;
  return fail(errc::invalid_value,
              "a time like \"2026-01-02T03:04:05.678Z\" is expected, found " + shown(x));
}

}  // namespace troupe::internal
