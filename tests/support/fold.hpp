#pragma once

#include <troupe/state/folding.hpp>
#include <troupe/state/header.hpp>

#include <functional>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace troupe::testing {

/// What a store's fold makes of a whole snapshot and the changes behind it, put together again.
inline expected<std::string> fold_whole(std::string snapshot, std::vector<std::string> changes) {
  const auto folded = fold_entity({std::move(snapshot), {}, std::move(changes)});
  if (!folded)
    return tl::unexpected(folded.error());
  const auto& parts = folded->parts;
  const auto state = join_entity({parts.body, {parts.chunks.begin(), parts.chunks.end()}, {}});
  if (!state)
    return tl::unexpected(state.error());
  return encode(*state);
}

using text_fold = std::function<expected<std::string>(entity_kind kind, std::string_view body,
                                                      const std::vector<std::string>& changes)>;

/// A fold for payloads that are texts: `join` makes the next body of one and the changes behind it.
/// No earlier revision is promised.
inline auto fold_texts(text_fold join) {
  return [join = std::move(join)](entity_kind kind,
                                  const stored_parts& stored) -> expected<folded_entity> {
    auto body = join(kind, std::string_view{stored.body}, stored.changes);
    if (!body)
      return tl::unexpected(body.error());
    folded_entity out{.parts = {}, .first_revision = 1, .keep_from = 0, .pins = {}, .answers = {}};
    out.keep_from = std::numeric_limits<std::uint64_t>::max();
    out.parts.live = true;
    entity_header header;
    header.status = lifecycle::live;
    out.parts.header = encode(header);
    out.parts.body = *std::move(body);
    return out;
  };
}

}  // namespace troupe::testing
