#pragma once

/// How commits are told, and read again later. Not installed.

#include <troupe/messages/messages.hpp>
#include <troupe/persistence/store.hpp>

#include <span>

namespace troupe::internal {

/// Tells the feed what was made durable behind position `before`. Takes the requests' contents.
/// When the listener is too far behind, it is told only how far the journal has come.
void tell_commits(commit_feed& feed, std::uint64_t before, const store_stats& now,
                  std::span<commit_request> requests,
                  std::span<const expected<commit_receipt>> results);

/// Errors: as `store::for_each_record`. What is not kept is no error here.
expected<change_slice> read_slice(store& from, const read_changes& request);

}  // namespace troupe::internal
