#include "responders/openai.hpp"

#include <troupe/runtime/scopes.hpp>

#include "runtime/runtime_fixture.hpp"
#include "support/scripted_endpoint.hpp"
#include <doctest/doctest.h>

#include <chrono>
#include <future>
#include <optional>
#include <string>
#include <vector>

/// The openai responder against an endpoint that does what the protocol allows, and what it does
/// not.

using namespace troupe;
using namespace std::chrono_literals;
using responders::openai_options;
using testing::endpoint_peer;
using testing::scripted_endpoint;

namespace {

/// A responder for one endpoint, in a runtime of its own.
struct asking {
  explicit asking(const std::string& url, openai_options how = {}) {
    responders::init_messages();
    world.emplace();
    how.url = url;
    how.model = "m";
    how.first_pause = 1ms;
    who = responders::spawn_openai(world->host(), std::move(how));
  }
  ~asking() { who.close(); }

  std::future<expected<responders::reply>> ask(std::string* heard = nullptr) {
    auto session = std::make_shared<entity_state>();
    session->items.append(1, {}, value::map({{"role", "user"}, {"content", "Hi"}}));
    responders::prompt what{.session = std::move(session)};
    if (heard != nullptr)
      what.on_text = [heard](std::string_view piece) { *heard += piece; };
    auto answer = std::make_shared<std::promise<expected<responders::reply>>>();
    auto out = answer->get_future();
    who.ask(std::move(what),
            [answer](expected<responders::reply> x) { answer->set_value(std::move(x)); });
    return out;
  }
  /// "said" or "code: message".
  std::string says(std::string* heard = nullptr) {
    const auto out = ask(heard).get();
    return out ? out->text : std::string{to_string(out.error().code)} + ": " + out.error().message;
  }

  std::optional<testing::runtime_fixture> world;
  responders::responder who;
};

void answer(endpoint_peer& peer) {
  peer.begin_stream().says("Hel").says("lo").ends(5, 2);
}

}  // namespace

TEST_CASE("a streamed answer is heard piece by piece and counted") {
  scripted_endpoint endpoint{[](endpoint_peer& peer, std::size_t) { answer(peer); }};
  asking a{endpoint.url() + "/", {.key = "secret"}};
  std::string heard;
  const auto out = a.ask(&heard).get();
  REQUIRE(out);
  CHECK(out->text == "Hello");
  CHECK(heard == "Hello");
  CHECK(out->used == usage_counters{5, 2});
  const auto asked = endpoint.requests();
  REQUIRE(asked.size() == 1);
  CHECK(asked[0].first.starts_with("POST /v1/chat/completions HTTP/1.1"));
  CHECK(asked[0].first.find("Authorization: Bearer secret") != std::string::npos);
  CHECK(asked[0].second.find(R"("content":"Hi")") != std::string::npos);
}

TEST_CASE("an endpoint that does not stream answers all the same") {
  scripted_endpoint endpoint{[](endpoint_peer& peer, std::size_t) {
    peer.begin("200 OK", "application/json; charset=utf-8")
        .send(R"({"choices":[{"message":{"role":"assistant","content":"Hello"}}]})");
  }};
  asking a{endpoint.url()};
  std::string heard;
  CHECK(a.says(&heard) == "Hello");
  CHECK(heard == "Hello");
}

TEST_CASE("after 429 and 503 the responder asks again and gives up in the endpoint's words") {
  scripted_endpoint endpoint{[](endpoint_peer& peer, std::size_t n) {
    if (n == 0)
      peer.begin("429 Too Many Requests", "application/json")
          .send(R"({"error":{"message":"slow"}})");
    else if (n == 1)
      peer.begin("503 Service Unavailable", "text/html").send("<html>");
    else
      answer(peer);
  }};
  asking a{endpoint.url()};
  CHECK(a.says() == "Hello");
  CHECK(endpoint.asked() == 3);

  scripted_endpoint busy{[](endpoint_peer& peer, std::size_t) {
    peer.begin("429 Too Many Requests", "application/json").send(R"({"error":{"message":"slow"}})");
  }};
  asking b{busy.url(), {.attempts = 3}};
  CHECK(b.says() == "responder_failed: the endpoint answers 429: slow (asked 3 times)");
  CHECK(busy.asked() == 3);
}

TEST_CASE("a Retry-After is waited for unless it ends beyond the timeout") {
  scripted_endpoint endpoint{[](endpoint_peer& peer, std::size_t n) {
    if (n == 0)
      peer.begin("503 Service Unavailable", "text/plain", "Retry-After: 1\r\n");
    else
      answer(peer);
  }};
  asking patient{endpoint.url()};
  const auto begun = std::chrono::steady_clock::now();
  CHECK(patient.says() == "Hello");
  CHECK(std::chrono::steady_clock::now() - begun >= 1s);

  scripted_endpoint later{[](endpoint_peer& peer, std::size_t) {
    peer.begin("429 Too Many Requests", "text/plain", "Retry-After: 3600\r\n");
  }};
  asking hasty{later.url(), {.timeout = 20s}};
  CHECK(hasty.says()
        == "responder_failed: the endpoint answers 429 (asked once; the next time would be in 3600 "
           "s, beyond the time for one answer)");
  CHECK(later.asked() == 1);
}

