#pragma once

/// The messages of the actor that cleans up. As in messages.hpp, none leaves the process.

#include <troupe/messages/messages.hpp>
#include <troupe/state/cleanup.hpp>

namespace troupe {

/// From a host thread. Walks run one after another, in the order they were asked for.
struct host_cleanup {
  cleanup what;
  bool everything = false;  ///< whatever its age, its use and its forks
  completion<cleanup_report> done;
};

/// To itself: the policy's next walk is due.
struct cleanup_due {};

}  // namespace troupe

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(troupe::host_cleanup)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(troupe::cleanup_due)

// Ids are fixed by their order: append, never reorder. Room is left for those of the pages before.
CAF_BEGIN_TYPE_ID_BLOCK(troupe_cleanup, caf::first_custom_type_id + 200)
  CAF_ADD_TYPE_ID(troupe_cleanup, (troupe::host_cleanup))
  CAF_ADD_TYPE_ID(troupe_cleanup, (troupe::cleanup_due))
CAF_END_TYPE_ID_BLOCK(troupe_cleanup)

namespace troupe {

/// Walks the store's list and deletes by the supervisor. Answers by the callback.
using cleaner_actor =
    caf::typed_actor<caf::result<void>(host_cleanup), caf::result<void>(cleanup_due)>;

}  // namespace troupe
