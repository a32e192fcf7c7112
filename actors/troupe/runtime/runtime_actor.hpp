#pragma once

#include <troupe/messages/cache_messages.hpp>
#include <troupe/messages/messages.hpp>
#include <troupe/runtime/runtime.hpp>

#include <functional>
#include <memory>

/// The embedding API for hosts that are actors themselves: the third form beside blocking and
/// calling back. A host that brings its own `caf::actor_system` names it in
/// `runtime_options::system`; scheduler and threads are the host's to set then.
///
///     troupe::init_messages();       // before the first actor system
///     caf::actor_system system{config};
///     auto opened = troupe::runtime::open({.data = "data", .system = &system});
namespace troupe {

/// Takes commands and reads from any actor. A failed request is a `caf::error`: `from_caf` tells
/// the `troupe::error` in it, whose codes are those of `runtime::execute`. Once the runtime is
/// closed: `busy`.
using runtime_actor =
    caf::typed_actor<caf::result<command_result>(command), caf::result<state_snapshot>(get_state)>;

/// Messages of a host begin here: `CAF_BEGIN_TYPE_ID_BLOCK(host, ::troupe::first_host_type_id)`.
inline constexpr caf::type_id_t first_host_type_id = caf::first_custom_type_id + 1'000;
static_assert(caf::id_block::troupe::end <= first_host_type_id
              && caf::id_block::troupe_cache::end <= first_host_type_id);

class store;

namespace internal {
struct node_parts;
using store_wrapper = std::function<std::unique_ptr<store>(std::unique_ptr<store>)>;
struct actor_access {
  static runtime_actor of(const runtime& which);
  static expected<node_parts> parts_of(runtime& which);
  /// As `runtime::open`; see faults.hpp.
  static expected<std::unique_ptr<runtime>> open(runtime_options options,
                                                 const store_wrapper& around);
};
}  // namespace internal

[[nodiscard]] inline runtime_actor actor_of(const runtime& which) {
  return internal::actor_access::of(which);
}

}  // namespace troupe
