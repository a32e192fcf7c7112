#include "support/api_node.hpp"
#include "support/raw_socket.hpp"
#include <doctest/doctest.h>

#include <random>
#include <string>
#include <utility>
#include <vector>

/// Committed changes as server-sent events, over a socket.

using namespace troupe;
using node = testing::api_node;
using testing::has;

namespace {

/// A client that follows a stream.
struct follower {
  follower(const node& n, const std::string& target, const std::string& last = {},
           int receive_buffer = 0)
      : peer{n.port(), receive_buffer} {
    peer.send("GET " + target + " HTTP/1.1\r\nHost: localhost\r\n"
              + (last.empty() ? "" : "Last-Event-ID: " + last + "\r\n") + "\r\n");
  }

  void begin() {
    const auto head = peer.until("\r\n\r\n");
    CHECK(testing::status_of(head) == 200);
    CHECK(has(head, "\r\nContent-Type: text/event-stream\r\n"));
    CHECK(has(peer.until("\n\n"), "retry: 1000"));
  }
  /// The next event without the framing around it.
  std::string next() {
    const auto text = peer.until("\n\n");
    const auto at = text.find("event: ");
    return at == std::string::npos ? text : text.substr(at);
  }

  testing::raw_peer peer;
};

std::string id_of(const std::string& event) {
  const auto at = event.find("\nid: ");
  return at == std::string::npos ? "" : event.substr(at + 5, event.find('\n', at + 1) - at - 5);
}

void set(node& n, const std::string& path, int value) {
  REQUIRE(n.send("PUT", path + "/state/k", std::to_string(value)).status == 200);
}

}  // namespace

TEST_CASE("the stream of one entity tells its changes by revision") {
  node n;
  n.send("PUT", "/v1/sessions/s");
  follower f{n, "/v1/sessions/s/events?after=1-0"};
  f.begin();
  set(n, "/v1/sessions/s", 1);
  n.send("PUT", "/v1/sessions/other");
  n.send("DELETE", "/v1/sessions/s");
  const std::string same = R"("scope":"session","id":"s",)";
  CHECK(f.next()
        == "event: change\nid: 1-1\ndata: {" + same
               + R"("revision":1,"at":"2026-01-02T12:00:00.123Z","events":["created"]})" + "\n\n");
  CHECK(f.next()
        == "event: change\nid: 1-2\ndata: {" + same
               + R"("revision":2,"at":"2026-01-02T12:00:00.123Z","events":["state_set"]})"
               + "\n\n");
  CHECK(has(f.next(), R"("revision":3,"at":"2026-01-02T12:00:00.123Z","events":["deleted"])"));
}

TEST_CASE("without a cursor a stream begins with what comes") {
  node n;
  n.send("PUT", "/v1/sessions/s");
  follower f{n, "/v1/sessions/s/events"};
  f.begin();
  set(n, "/v1/sessions/s", 1);
  CHECK(id_of(f.next()) == "1-2");
}

TEST_CASE("streams go on behind the last event without gap or repeat over a restart") {
  node n;
  n.send("PUT", "/v1/sessions/s");
  n.send("PUT", "/v1/teams/t");
  std::string one = "1-0", all;
  {
    follower f{n, "/v1/events"};
    f.begin();
    set(n, "/v1/sessions/s", 1);
    all = id_of(f.next());
  }
  int written = 1;
  for (int round = 0; round < 3; ++round) {
    if (round > 0) {
      n.stop();
      n.start();
    }
    set(n, "/v1/sessions/s", ++written);
    set(n, "/v1/teams/t", written);
    follower of_one{n, "/v1/sessions/s/events?after=1-0", one}, of_all{n, "/v1/events", all};
    of_one.begin();
    of_all.begin();
    set(n, "/v1/sessions/s", ++written);
    for (int revision = round == 0 ? 1 : 2 * round + 3; revision <= 2 * round + 4; ++revision) {
      one = id_of(of_one.next());
      CHECK(one == "1-" + std::to_string(revision));
    }
    for (const auto* change : {R"("id":"s")", R"("id":"t")", R"("id":"s")"}) {
      const auto event = of_all.next();
      CHECK(has(event, change));
      all = id_of(event);
    }
  }
}

TEST_CASE("a cursor that is not of this history is told a gap with the revision to read") {
  node n;
  n.send("PUT", "/v1/sessions/s");
  int revision = 1;
  for (const auto* cursor : {"7-1", "1-999"}) {
    const auto now = std::to_string(revision);
    follower f{n, "/v1/sessions/s/events", cursor};
    f.begin();
    CHECK(f.next()
          == "event: gap\nid: 1-" + now + "\ndata: {\"reason\":\"not_kept\",\"revision\":" + now
                 + "}\n\n");
    set(n, "/v1/sessions/s", ++revision);
    CHECK(id_of(f.next()) == "1-" + std::to_string(revision));
  }
}

