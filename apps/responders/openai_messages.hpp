#pragma once

/// What the openai responder says to itself. Internal.

#include "responders/fetch.hpp"
#include "responders/responder_actor.hpp"

namespace troupe::responders {

/// The pause behind an attempt is over.
struct try_again {
  std::uint64_t number = 0;
};

/// From the fetcher: a part of an answer, and its end, behind which nothing comes.
struct fetched_bytes {
  std::uint64_t number = 0;
  fetch_head head{};
  std::string bytes{};
};
struct fetched_all {
  std::uint64_t number = 0;
  fetch_end how{};
};

using openai_actor =
    responder_actor::extend<caf::result<void>(try_again), caf::result<void>(fetched_bytes),
                            caf::result<void>(fetched_all)>;

}  // namespace troupe::responders

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(troupe::responders::try_again)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(troupe::responders::fetched_bytes)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(troupe::responders::fetched_all)

CAF_BEGIN_TYPE_ID_BLOCK(troupe_openai, ::caf::id_block::troupe_responders::end)
  CAF_ADD_TYPE_ID(troupe_openai, (troupe::responders::try_again))
  CAF_ADD_TYPE_ID(troupe_openai, (troupe::responders::fetched_bytes))
  CAF_ADD_TYPE_ID(troupe_openai, (troupe::responders::fetched_all))
CAF_END_TYPE_ID_BLOCK(troupe_openai)
