#include <troupe/actors/hooks.hpp>

#include "runtime_fixture.hpp"

#include <future>
#include <semaphore>
#include <thread>

using namespace troupe;

namespace {

/// A runtime that keeps every change waiting until it is told to go on.
struct slow_node : testing::runtime_fixture {
  explicit slow_node(runtime_options options) {
    auto hooks = std::make_shared<change_hooks>();
    hooks->before.emplace_back([this](auto&&...) -> expected<void> {
      begun.release();
      go_on.acquire();
      return {};
    });
    options.hooks = hooks;
    reopen(std::move(options));
  }
  ~slow_node() { open.reset(); }

  std::future<expected<command_result>> create_session(const std::string& id) {
    auto answer = std::make_shared<std::promise<expected<command_result>>>();
    host().execute({session_ref(id), {create{}}},
                   [answer](expected<command_result> x) { answer->set_value(std::move(x)); });
    return answer->get_future();
  }

  std::counting_semaphore<> begun{0}, go_on{0};
};

bool is_there(const std::future<expected<command_result>>& answer) {
  return answer.wait_for(std::chrono::seconds{0}) == std::future_status::ready;
}

}  // namespace

TEST_CASE("what is beyond the requests in flight is refused at once and taken later") {
  slow_node node{{.max_in_flight = 1}};
  auto first = node.create_session("a");
  node.begun.acquire();
  auto second = node.create_session("b");
  REQUIRE(is_there(second));
  const auto refused = second.get();
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == errc::busy);
  CHECK(refused.error().limit == 1);
  CHECK_FALSE(is_there(first));
  const auto text = node.host().metrics();  // goes on all the same
  CHECK(text.find("troupe_requests_in_flight 1") != std::string::npos);
  CHECK(text.find("troupe_refused_requests_total 1") != std::string::npos);
  node.go_on.release(2);
  REQUIRE(first.get());
  REQUIRE(node.create_session("b").get());
}

TEST_CASE("what is beyond the bytes in flight is refused at once") {
  slow_node node{{.max_in_flight_bytes = 1'000}};
  auto first = node.create_session("a");
  node.begun.acquire();
  const auto refused = node.host().execute(
      {session_ref("b"),
       {create{}, append_items{{value::map({{"text", std::string(1'000, 'x')}})}}}});
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == errc::busy);
  CHECK(refused.error().limit == 1'000);
  node.go_on.release(1);
  REQUIRE(first.get());
}
