#include <troupe/state/merge_patch.hpp>

#include <algorithm>
#include <optional>
#include <string_view>
#include <vector>

namespace troupe {

namespace {

/// One entry of a merged map: what stays, what comes, or both.
struct member {
  std::string_view key;
  std::optional<value_view> target;
  std::optional<value_view> patch;
};

/// The entries that the merge of a target (merged only if it is a map) and a patch has, in order.
/// O(n log n).
std::vector<member> merged_members(std::optional<value_view> target, value_view patch) {
  std::vector<member> out;
  if (target && target->type() == value_type::map) {
    for (auto c = target->children(); c.next();)
      out.push_back({c.key(), c.item(), {}});
  }
  std::vector<std::size_t> by_key(out.size());
  for (std::size_t i = 0; i < by_key.size(); ++i)
    by_key[i] = i;
  std::sort(by_key.begin(), by_key.end(), [&](auto a, auto b) { return out[a].key < out[b].key; });
  const auto old_size = by_key.size();
  for (auto c = patch.children(); c.next();) {
    const auto at =
        std::lower_bound(by_key.begin(), by_key.begin() + static_cast<std::ptrdiff_t>(old_size),
                         c.key(), [&](auto i, std::string_view key) { return out[i].key < key; });
    if (at != by_key.end() && out[*at].key == c.key())
      out[*at].patch = c.item();
    else
      out.push_back({c.key(), {}, c.item()});
  }
  std::erase_if(out, [](const member& m) { return m.patch && m.patch->is_null(); });
  return out;
}

}  // namespace

value merge_patch(value_view target, value_view patch) {
  if (patch.type() != value_type::map)
    return value{patch};
  struct frame {
    std::vector<member> members;
    std::size_t next = 0;
  };
  value_writer out;
  std::vector<frame> open;  // explicit, so that input cannot deepen the call stack
  const auto enter = [&](std::optional<value_view> old, value_view map) {
    open.push_back({merged_members(old, map)});
    out.begin_map(open.back().members.size());
  };
  enter(target, patch);
  while (!open.empty()) {
    auto& top = open.back();
    if (top.next == top.members.size()) {
      open.pop_back();
      continue;
    }
    const auto entry = top.members[top.next++];
    out.string(entry.key);
    if (!entry.patch)
      out.raw(*entry.target);
    else if (entry.patch->type() == value_type::map)
      enter(entry.target, *entry.patch);  // also drops the nulls of a new map
    else
      out.raw(*entry.patch);
  }
  return out.finish();
}

}  // namespace troupe
