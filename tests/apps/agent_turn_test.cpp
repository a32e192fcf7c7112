#include <troupe/state/json.hpp>

#include "responders/openai.hpp"
#include "support/api_node.hpp"
#include "support/raw_socket.hpp"
#include "support/scripted_endpoint.hpp"
#include <doctest/doctest.h>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>

#include <future>
#include <mutex>
#include <optional>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

/// Turns against an endpoint that fails: what is kept, what a repeat does, what a stream tells.

using namespace troupe;
using namespace std::chrono_literals;
using testing::endpoint_peer;
using testing::scripted_endpoint;
using node = testing::api_node;

namespace {

/// A node whose responder asks a scripted endpoint.
struct world {
  explicit world(scripted_endpoint::script what, std::chrono::milliseconds timeout = 20s)
      : endpoint{std::move(what)},
        n{[this, timeout](const runtime& of) {
          return api::agent_options{
              .answers = responders::spawn_openai(
                  of,
                  {.url = endpoint.url(), .model = "m", .timeout = timeout, .first_pause = 1ms})};
        }} {}

  http::response quick(const std::string& query, const std::string& key = {},
                       std::vector<http::header> headers = {}) {
    if (!key.empty())
      headers.push_back({"Idempotency-Key", key});
    return n.send("POST", "/api/agent/quick",
                  R"({"query":")" + query + R"(","context":{"session_id":"s"}})",
                  std::move(headers));
  }
  http::response go_on() {
    return n.send("POST", "/api/agent/quick", R"({"context":{"session_id":"s"}})");
  }
  /// "u:Hi a:Hello"
  std::string history() {
    const auto got = n.send("GET", "/v1/sessions/s/items?last=1000");
    const auto body = value_from_json(got.body);
    REQUIRE(body);
    std::string out;
    for (auto at = body->view().find("items")->children(); at.next();) {
      out += out.empty() ? "" : " ";
      out += at.item().find("role")->as_string()->substr(0, 1);
      out += ':';
      const auto said = at.item().find("content");
      out += said ? said->as_string().value_or("-") : "-";
    }
    return out;
  }
  std::string usage() {
    const auto body = value_from_json(n.send("GET", "/v1/sessions/s/usage").body);
    REQUIRE(body);
    return to_json(*body->view().find("prompt_tokens")) + '+'
           + to_json(*body->view().find("completion_tokens"));
  }

  scripted_endpoint endpoint;
  node n;
};

void answer(endpoint_peer& peer, std::size_t n) {
  peer.begin_stream().says("answer" + std::to_string(n)).ends(10, 1);
}

std::string code_of(const http::response& got) {
  const auto body = value_from_json(got.body);
  const auto code = body ? body->view().find("code") : std::nullopt;
  return std::to_string(got.status) + ' ' + std::string{code ? *code->as_string() : ""};
}

}  // namespace

TEST_CASE("the whole history reaches the endpoint and the answer joins it") {
  world w{answer};
  CHECK(w.quick("one").status == 200);
  CHECK(w.quick("two").body.find(R"("response":"answer1")") != std::string::npos);
  CHECK(w.history() == "u:one a:answer0 u:two a:answer1");
  CHECK(w.usage() == "20+2");
  CHECK(
      w.endpoint.requests()[1].second.find(
          R"([{"role":"user","content":"one"},{"role":"assistant","content":"answer0"},{"role":"user","content":"two"}])")
      != std::string::npos);
}

TEST_CASE("an endpoint that fails leaves the message in place and a turn without a query goes on") {
  world w{[](endpoint_peer& peer, std::size_t n) {
    if (n == 0)
      peer.begin("500 Internal Server Error", "text/plain");
    else
      answer(peer, n);
  }};
  CHECK(code_of(w.quick("Hi")) == "502 responder_failed");
  CHECK(w.history() == "u:Hi");
  CHECK(w.go_on().status == 200);
  CHECK(w.history() == "u:Hi a:answer1");
  CHECK(code_of(w.go_on()) == "422 invalid_value");
}

TEST_CASE("an endpoint that is too slow is 504 and the message stays") {
  world w{[](endpoint_peer& peer, std::size_t) { peer.hang(10s); }, 100ms};
  CHECK(code_of(w.quick("Hi")) == "504 responder_timeout");
  CHECK(w.history() == "u:Hi");
}

TEST_CASE("a repeat of an answered turn gets its answer and nothing is said or asked again") {
  world w{answer};
  const auto first = w.quick("Hi", "k");
  CHECK(first.status == 200);
  w.quick("and then?");
  auto again = w.quick("Hi", "k");
  CHECK(again.status == 200);
  const auto at = again.body.find(R"("turn_count":4)");
  REQUIRE(at != std::string::npos);
  again.body[at + 13] = '2';
  CHECK(again.body == first.body);
  CHECK(w.history() == "u:Hi a:answer0 u:and then? a:answer1");
  CHECK(w.endpoint.asked() == 2);
  CHECK(code_of(w.quick("Ho", "k")) == "422 idempotency_mismatch");
}