TEST_CASE("what is no answer is a failure that says what came and is not asked for again") {
  const auto said = [](scripted_endpoint::script what) {
    scripted_endpoint endpoint{std::move(what)};
    asking a{endpoint.url()};
    auto out = a.says();
    CHECK(endpoint.asked() == 1);
    return out;
  };
  CHECK(said([](endpoint_peer& peer, std::size_t) {
          peer.begin("500 Internal Server Error", "application/json")
              .send(R"({"error":{"message":"oops"}})");
        })
        == "responder_failed: the endpoint answers 500: oops");
  CHECK(said([](endpoint_peer& peer, std::size_t) {
          const auto host = peer.head.find("Host: ") + 6;
          const auto own = peer.head.substr(host, peer.head.find('\r', host) - host);
          peer.begin("307 Temporary Redirect", "text/html",
                     "Location: http://" + own + "/v1/chat/completions\r\n");
        }).starts_with("responder_failed: the endpoint answers 307"));
  CHECK(said([](endpoint_peer& peer, std::size_t) {
          peer.begin("200 OK", "text/html").send("<html>");
        })
        == "responder_failed: the endpoint answers with text/html, which is neither a stream nor "
           "JSON");
  CHECK(said([](endpoint_peer& peer, std::size_t) {
          peer.begin_stream().says("Hel").data("{\"choices\":");
          peer.hang(10s);
        })
        == "responder_failed: a chunk of the answer is no JSON object");
  CHECK(said([](endpoint_peer& peer, std::size_t) { peer.begin_stream().says("Hel"); })
        == "responder_failed: the answer was cut off in the middle");
  CHECK(said([](endpoint_peer& peer, std::size_t) {
          peer.begin_stream().says("Hel");
          peer.reset();
        }).starts_with("responder_failed: the endpoint broke the connection: "));
  CHECK(said([](endpoint_peer& peer, std::size_t) {
          peer.send(
              "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
              "Transfer-Encoding: chunked\r\n\r\n5\r\nxx");
        }).starts_with("responder_failed: the endpoint broke the connection: "));
  CHECK(said([](endpoint_peer& peer, std::size_t) {
          peer.begin_stream().data(R"({"error":{"message":"overloaded"}})");
        })
        == "responder_failed: the endpoint broke off: overloaded");
}

TEST_CASE("an endpoint that is too slow is a timeout and one that is not there a failure") {
  scripted_endpoint endpoint{[](endpoint_peer& peer, std::size_t) {
    peer.begin_stream().says("Hel");
    peer.hang(10s);
  }};
  asking a{endpoint.url(), {.timeout = 150ms}};
  CHECK(a.says()
        == "responder_timeout: the endpoint gave no whole answer within 150 ms; the message is "
           "kept");
  std::string nobody;
  {
    scripted_endpoint gone{[](endpoint_peer&, std::size_t) {}};
    nobody = gone.url();
  }
  asking b{nobody, {.attempts = 2}};
  const auto out = b.says();
  CHECK(out.starts_with("responder_failed: the endpoint cannot be reached: "));
  CHECK(out.ends_with("(asked 2 times)"));
}

TEST_CASE("many wait at once and one that waits holds up no other") {
  scripted_endpoint endpoint{[](endpoint_peer& peer, std::size_t n) {
    if (n == 0)
      peer.hang(10s);
    answer(peer);
  }};
  asking a{endpoint.url()};
  auto slow = a.ask();
  while (endpoint.asked() == 0)
    std::this_thread::yield();
  std::vector<std::future<expected<responders::reply>>> others;
  for (int i = 0; i < 50; ++i)
    others.push_back(a.ask());
  for (auto& one : others)
    CHECK(one.get()->text == "Hello");
  CHECK(slow.wait_for(0s) == std::future_status::timeout);
  a.who.close();
  CHECK(slow.get().error().code == errc::draining);
  CHECK(a.ask().get().error().code == errc::draining);
}

TEST_CASE("beyond what may be under way a message is refused at once") {
  scripted_endpoint endpoint{[](endpoint_peer& peer, std::size_t) { peer.hang(10s); }};
  asking a{endpoint.url(), {.parallel = 1}};
  auto first = a.ask();
  while (endpoint.asked() == 0)
    std::this_thread::yield();
  CHECK(a.ask().get().error().code == errc::busy);
}
