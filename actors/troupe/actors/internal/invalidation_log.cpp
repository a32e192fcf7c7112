#include <troupe/actors/internal/invalidation_log.hpp>

#include <algorithm>
#include <utility>

namespace troupe::internal {

bool matches(const cache_invalidation& what, std::string_view name_space, const cache_key& key,
             const cache_content& content) {
  if (what.name_space != name_space)
    return false;
  if (const auto* one = std::get_if<cache_key>(&what.what))
    return *one == key;
  const auto* with = std::get_if<cache_invalidation::labelled>(&what.what);
  if (with == nullptr)
    return true;
  if (with->text.empty())
    return false;
  switch (with->label) {
    case cache_label::agent: return content.agent == with->text;
    case cache_label::owner: return content.owner == with->text;
    case cache_label::content_hash: return content.content_hash == with->text;
    case cache_label::tag:
      return std::find(content.tags.begin(), content.tags.end(), with->text) != content.tags.end();
  }
  return false;
}

void invalidation_log::add(cache_invalidation what) {
  ++newest_;
  kept_.push_back(std::move(what));
  if (kept_.size() > max_kept)
    kept_.pop_front();
}

std::uint64_t invalidation_log::newest_match(std::uint64_t begun, std::string_view name_space,
                                             const cache_key& key,
                                             const cache_content& content) const {
  auto number = newest_;
  for (auto at = kept_.rbegin(); at != kept_.rend() && number > begun; ++at, --number) {
    if (matches(*at, name_space, key, content))
      return number;
  }
  return number > begun ? number : 0;
}

}  // namespace troupe::internal