TEST_CASE("a repeat of an answered turn is a stream where one is asked for") {
  world w{answer};
  const http::header streamed{"Accept", "text/event-stream"};
  w.quick("Hi", "k", {streamed});
  const auto again = w.quick("Hi", "k", {streamed});
  CHECK(again.content_type == "text/event-stream");
  CHECK(again.body.starts_with("event: text\ndata: {\"content\":\"answer0\"}\n\nevent: done\n"));
  CHECK(w.quick("Hi", "k").content_type == "application/json");
  CHECK(w.endpoint.asked() == 1);
}

TEST_CASE("a repeat after its session was deleted says that it was") {
  world w{answer};
  w.quick("Hi", "k");
  w.n.send("DELETE", "/api/sessions/s");
  const auto again = w.quick("Hi", "k");
  CHECK(code_of(again) == "410 revision_gone");
  CHECK(again.body.find("the session was deleted") != std::string::npos);
}

TEST_CASE("a message that cannot be kept is refused by the name it has in the request") {
  world w{answer};
  const auto long_query = w.quick(std::string(300 << 10, 'x'));
  CHECK(code_of(long_query) == "413 too_large");
  CHECK(long_query.body.find(R"("path":"/query")") != std::string::npos);
  const auto bad_name = [&](const std::string& more) {
    return w.n
        .send("POST", "/api/agent/quick",
              R"({)" + more + R"("context":{"session_id":"s","notebook_id":""}})")
        .body;
  };
  CHECK(bad_name(R"("query":"Hi",)").find(R"("path":"/context/notebook_id")") != std::string::npos);
}

TEST_CASE("a repeat while the first is running is told when to come again") {
  std::promise<void> told;
  auto is_told = told.get_future().share();
  world w{[&](endpoint_peer& peer, std::size_t n) {
    is_told.wait_for(5s);
    answer(peer, n);
  }};
  auto first = std::async(std::launch::async, [&] { return w.quick("Hi", "k"); });
  while (w.endpoint.asked() == 0)
    std::this_thread::yield();
  const auto again = w.quick("Hi", "k");
  CHECK(code_of(again) == "409 in_flight");
  CHECK(again.find_header("Retry-After"));
  told.set_value();
  CHECK(first.get().status == 200);
}

TEST_CASE("a repeat without a session id finds the session that the first one made") {
  world w{answer};
  const auto say = [&](const std::string& key) {
    const auto got =
        w.n.send("POST", "/api/agent/quick", R"({"query":"Hi"})", {{"Idempotency-Key", key}});
    CHECK(got.status == 200);
    return got.body;
  };
  const auto first = say("k");
  CHECK(say("k") == first);
  CHECK(say("other") != first);
  CHECK(w.endpoint.asked() == 2);
}

TEST_CASE("a repeat of a turn that failed says nothing again and asks what was asked") {
  world w{[](endpoint_peer& peer, std::size_t n) {
    if (n == 0)
      peer.begin_stream().says("half");
    else
      answer(peer, n);
  }};
  CHECK(code_of(w.quick("Hi", "k")) == "502 responder_failed");
  CHECK(w.quick("more").status == 200);
  CHECK(w.history() == "u:Hi u:more a:answer1");
  CHECK(w.quick("Hi", "k").status == 200);
  CHECK(w.history() == "u:Hi u:more a:answer1 a:answer2");
  CHECK(w.endpoint.requests()[2].second.find(R"("messages":[{"role":"user","content":"Hi"}])")
        != std::string::npos);
  CHECK(w.usage() == "20+2");
}

TEST_CASE("a repeat after a restart does what was left to do") {
  std::atomic<bool> up = false;
  world w{[&](endpoint_peer& peer, std::size_t n) {
    if (!up)
      peer.hang(10s);
    else
      answer(peer, n);
  }};
  auto cut = std::async(std::launch::async, [&, port = w.n.port()] {
    http::client client{"127.0.0.1", port, 10s};
    return client
        .send({.method = "POST",
               .target = "/api/agent/quick",
               .headers = {{"Content-Type", "application/json"}, {"Idempotency-Key", "k"}},
               .body = R"({"query":"Hi","context":{"session_id":"s"}})"})
        .has_value();
  });
  while (w.endpoint.asked() == 0)
    std::this_thread::yield();
  CHECK(code_of(w.quick("Hi", "k")) == "409 in_flight");
  w.n.stop();
  CHECK_FALSE(cut.get());
  w.n.start();
  up = true;
  CHECK(w.history() == "u:Hi");
  CHECK(w.quick("Hi", "k").status == 200);
  CHECK(w.history() == "u:Hi a:answer1");
  CHECK(w.usage() == "10+1");
}

