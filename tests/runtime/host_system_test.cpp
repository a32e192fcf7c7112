#include <troupe/actors/result_cache.hpp>
#include <troupe/runtime/runtime_actor.hpp>
#include <troupe/runtime/scopes.hpp>

#include "support/temp_directory.hpp"
#include <caf/actor_system.hpp>
#include <caf/init_global_meta_objects.hpp>
#include <caf/scoped_actor.hpp>
#include <doctest/doctest.h>

#include <memory>
#include <string>
#include <utility>

/// A message and an actor of a host.
struct book_flight {
  std::string session;
};

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(book_flight)
CAF_BEGIN_TYPE_ID_BLOCK(host_test, ::troupe::first_host_type_id)
  CAF_ADD_TYPE_ID(host_test, (book_flight))
CAF_END_TYPE_ID_BLOCK(host_test)

namespace troupe {

using namespace testing;

namespace {

using booking_actor = caf::typed_actor<caf::result<std::uint64_t>(book_flight)>;

constexpr key<int> flights{"flights"};

/// Answers how many flights the session has booked, once that is on disk.
class booking_behavior {
public:
  static inline const char* name = "host.booking";

  booking_behavior(booking_actor::pointer self, runtime_actor state)
      : self_{self},
        state_{std::move(state)} {}

  booking_actor::behavior_type make_behavior() {
    return {[this](const book_flight& request) { return on_book_flight(request); }};
  }

private:
  caf::result<std::uint64_t> on_book_flight(const book_flight& request) {
    auto promise = self_->make_response_promise<std::uint64_t>();
    command change{session_ref(request.session), {patch_state{{add(flights, 1)}}}};
    compat::request(self_, state_, std::move(change))
        .then(
            [promise](const command_result& made) mutable {
              const auto count = get(*made.state, flights, {});
              promise.deliver(static_cast<std::uint64_t>(count.value_or(0)));
            },
            [promise](const caf::error& why) mutable { promise.deliver(why); });
    return promise;
  }

  booking_actor::pointer self_;
  runtime_actor state_;
};

/// Before the first actor system of the process, whatever test makes it.
const bool registered = [] {
  init_messages();
  caf::init_global_meta_objects<caf::id_block::host_test>();
  return true;
}();

/// A host whose settings are its own.
struct host_system {
  struct config : caf::actor_system_config {
    config() {
      REQUIRE(registered);
      set("caf.scheduler.max-threads", 2);
    }
  };

  host_system() {
    auto opened = runtime::open({.data = directory.store(), .system = &system});
    REQUIRE(opened);
    host = *std::move(opened);
  }

  template <class Answer, class Handle, class Message>
  expected<Answer> ask(const Handle& whom, Message what) {
    caf::scoped_actor self{system};
    expected<Answer> out = fail(errc::internal, "not asked");
    compat::request(self, whom, std::move(what))
        .receive([&](const Answer& x) { out = x; },
                 [&](const caf::error& why) { out = tl::unexpected(from_caf(why)); });
    return out;
  }

  temp_directory directory;
  config settings;
  caf::actor_system system{settings};
  std::unique_ptr<runtime> host;
};

}  // namespace

TEST_CASE_FIXTURE(host_system, "an actor of the host commands and reads by message") {
  const auto chat = host->session("a");
  REQUIRE(ask<command_result>(actor_of(*host), command{chat.ref(), {create{}}}));
  const auto booking =
      system.spawn<caf::stateful_actor<booking_behavior, booking_actor::base>>(actor_of(*host));
  CHECK(ask<std::uint64_t>(booking, book_flight{"a"}) == 1u);
  CHECK(ask<std::uint64_t>(booking, book_flight{"a"}) == 2u);
  CHECK(chat.get(flights).get() == 2);

  const auto seen = ask<state_snapshot>(actor_of(*host), get_state{chat.ref()});
  REQUIRE(seen);
  CHECK(seen->state->revision == 3);
}

TEST_CASE_FIXTURE(host_system, "an actor learns why it is refused") {
  const auto booking =
      system.spawn<caf::stateful_actor<booking_behavior, booking_actor::base>>(actor_of(*host));
  const auto absent = ask<std::uint64_t>(booking, book_flight{"nobody"});
  REQUIRE_FALSE(absent);
  CHECK(absent.error().code == errc::not_found);

  for (const auto& id : {std::string{}, std::string(257, 'x')}) {
    const auto bad = ask<command_result>(actor_of(*host), command{session_ref(id), {create{}}});
    REQUIRE_FALSE(bad);
    CHECK(bad.error().code == errc::bad_id);
    const auto unread = ask<state_snapshot>(actor_of(*host), get_state{session_ref(id)});
    REQUIRE_FALSE(unread);
    CHECK(unread.error().code == errc::bad_id);
  }
}

TEST_CASE_FIXTURE(host_system, "a read of the latest shows what is not on disk yet") {
  const auto chat = host->session("a");
  REQUIRE(chat.create().get());
  REQUIRE(chat.with(durability::memory).set(flights, 5).get());
  const auto read = [&](bool latest) {
    const auto seen =
        ask<state_snapshot>(actor_of(*host), get_state{.entity = chat.ref(), .latest = latest});
    REQUIRE(seen);
    return seen->state->revision;
  };
  CHECK(read(false) == 1);
  CHECK(read(true) == 2);
}

TEST_CASE_FIXTURE(host_system, "the runtime ends and opens again in a system that goes on") {
  const auto state = actor_of(*host);
  const auto id = make_cache_id(
      {.name_space = "default", .user = {}, .agent = "a", .request = {}, .permissions = {}});
  REQUIRE(host->session("a").create().get());
  REQUIRE(host->cache().set({.id = id, .content = {.output = value{1}}}));
  CHECK(host->cache().get(id) == value{1});
  host.reset();

  const auto late = ask<command_result>(state, command{session_ref("a"), {create{}}});
  REQUIRE_FALSE(late);
  CHECK(late.error().code == errc::busy);

  auto opened = runtime::open({.data = directory.store(), .system = &system});
  REQUIRE(opened);
  host = *std::move(opened);
  CHECK(host->session("a").exists().get() == true);
}

TEST_CASE_FIXTURE(host_system, "what the host sends to a closed runtime is answered") {
  host->close();
  const auto late = ask<command_result>(actor_of(*host), command{session_ref("a"), {create{}}});
  REQUIRE_FALSE(late);
  CHECK(late.error().code == errc::busy);
}

}  // namespace troupe
