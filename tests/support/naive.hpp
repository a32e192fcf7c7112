#pragma once

/// The rules of values written again in the plainest way, to compare the real ones with: recursive,
/// slow, obvious.

#include <troupe/state/value.hpp>

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace troupe::testing {

using members = std::vector<std::pair<std::string, value>>;

inline members members_of(value_view map) {
  members out;
  for (auto c = map.children(); c.next();)
    out.emplace_back(std::string{c.key()}, value{c.item()});
  return out;
}

inline value map_of(const members& entries) {
  value_writer out;
  out.begin_map(entries.size());
  for (const auto& [key, item] : entries)
    out.string(key).raw(item);
  return out.finish();
}

inline value array_of(const std::vector<value>& items) {
  value_writer out;
  out.begin_array(items.size());
  for (const auto& item : items)
    out.raw(item);
  return out.finish();
}

inline bool naive_equal(value_view a, value_view b) {
  if (a.type() != b.type() || a.size() != b.size())
    return false;
  if (a.type() == value_type::array) {
    auto x = a.children(), y = b.children();
    while (x.next() && y.next()) {
      if (!naive_equal(x.item(), y.item()))
        return false;
    }
    return true;
  }
  if (a.type() != value_type::map)
    return a.bytes() == b.bytes();
  for (const auto& [key, item] : members_of(a)) {
    const auto other = b.find(key);
    if (!other || !naive_equal(item, *other))
      return false;
  }
  return true;
}

/// RFC 7396, section 2, line by line.
inline value naive_merge(std::optional<value> target, const value& patch) {
  if (patch.type() != value_type::map)
    return patch;
  members out;
  if (target && target->type() == value_type::map)
    out = members_of(*target);
  for (const auto& [name, item] : members_of(patch)) {
    auto at = out.begin();
    while (at != out.end() && at->first != name)
      ++at;
    if (item.is_null()) {
      if (at != out.end())
        out.erase(at);
    } else if (at != out.end()) {
      at->second = naive_merge(at->second, item);
    } else {
      out.emplace_back(name, naive_merge(std::nullopt, item));
    }
  }
  return map_of(out);
}

/// The same value with the keys of every map in reverse order.
inline value with_reversed_keys(value_view x) {
  if (x.type() == value_type::array) {
    std::vector<value> items;
    for (auto c = x.children(); c.next();)
      items.push_back(with_reversed_keys(c.item()));
    return array_of(items);
  }
  if (x.type() != value_type::map)
    return value{x};
  members out;
  for (auto& [key, item] : members_of(x))
    out.emplace(out.begin(), key, with_reversed_keys(item));
  return map_of(out);
}

}  // namespace troupe::testing