TEST_CASE("a session that is over its budget is refused beforehand") {
  world w{answer};
  w.n.send("PUT", "/v1/sessions/s", R"({"policy":{"token_budget":10}})");
  const auto first = w.quick("Hi", "k");
  CHECK(first.status == 200);
  CHECK(code_of(w.quick("more")) == "409 over_budget");
  CHECK(w.history() == "u:Hi a:answer0");
  CHECK(w.endpoint.asked() == 1);
  CHECK(w.quick("Hi", "k").body == first.body);  // it is paid for
  w.n.send("DELETE", "/v1/sessions/s/usage");
  CHECK(w.quick("more").status == 200);
}

TEST_CASE("tool calls are items and counted and a loop of them is refused until somebody speaks") {
  world w{[](endpoint_peer& peer, std::size_t) {
    peer.begin_stream()
        .data(
            R"({"choices":[{"delta":{"tool_calls":[{"index":0,"id":"c1","function":{"name":"find","arguments":"{\"a\":1,\"b\":2}"}}]}}]})")
        .ends(1, 1);
  }};
  w.n.send("PUT", "/v1/sessions/s", R"({"policy":{"loop_limit":2}})");
  const auto got = w.quick("Hi");
  CHECK(
      got.body.find(
          R"("messages":[{"type":"tool_call","content":"find","metadata":{"id":"c1","name":"find","arguments":"{\"a\":1,\"b\":2}"}}])")
      != std::string::npos);
  CHECK(w.go_on().body.find("append their results first") != std::string::npos);
  const auto result = R"({"items":[{"role":"tool","tool_call_id":"c1","content":"42"}]})";
  CHECK(w.n.send("POST", "/v1/sessions/s/items", result).status == 201);
  CHECK(w.go_on().status == 200);
  CHECK(
      w.endpoint.requests()[1].second.find(R"({"role":"tool","content":"42","tool_call_id":"c1"}])")
      != std::string::npos);
  CHECK(w.n.send("POST", "/v1/sessions/s/items", result).status == 201);
  CHECK(code_of(w.go_on()) == "409 looping");
  CHECK(w.endpoint.asked() == 2);
  CHECK(w.quick("Something else.").status == 200);
  CHECK(w.history() == "u:Hi a:- t:42 a:- t:42 u:Something else. a:-");
}

TEST_CASE("a stream tells the answer as it is made and then the whole of it") {
  std::mutex mutex;
  std::condition_variable changed;
  bool heard = false;
  world w{[&](endpoint_peer& peer, std::size_t) {
    peer.begin_stream().says("Hel");
    std::unique_lock lock{mutex};
    changed.wait_for(lock, 5s, [&] { return heard; });
    peer.says("lo").ends(3, 2);
  }};
  const std::string body = R"({"query":"Hi","context":{"session_id":"s"}})";
  testing::raw_peer client{w.n.port()};
  client.send(
      "POST /api/agent/quick HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n"
      "Content-Type: application/json\r\nContent-Length: "
      + std::to_string(body.size()) + "\r\n\r\n" + body);
  const auto first = client.until("event: text\ndata: {\"content\":\"Hel\"}\n\n");
  CHECK(first.starts_with("HTTP/1.1 200 OK\r\n"));
  CHECK(first.find("text/event-stream") != std::string::npos);
  {
    const std::lock_guard lock{mutex};
    heard = true;
  }
  changed.notify_all();
  CHECK(client.until("\"content\":\"lo\"}").find("event: text") != std::string::npos);
  const auto rest = client.until("0\r\n\r\n");
  CHECK(rest.find("event: done\ndata: {\"query\":\"Hi\",\"route\":\"openai\"")
        != std::string::npos);
  CHECK(rest.find(R"("response":"Hello","turn_count":2})") != std::string::npos);
  CHECK(w.history() == "u:Hi a:Hello");
}

TEST_CASE("a stream ends with what went wrong and a refusal beforehand is no stream") {
  world w{[](endpoint_peer& peer, std::size_t) { peer.begin_stream().says("Hel"); }};
  const http::header streamed{"Accept", "text/event-stream"};
  const auto got = w.quick("Hi", "", {streamed, {"X-Request-Id", "r-1"}});
  CHECK(got.status == 200);
  CHECK(got.body.find("\"code\":\"responder_failed\",\"request_id\":\"r-1\"}\n\n")
        != std::string::npos);
  CHECK(got.body.find("event: text\ndata: {\"content\":\"Hel\"}") != std::string::npos);
  CHECK(got.body.find("event: error\ndata: {") != std::string::npos);
  CHECK(got.body.find("responder_failed") != std::string::npos);
  CHECK(got.body.find("event: done") == std::string::npos);
  CHECK(w.n.send("POST", "/api/agent/quick", "{}", {streamed}).status == 422);
}

