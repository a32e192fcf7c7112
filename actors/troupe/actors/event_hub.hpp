#pragma once

#include <troupe/actors/subscription.hpp>
#include <troupe/messages/event_messages.hpp>

#include <memory>

namespace troupe {

inline constexpr std::size_t max_subscriptions = 10'000;  // of a hub; then: busy

struct event_hub_options {
  store_actor store;
  std::shared_ptr<commit_feed> feed;  ///< that the store was started with
};

/// Starts the actor that hands committed changes to subscribers. It is the feed's one listener, and
/// the store tells nothing while nobody is subscribed.
event_hub_actor spawn_event_hub(caf::actor_system& system, event_hub_options options);

/// Begins a subscription; any thread. Without a cursor it gets every change that was not answered
/// yet when this returns. Errors: `malformed` (no cursor of such a stream), those of
/// `check_filter`.
expected<subscription> subscribe(const event_hub_actor& hub, const commit_feed& feed,
                                 subscribe_options options);

}  // namespace troupe
