#include <troupe/messages/cache_messages.hpp>
#include <troupe/messages/cleanup_messages.hpp>
#include <troupe/messages/event_messages.hpp>
#include <troupe/messages/messages.hpp>
#include <troupe/messages/store_messages.hpp>

#include <caf/init_global_meta_objects.hpp>
#include <caf/message.hpp>
#include <caf/sec.hpp>
#include <spdlog/spdlog.h>

#include <exception>
#include <mutex>

namespace troupe {

void init_messages() {
  static std::once_flag once;
  std::call_once(once, [] {
    caf::core::init_global_meta_objects();
    caf::init_global_meta_objects<caf::id_block::troupe>();
    caf::init_global_meta_objects<caf::id_block::troupe_cache>();
    caf::init_global_meta_objects<caf::id_block::troupe_cleanup>();
    caf::init_global_meta_objects<caf::id_block::troupe_events>();
    caf::init_global_meta_objects<caf::id_block::troupe_store>();
  });
}

void internal::log_thrown() noexcept {
  try {
    throw;
  } catch (const std::exception& why) {
    spdlog::error("a callback of the host threw: {}", why.what());
  } catch (...) {
    spdlog::error("a callback of the host threw what is no std::exception");
  }
}

error internal::unanswered(bool unread) {
  if (unread)
    return {errc::busy, "the actor ended before it read the request; repeat it"};
  return {errc::outcome_unknown, "the actor ended before it answered"};
}

caf::error to_caf(error what) {
  const auto code = what.code;
  return caf::make_error(code, std::move(what));
}

error from_caf(const caf::error& what) {
  if (const auto& context = what.context(); context.match_elements<error>())
    return context.get_as<error>(0);
  if (what == caf::sec::request_receiver_down)
    return internal::unanswered(true);
  return {errc::outcome_unknown, "the actor ended before it answered: " + caf::to_string(what)};
}

}  // namespace troupe