TEST_CASE("a stream whose token is revoked ends and the answer is kept all the same") {
  std::promise<void> revoked;
  auto is_revoked = revoked.get_future().share();
  world w{[&](endpoint_peer& peer, std::size_t) {
    peer.begin_stream().says("Hel");
    is_revoked.wait_for(3s);
    peer.says("lo").ends(1, 1);
  }};
  const auto token = w.n.add_token({.id = "1", .user = "ann", .held = api::role::writer});
  const std::string body = R"({"query":"Hi","context":{"session_id":"s"}})";
  testing::raw_peer client{w.n.port()};
  client.send(
      "POST /api/agent/quick HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n"
      "Authorization: Bearer "
      + token + "\r\nContent-Type: application/json\r\nContent-Length: "
      + std::to_string(body.size()) + "\r\n\r\n" + body);
  CHECK(client.until("\"Hel\"}\n\n").find("event: text") != std::string::npos);
  w.n.revoke_tokens();
  CHECK(client.until("0\r\n\r\n").find("event: ") == std::string::npos);
  revoked.set_value();
  const auto again = w.n.add_token({.id = "2", .user = "ann", .held = api::role::writer});
  const http::header ann{"Authorization", "Bearer " + again};
  for (int i = 0; i < 2'000; ++i) {  // it is on its way
    if (w.n.send("GET", "/api/sessions/s/history", "", {ann}).body.find("Hello")
        != std::string::npos)
      return;
  }
  FAIL("the answer is not kept");
}

TEST_CASE("a session that is deleted meanwhile gets no answer") {
  std::promise<void> deleted;
  auto is_deleted = deleted.get_future().share();
  world w{[&](endpoint_peer& peer, std::size_t n) {
    is_deleted.wait_for(5s);
    answer(peer, n);
  }};
  auto waiting = std::async(std::launch::async, [&] { return w.quick("Hi"); });
  while (w.endpoint.asked() == 0)
    std::this_thread::yield();
  CHECK(w.n.send("DELETE", "/api/sessions/s").status == 200);
  deleted.set_value();
  CHECK(code_of(waiting.get()) == "404 not_found");
  CHECK(w.n.send("GET", "/api/sessions/s").status == 404);
}

TEST_CASE("a responder that waits holds up nobody else") {
  world w{[](endpoint_peer& peer, std::size_t n) {
    if (n < 20)
      peer.hang(10s);
    answer(peer, n);
  }};
  std::vector<std::future<void>> waiting;
  for (int i = 0; i < 20; ++i)
    waiting.push_back(std::async(std::launch::async, [&] {
      http::client client{"127.0.0.1", w.n.port(), 20s};
      static_cast<void>(client.send({.method = "POST",
                                     .target = "/api/agent/quick",
                                     .headers = {{"Content-Type", "application/json"}},
                                     .body = R"({"query":"Hi","context":{"session_id":"slow"}})"}));
    }));
  while (w.endpoint.asked() < 20)
    std::this_thread::yield();
  CHECK(w.quick("Hi").status == 200);
  CHECK(w.n.send("GET", "/healthz").status == 200);
  CHECK(w.n.send("POST", "/v1/sessions/slow/items", R"({"items":[{"role":"user"}]})").status
        == 201);
  for (const auto& one : waiting)
    CHECK(one.wait_for(0s) == std::future_status::timeout);
  w.n.stop();
  for (auto& one : waiting)
    one.get();
}

TEST_CASE("failures of the responder are logged with their request and without its words") {
  std::ostringstream log;
  const auto before = spdlog::default_logger();
  spdlog::set_default_logger(std::make_shared<spdlog::logger>(
      "test", std::make_shared<spdlog::sinks::ostream_sink_mt>(log)));
  world w{[](endpoint_peer& peer, std::size_t) {
    peer.begin("500 Internal Server Error", "application/json")
        .send(R"({"error":{"message":"planted words"}})");
  }};
  const auto fail = [&](const std::string& id) {
    CHECK(w.quick("planted question", "", {{"X-Request-Id", id}}).status == 502);
  };
  fail("r-1");
  fail("r-2");
  fail("r-3");
  w.n.advance(10'000);
  fail("r-4");
  spdlog::set_default_logger(before);
  const auto told = log.str();
  CAPTURE(told);
  CHECK(told.find("request r-1: the responder failed, answered 502 responder_failed: the endpoint "
                  "answers 500\n")
        != std::string::npos);
  CHECK(told.find("request r-4: the responder failed, answered 502 responder_failed: the endpoint "
                  "answers 500 (and 2 before it)\n")
        != std::string::npos);
  CHECK(told.find("r-2") == std::string::npos);
  CHECK(told.find("planted") == std::string::npos);
}
