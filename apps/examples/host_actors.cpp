// A host that is made of actors: its own actor system, its own messages, and Troupe within.
//
//   example_host_actors DIRECTORY

#include <troupe/runtime/runtime_actor.hpp>
#include <troupe/state/typed.hpp>

#include <caf/actor_system.hpp>
#include <caf/init_global_meta_objects.hpp>
#include <caf/scoped_actor.hpp>

#include <cstdint>
#include <iostream>
#include <string>
#include <utility>

// doc:begin host-messages
struct book_flight {
  std::string session;
};

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(book_flight)
CAF_BEGIN_TYPE_ID_BLOCK(booking_host, ::troupe::first_host_type_id)
  CAF_ADD_TYPE_ID(booking_host, (book_flight))
CAF_END_TYPE_ID_BLOCK(booking_host)

struct host_config : caf::actor_system_config {
  host_config() {
    troupe::init_messages();
    caf::init_global_meta_objects<caf::id_block::booking_host>();
    set("caf.scheduler.policy", "sharing");  // idle, it costs a hundredth of the default
  }
};
// doc:end host-messages

namespace {

constexpr troupe::key<int> flights{"flights"};

// doc:begin host-actor
/// Answers how many flights the session has booked, once that is on disk.
using booking_actor = caf::typed_actor<caf::result<int>(book_flight)>;

class booking_behavior {
public:
  static inline const char* name = "host.booking";

  booking_behavior(booking_actor::pointer self, troupe::runtime_actor state)
      : self_{self},
        state_{std::move(state)} {}

  booking_actor::behavior_type make_behavior() {
    return {[this](const book_flight& request) { return on_book_flight(request); }};
  }

private:
  caf::result<int> on_book_flight(const book_flight& request) {
    auto promise = self_->make_response_promise<int>();
    troupe::command change{troupe::session_ref(request.session),
                           {troupe::create{}, troupe::patch_state{{troupe::add(flights, 1)}}}};
    troupe::compat::request(self_, state_, std::move(change))
        .then(
            [promise](const troupe::command_result& made) mutable {
              promise.deliver(troupe::get(*made.state, flights, {}).value_or(0));
            },
            [promise](const caf::error& why) mutable { promise.deliver(why); });
    return promise;
  }

  booking_actor::pointer self_;
  troupe::runtime_actor state_;
};
// doc:end host-actor

}  // namespace

int main(int argc, char** argv) {
  // doc:begin host-open
  host_config config;
  caf::actor_system system{config};
  auto opened =
      troupe::runtime::open({.data = argc > 1 ? argv[1] : "host-actors-data", .system = &system});
  // doc:end host-open
  if (!opened) {
    std::cerr << opened.error().message << '\n';
    return 1;
  }
  const auto booking = system.spawn<caf::stateful_actor<booking_behavior, booking_actor::base>>(
      troupe::actor_of(**opened));
  caf::scoped_actor self{system};
  int failed = 0;
  for (const auto* who : {"ann", "ann", ""})
    troupe::compat::request(self, booking, book_flight{who})
        .receive([&](int count) { std::cout << who << " has booked " << count << '\n'; },
                 [&](const caf::error& why) {
                   std::cout << "refused: " << to_string(troupe::from_caf(why).code) << '\n';
                   ++failed;
                 });
  return failed == 1 ? 0 : 1;
}