TEST_CASE("streams are filtered by scope and event and children") {
  node n;
  n.send("PUT", "/v1/workflows/w");
  follower scopes{n, "/v1/events?scopes=team,user"}, events{n, "/v1/events?events=state_set"},
      children{n, "/v1/workflows/w/events?children=true"};
  for (auto* f : {&scopes, &events, &children})
    f->begin();
  n.send("PUT", "/v1/sessions/a");
  n.send("PUT", "/v1/sessions/b", R"({"workflow":"w"})");
  set(n, "/v1/sessions/a", 1);
  n.send("PUT", "/v1/users/u");
  n.send("PUT", "/v1/workflows/w/state/k", "1");
  CHECK(has(scopes.next(), R"("scope":"user","id":"u")"));
  CHECK(has(events.next(), R"("scope":"session","id":"a","revision":2)"));
  CHECK(has(events.next(), R"("scope":"workflow","id":"w")"));
  CHECK(has(children.next(), R"("scope":"session","id":"b")"));
  CHECK(has(children.next(), R"("scope":"workflow","id":"w","revision":2)"));
}

TEST_CASE("a change set is told with the place of each change in it") {
  node n;
  n.send("PUT", "/v1/sessions/s");
  n.send("PUT", "/v1/teams/t");
  follower f{n, "/v1/events"};
  f.begin();
  n.send("POST", "/v1/changes",
         R"({"changes":[{"scope":"session","id":"s","ops":[{"op":"set","key":"k","value":1}]},)"
         R"({"scope":"team","id":"t","ops":[{"op":"set","key":"k","value":1}]}]})");
  CHECK(has(f.next(), R"("part":0,"parts":2})"));
  CHECK(has(f.next(), R"("part":1,"parts":2})"));
}

TEST_CASE("a client that never reads is cut off and told so while writers go on") {
  node n;
  std::string small, large;
  for (int i = 0; i < 8; ++i) {
    n.send("PUT", "/v1/sessions/s" + std::to_string(i));
    small += std::string{i > 0 ? "," : ""} + R"({"scope":"session","id":"s)" + std::to_string(i)
             + R"(","ops":[{"op":"add","key":"n","by":1}]})";
  }
  follower slow{n, "/v1/events", {}, 4096};
  slow.begin();
  // Until all that lies between the node and the client is full.
  for (int i = 0; i < 400; ++i)
    REQUIRE(n.send("POST", "/v1/changes", R"({"changes":[)" + small + "]}").status == 200);
  std::string text;  // that no compression makes small
  std::mt19937 bits{1};
  while (text.size() < 200'000)
    text += static_cast<char>('!' + 2 + bits() % 57);
  const std::string item = R"({"items":[{"content":")" + text + R"("}]})";
  for (int i = 0; i < 8; ++i)
    REQUIRE(n.send("POST", "/v1/sessions/s0/items", item).status == 201);
  std::string last, before;
  for (auto event = slow.next(); !event.empty() && has(event, "id: "); event = slow.next()) {
    before = std::exchange(last, event);
  }
  CHECK(last.starts_with("event: gap\n"));
  CHECK(has(last, R"({"reason":"slow","revision":0})"));
  CHECK(id_of(last) == id_of(before));
}

TEST_CASE("a stream that cannot be is refused") {
  node n;
  n.send("PUT", "/v1/sessions/s");
  const auto status = [&](const std::string& target) { return n.send("GET", target).status; };
  CHECK(status("/v1/sessions/nobody/events") == 404);
  CHECK(status("/v1/sessions/s/events?after=zz") == 400);
  CHECK(status("/v1/events?after=1-1") == 400);
  CHECK(status("/v1/events?scopes=file") == 422);
  CHECK(status("/v1/sessions/s/events?scopes=team") == 422);
  n.send("PUT", "/v1/teams/t");
  CHECK(status("/v1/teams/t/events?scopes=session") == 422);
  CHECK(status("/v1/teams/t/events?children=true&scopes=user,global") == 422);
  CHECK(n.send("HEAD", "/v1/teams/t/events?children=true&scopes=session,user").status == 200);
  CHECK(status("/v1/events?children=true") == 422);
  CHECK(status("/v1/sessions/s/events?children=true") == 422);
  CHECK(status("/v1/sessions/s/events?children=perhaps") == 422);
  const auto head = n.send("HEAD", "/v1/sessions/s/events");
  CHECK(head.status == 200);
  CHECK(head.content_type == "text/event-stream");
}

TEST_CASE("a filter for an event that there is not is refused and names those that there are") {
  node n;
  n.send("PUT", "/v1/sessions/s");
  const auto refused = n.send("GET", "/v1/sessions/s/events?events=state_set,stateset");
  CHECK(refused.status == 422);
  CHECK(refused.body.find(R"("path":"events")") != std::string::npos);
  for (const auto* name : {"created", "items_appended", "redone", "shares_expired", "state_set"})
    CHECK(refused.body.find(name) != std::string::npos);
}
