/// Two JSON documents, a target and a patch with a line feed between them: the merge is that of RFC
/// 7396.

#include <troupe/state/merge_patch.hpp>

#include "fuzz/documents.hpp"

#include <cstdint>

using namespace troupe;
using namespace troupe::fuzz;

namespace {

/// Nulls of the result that do not stand inside an array come from the target's same place.
void require_no_new_null(std::optional<value_view> target, value_view result) {
  for (auto c = result.children(); c.next();) {
    const auto old = target ? target->find(c.key()) : std::nullopt;
    if (c.item().is_null())
      require(old && old->is_null(), "a patch does not bring a null member");
    else if (c.item().type() == value_type::map)
      require_no_new_null(old, c.item());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text{reinterpret_cast<const char*>(data), size};
  const auto cut = text.find('\n');
  const auto target = value_from_json(text.substr(0, cut));
  const auto patch = value_from_json(cut == text.npos ? "{}" : text.substr(cut + 1));
  if (!target || !patch)
    return 0;
  const auto merged = merge_patch(*target, *patch);
  require_canonical(merged);
  require(merged.bytes() == testing::naive_merge(*target, *patch).bytes(),
          "a merge is the naive one");
  require(merge_patch(merged, *patch).bytes() == merged.bytes(), "a second merge changes nothing");
  require(merge_patch(*target, value::map({})).bytes()
              == (target->type() == value_type::map ? *target : value::map({})).bytes(),
          "an empty patch changes no map");
  require(merge_patch(*patch, *patch).bytes() == merge_patch(value{}, *patch).bytes(),
          "a patch of itself is the patch without nulls");
  if (patch->type() == value_type::map)
    require_no_new_null(*target, merged);
  return 0;
}
