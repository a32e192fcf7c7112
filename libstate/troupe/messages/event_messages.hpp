#pragma once

/// Every message and actor interface of the events, on one page. As in messages.hpp: messages stay
/// inside one process, and a handler answers with the result its signature names or with a
/// `caf::error` that carries a `troupe::error`. What the store tells and is asked for is in
/// messages.hpp.

#include <troupe/messages/messages.hpp>
#include <troupe/state/event_stream.hpp>

#include <cstdint>
#include <memory>

namespace troupe {

namespace internal {
class event_queue;
}

/// A subscription begins; what it gets goes into its queue.
struct begin_subscription {
  std::shared_ptr<internal::event_queue> queue;
  event_filter filter;
  stream_start from;
};

/// A subscription to the hub: there is room for what is read from the journal, or nobody listens
/// any more.
struct subscription_signal {
  std::uint64_t id = 0;
  bool closed = false;
};

}  // namespace troupe

#define TROUPE_LOCAL_MESSAGE(type) CAF_ALLOW_UNSAFE_MESSAGE_TYPE(type)
TROUPE_LOCAL_MESSAGE(troupe::begin_subscription)
TROUPE_LOCAL_MESSAGE(troupe::subscription_signal)
#undef TROUPE_LOCAL_MESSAGE

// Ids are fixed by their order: append, never reorder.
CAF_BEGIN_TYPE_ID_BLOCK(troupe_events, caf::first_custom_type_id + 300)
  CAF_ADD_TYPE_ID(troupe_events, (troupe::begin_subscription))
  CAF_ADD_TYPE_ID(troupe_events, (troupe::subscription_signal))
CAF_END_TYPE_ID_BLOCK(troupe_events)

namespace troupe {

/// Tells subscribers of committed changes, and reads for them what they missed. A subscription's
/// faults reach its queue. Drained when all that was told before is in the queues, which have ended
/// then.
using event_hub_actor =
    caf::typed_actor<caf::result<void>(committed_batch), caf::result<void>(begin_subscription),
                     caf::result<void>(subscription_signal), caf::result<void>(drain)>;

}  // namespace troupe
