#include "api/conditional.hpp"

#include <algorithm>
#include <utility>

namespace troupe::api {

namespace {

/// One entity tag of a list, without what says that it is a weak one.
std::string_view opaque(std::string_view tag) {
  const auto first = tag.find_first_not_of(" \t");
  if (first == tag.npos)
    return {};
  tag = tag.substr(first, tag.find_last_not_of(" \t") - first + 1);
  return tag.starts_with("W/") ? tag.substr(2) : tag;
}

bool names(std::string_view list, std::string_view tag) {
  while (true) {
    const auto comma = list.find(',');
    if (opaque(list.substr(0, comma)) == tag)
      return true;
    if (comma == list.npos)
      return false;
    list.remove_prefix(comma + 1);
  }
}

}  // namespace

answer unless_known(const call& c, answer what) {
  if (!what.etag)
    return what;
  const auto tag = '"' + std::to_string(*what.etag) + '"';
  const auto known = [&](const http::header& one) {
    return http::iequals(one.name, "If-None-Match") && (one.value == "*" || names(one.value, tag));
  };
  if (!std::ranges::any_of(c.request.headers, known))
    return what;
  return {304, {}, what.etag, std::move(what.headers)};
}

}  // namespace troupe::api
