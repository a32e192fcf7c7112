#include <troupe/state/cache_key.hpp>

namespace troupe {

cache_key make_cache_key(const cache_key_parts& parts) {
  using namespace std::string_view_literals;
  sha256_hasher hasher;
  hasher.field("troupe/cache-key/1"sv).field(parts.name_space);
  // The marker makes "all users" another thing than the user with the empty name.
  if (parts.user)
    hasher.update("u"sv).field(*parts.user);
  else
    hasher.update("s"sv);
  hasher.field(parts.agent).field(parts.request).field(parts.permissions);
  return {hasher.finish()};
}

cache_id make_cache_id(const cache_key_parts& parts) {
  return {std::string{parts.name_space}, make_cache_key(parts)};
}

}  // namespace troupe
