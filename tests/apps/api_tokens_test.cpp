#include <troupe/state/json.hpp>

#include "api/route.hpp"
#include "support/api_node.hpp"
#include "support/api_steps.hpp"
#include "support/raw_socket.hpp"
#include <doctest/doctest.h>

#include <map>
#include <string>
#include <string_view>
#include <vector>

/// Who may do what, on every row of the route table.

using namespace troupe;
using namespace troupe::testing;
using node = api_node;

namespace {

/// What is expected of a row, told apart from the table: a row without a line here fails.
enum class open_to { everybody, local, readers, writers, admins };
const std::map<std::string, open_to, std::less<>> expectations = {
    {"GET /", open_to::everybody},
    {"GET /dashboard/{file}", open_to::everybody},
    {"GET /healthz", open_to::everybody},
    {"GET /readyz", open_to::everybody},
    {"GET /openapi.json", open_to::everybody},
    {"GET /metrics", open_to::local},
    {"GET /v1/stats", open_to::readers},
    {"POST /v1/admin/reap", open_to::admins},
    {"POST /v1/admin/clear", open_to::admins},
    {"POST /v1/admin/backup", open_to::admins},
    {"POST /v1/admin/compact", open_to::admins},
    {"POST /v1/import", open_to::writers},
    {"GET /v1/nodes", open_to::readers},
    {"POST /v1/changes", open_to::writers},
    {"POST /v1/checkpoints", open_to::writers},
    {"POST /v1/checkpoints/{cid}/restore", open_to::writers},
    {"GET /v1/events", open_to::readers},
    {"GET /v1/sessions", open_to::readers},
    {"GET /v1/workflows", open_to::readers},
    {"GET /v1/teams", open_to::readers},
    {"GET /v1/users", open_to::readers},
    {"POST /v1/sessions", open_to::writers},
    {"POST /v1/cache/key", open_to::readers},
    {"GET /v1/cache/stats", open_to::readers},
    {"GET /v1/cache/{key}", open_to::readers},
    {"PUT /v1/cache/{key}", open_to::writers},
    {"DELETE /v1/cache/{key}", open_to::writers},
    {"POST /v1/cache/invalidate", open_to::writers},
    {"PUT {S}", open_to::writers},
    {"GET {S}", open_to::readers},
    {"PATCH {S}", open_to::writers},
    {"DELETE {S}", open_to::writers},
    {"GET {S}/events", open_to::readers},
    {"GET {S}/state", open_to::readers},
    {"PATCH {S}/state", open_to::writers},
    {"GET {S}/state/{key}", open_to::readers},
    {"PUT {S}/state/{key}", open_to::writers},
    {"DELETE {S}/state/{key}", open_to::writers},
    {"POST {S}/items", open_to::writers},
    {"GET {S}/items", open_to::readers},
    {"POST {S}/items/pop", open_to::writers},
    {"DELETE {S}/items", open_to::writers},
    {"POST {S}/checkpoints", open_to::writers},
    {"GET {S}/checkpoints", open_to::readers},
    {"GET {S}/checkpoints/{cid}", open_to::readers},
    {"DELETE {S}/checkpoints/{cid}", open_to::writers},
    {"POST {S}/checkpoints/{cid}/restore", open_to::writers},
    {"POST {S}/undo", open_to::writers},
    {"POST {S}/redo", open_to::writers},
    {"GET {S}/revisions/{n}", open_to::readers},
    {"GET {S}/diff", open_to::readers},
    {"POST {S}/fork", open_to::writers},
    {"GET {S}/forks", open_to::readers},
    {"POST {S}/merge", open_to::writers},
    {"GET {S}/usage", open_to::readers},
    {"POST {S}/usage", open_to::writers},
    {"DELETE {S}/usage", open_to::writers},
    {"GET {S}/todos", open_to::readers},
    {"PUT {S}/todos", open_to::writers},
    {"PATCH {S}/todos", open_to::writers},
    {"GET {S}/loop-history", open_to::readers},
    {"POST {S}/loop-history", open_to::writers},
    {"DELETE {S}/loop-history", open_to::writers},
    {"GET {S}/variables", open_to::readers},
    {"PATCH {S}/variables", open_to::writers},
    {"GET {S}/nodes", open_to::readers},
    {"PUT {S}/nodes", open_to::writers},
    {"PATCH {S}/nodes/{node}", open_to::writers},
    {"GET {S}/members", open_to::readers},
    {"PUT {S}/members", open_to::writers},
    {"GET {S}/messages", open_to::readers},
    {"POST {S}/messages", open_to::writers},
    {"GET {S}/export", open_to::readers},
    {"POST /api/agent/quick", open_to::writers},
    {"GET /api/sessions/{id}", open_to::readers},
    {"DELETE /api/sessions/{id}", open_to::writers},
    {"GET /api/sessions/{id}/history", open_to::readers},
};

/// A node with an entity of every kind that is ann's, and a token of every sort.
struct matrix {
  matrix() { restore(); }

  std::string token(const std::string& user, api::role held, std::int64_t expires = 0) {
    api::token_entry what{.user = user, .held = held};
    if (expires != 0)
      what.expires = timestamp{expires};
    return n.add_token(std::move(what));
  }

  http::response send(const std::string& method, const std::string& target, const std::string& body,
                      const std::string& bearer) {
    std::vector<http::header> headers;
    if (!bearer.empty())
      headers.push_back({"Authorization", "Bearer " + bearer});
    return n.send(method, target, body, std::move(headers));
  }
  http::response ask(const api::route& row, const std::string& id, const std::string& bearer) {
    return ask(row, path_to(row, id), id, bearer);
  }
  http::response ask(const api::route& row, const std::string& path, const std::string& id,
                     const std::string& bearer) {
    std::string body;
    for (const auto& s : steps) {
      const auto way = api::find_route(s.method, http::parse_target(with_key(s.target))->segments);
      if (way.found == &row && row.pattern != "/v1/admin/clear")
        body = s.body;
    }
    if (const std::string named = R"("id":"s")";
        row.scopes == api::no_scope && body.find(named) != std::string::npos)
      body.replace(body.find(named), named.size(), R"("id":")" + id + '"');
    const std::string query = row.pattern == "{S}/diff" ? "?from=1" : "";
    const bool stream = row.media == "text/event-stream";
    return send(stream ? "HEAD" : std::string{row.method}, path + query, body, bearer);
  }

  /// What the last request may have deleted.
  void restore() {
    for (const auto* kind : {"sessions", "workflows", "teams"})
      send("PUT", "/v1/" + std::string{kind} + "/hers", R"({"user":"ann"})", writer);
  }

  node n{{.failed_logins = 1'000'000}};  // the tests of a row have many
  std::string reader = token("ann", api::role::reader), writer = token("ann", api::role::writer),
              admin = token("", api::role::admin), other = token("bob", api::role::writer),
              expired = token("ann", api::role::admin, noon),
              bad = writer.substr(0, writer.size() - 1) + (writer.back() == '0' ? '1' : '0');
};

bool is_code(const http::response& got, std::string_view code) {
  return got.body.find("\"code\":\"" + std::string{code} + '"') != std::string::npos;
}
/// Whoever asks is let in, and may see what is asked of.
bool is_let_in(const http::response& got) {
  return got.status != 401 && got.status != 403
         && got.body.find("no such session\"") == std::string::npos
         && got.body.find("no such workflow\"") == std::string::npos
         && got.body.find("no such team\"") == std::string::npos;
}

}  // namespace

TEST_CASE("every row lets in whom it is for and nobody else") {
  matrix m;
  for (const auto& row : api::all_routes()) {
    const auto name = name_of(row);
    CAPTURE(name);
    const auto expected = expectations.find(name);
    REQUIRE_MESSAGE(expected != expectations.end(), "a row without an expectation");
    const auto who = expected->second;
    for (const auto& none : {std::string{}, m.bad, m.expired}) {
      const auto got = m.ask(row, "hers", none);
      CAPTURE(none);
      if (who == open_to::everybody || (who == open_to::local && none.empty())) {
        CHECK(got.status == 200);
        continue;
      }
      CHECK(got.status == 401);
      CHECK(got.find_header("WWW-Authenticate"));
      const bool has_body = row.media != "text/event-stream";
      CHECK(is_code(got, "unauthenticated") == has_body);
    }
    const std::pair<const std::string*, bool> held[] = {
        {&m.reader, who <= open_to::readers && who != open_to::local},
        {&m.writer, who <= open_to::writers && who != open_to::local},
        {&m.admin, true}};
    for (const auto& [token, may] : held) {
      const auto got = m.ask(row, "hers", *token);
      CAPTURE(got.status);
      CAPTURE(got.body);
      if (may)
        CHECK(is_let_in(got));
      else
        CHECK(is_code(got, "forbidden"));
      m.restore();
    }
  }
  CHECK(expectations.size() == api::all_routes().size());
}

TEST_CASE("what is another user's answers on every row exactly as what is not there") {
  matrix m;
  for (const auto& row : api::all_routes()) {
    if (row.scopes == api::no_scope || name_of(row) == "PUT {S}"
        || api::paths_of(row).front() == "/v1/global")
      continue;
    for (std::size_t i = 0; i < api::paths_of(row).size(); ++i) {
      const auto path = path_to(row, "hers", i);
      CAPTURE(path);
      if (path.starts_with("/v1/global"))
        continue;
      const auto foreign = m.ask(row, path, "hers", m.other),
                 absent = m.ask(row, path_to(row, "nobodys", i), "nobodys", m.other);
      CHECK(foreign.status == 404);
      CHECK(foreign.status == absent.status);
      CHECK(foreign.body == absent.body);
      CHECK(foreign.headers.size() == absent.headers.size());
    }
  }
  const std::string changes = R"({"changes":[{"scope":"session","id":")";
  const auto foreign = m.send("POST", "/v1/changes", changes + R"(hers","expected":1}]})", m.other);
  const auto absent = m.send("POST", "/v1/changes", changes + R"(none","expected":1}]})", m.other);
  CHECK(foreign.status == 404);
  CHECK(absent.status == 404);
  for (const auto* path : {"/v1/checkpoints", "/v1/checkpoints/x/restore"})
    for (const auto* id : {"hers", "none"})
      CHECK(m.send("POST", path, R"({"scope":"session","id":")" + std::string{id} + "\"}", m.other)
                .status
            == 404);
  CHECK(m.send("GET", "/v1/sessions", "", m.other).body == R"({"items":[],"next_cursor":null})");
  CHECK(m.send("GET", "/v1/sessions/hers", "", m.admin).status == 200);
}

TEST_CASE("a creation under an id of another user is 404 and a fork names the path of the id") {
  matrix m;
  REQUIRE(m.send("PUT", "/v1/sessions/own", "{}", m.other).status == 201);
  const auto fork = m.send("POST", "/v1/sessions/own/fork", R"({"id":"hers"})", m.other);
  CHECK(fork.status == 404);
  CHECK(fork.body.find(R"("code":"not_found","path":"/id")") != std::string::npos);
  const auto put = m.send("PUT", "/v1/sessions/hers", "{}", m.other);
  CHECK(put.status == 404);
  CHECK(put.body.find("ann") == std::string::npos);
}

TEST_CASE("no id in a body or a parameter leads to what is another user's") {
  matrix m;
  const auto his = [&](const char* method, const std::string& target,
                       const std::string& body = {}) {
    auto got = m.send(method, target, body, m.other);
    return std::to_string(got.status) + ' ' + got.body;
  };
  const auto like = [](std::string answer) {
    for (auto at = answer.find("hers"); at != std::string::npos; at = answer.find("hers"))
      answer.replace(at, 4, "none");
    return answer;
  };
  m.send("PATCH", "/v1/workflows/hers/state", R"({"k":"secret"})", m.writer);
  const auto pinned = m.send("POST", "/v1/sessions/hers/checkpoints", "{}", m.writer).body;
  const auto checkpoint = pinned.substr(pinned.find(R"("id":")") + 6, 32);
  REQUIRE(m.send("GET", "/v1/sessions/hers/checkpoints/" + checkpoint, "", m.writer).status == 200);
  CHECK(his("PUT", "/v1/sessions/his", R"({"user":"bob","workflow":"hers"})").starts_with("201"));
  CHECK(his("GET", "/v1/sessions/his/state?inherit=true")
        == R"(200 {"revision":1,"state":{},"sources":{}})");
  const auto merged = his("POST", "/v1/sessions/his/merge", R"({"from":"hers"})");
  CHECK(merged.starts_with("404"));
  CHECK(like(merged) == his("POST", "/v1/sessions/his/merge", R"({"from":"none"})"));
  for (const auto& id : {checkpoint, std::string(32, '0')}) {
    CHECK(has(his("GET", "/v1/sessions/his/checkpoints/" + id), R"("no such checkpoint")"));
    CHECK(his("POST", "/v1/sessions/his/checkpoints/" + id + "/restore").starts_with("404"));
    CHECK(his("POST", "/v1/sessions/his/fork", R"({"at":")" + id + "\"}").starts_with("404"));
  }
  CHECK(his("PUT", "/v1/sessions/hers").starts_with("404"));
  CHECK(his("POST", "/v1/sessions/his/fork", R"({"id":"hers"})").starts_with("404"));
  CHECK(his("POST", "/api/agent/quick", R"({"query":"x","context":{"session_id":"hers"}})")
            .starts_with("404"));
  const std::string keyed = R"({"agent":"a","request":{"q":1},"permissions":[]})";
  const auto cached = m.send("POST", "/v1/cache/key", keyed, m.writer).body.substr(8, 64);
  REQUIRE(m.send("PUT", "/v1/cache/" + cached, R"({"output":1,"agent":"a","request":{"q":1}})",
                 m.writer)
              .status
          == 204);
  CHECK(m.send("GET", "/v1/cache/" + cached, "", m.writer).status == 200);
  CHECK(his("GET", "/v1/cache/" + cached) == his("GET", "/v1/cache/" + std::string(64, '0')));
  CHECK_FALSE(has(m.send("POST", "/v1/cache/key", keyed, m.other).body, cached));
}

TEST_CASE("a share opens what is another's for reading or for writing") {
  matrix m;
  const auto share = [&](const char* access) {
    m.send("PATCH", "/v1/sessions/hers",
           R"({"shares":[{"user":"bob","access":")" + std::string{access} + "\"}]}", m.writer);
  };
  const auto put = [&] { return m.send("PUT", "/v1/sessions/hers/state/k", "1", m.other).status; };
  share("read");
  CHECK(m.send("GET", "/v1/sessions/hers", "", m.other).status == 200);
  CHECK(put() == 403);
  share("write");
  CHECK(put() == 200);
  m.send("PATCH", "/v1/sessions/hers", R"({"shares":[]})", m.writer);
  CHECK(put() == 404);
}

TEST_CASE("namespaces do not see each other even with an admin's token") {
  matrix m;
  const auto elsewhere = m.n.add_token({.name_space = "other", .held = api::role::admin});
  CHECK(m.send("GET", "/v1/sessions/hers", "", elsewhere).status == 404);
  const std::string hers = R"({"scope":"session","id":"hers"})";
  CHECK(m.send("POST", "/v1/changes", R"({"changes":[)" + hers + "]}", m.admin).status == 200);
  CHECK(m.send("POST", "/v1/changes",
               R"({"changes":[{"scope":"session","id":"hers","ops":[{"op":"delete","key":"k"}]}]})",
               elsewhere)
            .status
        == 404);
  CHECK(m.send("POST", "/v1/checkpoints", hers, elsewhere).status == 404);
  CHECK(m.send("POST", "/v1/admin/reap", "", elsewhere).body.find(R"("looked_at":0)")
        != std::string::npos);
  CHECK(m.send("POST", "/v1/admin/clear", R"({"namespace":"default"})", elsewhere).status == 422);
  CHECK(m.send("POST", "/v1/admin/clear", R"({"namespace":"other"})", elsewhere).status == 200);
  CHECK(m.send("GET", "/v1/sessions/hers", "", m.reader).status == 200);
}

TEST_CASE("two tokens and other schemes and tokens in the target are refused") {
  matrix m;
  const auto with = [&](std::vector<http::header> headers) {
    return m.n.send("GET", "/v1/stats", "", std::move(headers)).status;
  };
  CHECK(with({{"Authorization", "bearer " + m.reader}}) == 200);
  CHECK(with({{"Authorization", "Basic " + m.reader}}) == 401);
  CHECK(with({{"Authorization", m.reader}}) == 401);
  CHECK(with({{"Authorization", "Bearer " + m.reader}, {"Authorization", "Bearer " + m.reader}})
        == 400);
  CHECK(m.n.send("GET", "/v1/stats?access_token=" + m.reader).status == 401);
  CHECK(m.n.send("GET", "/v1/stats?access_token=" + m.reader, "",
                 {{"Authorization", "Bearer " + m.reader}})
            .status
        == 422);
}

TEST_CASE("an address that sends wrong tokens is told to wait and right ones are not") {
  node n{{.failed_logins = 3}};
  const auto good = n.add_token({.user = "ann", .held = api::role::reader});
  const auto with = [&](const std::string& token) {
    return n.send("GET", "/v1/stats", "", {{"Authorization", "Bearer " + token}});
  };
  for (int i = 0; i < 3; ++i)
    CHECK(with("troupe_guess").status == 401);
  const auto limited = with("troupe_guess");
  CHECK(limited.status == 429);
  CHECK(is_code(limited, "rate_limited"));
  CHECK(limited.body.find(R"("limit":3,"retry_after_ms":60000)") != std::string::npos);
  CHECK(*limited.find_header("Retry-After") == "60");
  CHECK(with(good).status == 200);
  CHECK(n.send("GET", "/v1/stats").status == 401);  // no guess
  n.advance(59'999);
  CHECK(with("troupe_guess").status == 429);
  n.advance(1);
  CHECK(with("troupe_guess").status == 401);
}

TEST_CASE("a user and a namespace beyond their rate are refused before any effect") {
  node n{{.name_space_rate = 5, .user_rate = 3}};
  const auto token = [&](const char* user, const char* name_space) {
    return http::header{
        "Authorization",
        "Bearer "
            + n.add_token({.user = user, .name_space = name_space, .held = api::role::writer})};
  };
  const auto ann = token("ann", "default"), bob = token("bob", "default"), eve = token("eve", "e");
  const auto put = [&](const http::header& who, const std::string& id) {
    return n.send("PUT", "/v1/sessions/" + id, "", {who});
  };
  for (const auto* id : {"a1", "a2", "a3"})
    CHECK(put(ann, id).status == 201);
  const auto refused = put(ann, "a4");
  CHECK(refused.status == 429);
  CHECK(refused.body.find(R"("limit":3,"retry_after_ms":334)") != std::string::npos);
  CHECK(put(bob, "b1").status == 201);
  CHECK(put(bob, "b2").status == 201);
  CHECK(put(bob, "b3").body.find(R"("limit":5)") != std::string::npos);  // ann's count, too
  CHECK(put(eve, "e1").status == 201);
  CHECK(n.send("GET", "/healthz").status == 200);
  n.advance(400);
  CHECK(put(ann, "a5").status == 201);
  CHECK(n.send("GET", "/v1/sessions/a4", "", {bob}).status == 404);
}

TEST_CASE("a stream ends when its token is revoked") {
  matrix m;
  raw_peer hers{m.n.port()}, admins{m.n.port()};
  for (auto& [peer, token] : {std::pair{&hers, &m.writer}, std::pair{&admins, &m.admin}}) {
    peer->send("GET /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + *token
               + "\r\n\r\n");
    CHECK(status_of(peer->until("retry: 1000\n\n\r\n")) == 200);
  }
  m.n.reload_tokens();  // nothing has changed
  m.send("PUT", "/v1/sessions/hers/state/k", "1", m.writer);
  CHECK(has(hers.until("\n\n"), "state_set"));
  CHECK(has(admins.until("\n\n"), "state_set"));
  m.n.revoke_tokens();
  for (auto* peer : {&hers, &admins}) {
    CHECK(has(peer->until("0\r\n\r\n"), "0\r\n\r\n"));
    CHECK(peer->closed());
  }
  CHECK(m.send("GET", "/v1/stats", "", m.writer).status == 401);
}

TEST_CASE("a stream of all tells a user what is theirs alone and refuses the children of others") {
  matrix m;
  raw_peer peer{m.n.port()};
  peer.send("GET /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + m.other + "\r\n\r\n");
  CHECK(status_of(peer.until("retry: 1000\n\n\r\n")) == 200);
  m.send("PUT", "/v1/sessions/hers/state/k", "1", m.writer);
  m.send("PUT", "/v1/sessions/his", R"({"user":"bob"})", m.other);
  CHECK(has(peer.until("\n\n"), R"("id":"his")"));
  CHECK(m.send("GET", "/v1/workflows/hers/events?children=true", "", m.reader).status == 403);
  CHECK(m.send("GET", "/v1/global/events?children=true", "", m.reader).status == 403);
}

TEST_CASE("a stream ends when the share that opened it is taken back") {
  matrix m;
  const auto share = [&](const char* shares) {
    REQUIRE(
        m.send("PATCH", "/v1/sessions/hers", R"({"shares":)" + std::string{shares} + '}', m.writer)
            .status
        == 200);
  };
  const auto set = [&] { m.send("PUT", "/v1/sessions/hers/state/k", "1", m.writer); };
  share(R"([{"user":"bob","access":"read"}])");
  raw_peer all{m.n.port()}, some{m.n.port()}, hers{m.n.port()};
  const auto follow = [&](raw_peer& peer, const std::string& query, const std::string& token) {
    peer.send("GET /v1/sessions/hers/events" + query
              + " HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + token + "\r\n\r\n");
    REQUIRE(status_of(peer.until("retry: 1000\n\n\r\n")) == 200);
  };
  follow(all, "", m.other);
  follow(some, "?events=state_set", m.other);
  follow(hers, "?events=state_set", m.reader);
  set();
  for (auto* peer : {&all, &some, &hers})
    CHECK(has(peer->until("\n\n\r\n"), "state_set"));
  share(R"([{"user":"bob","access":"write"}])");  // still may
  CHECK(has(all.until("\n\n\r\n"), "shares_set"));
  share("[]");
  for (auto* peer : {&all, &some})  // at once: nothing else needs to happen
    CHECK(peer->until("0\r\n\r\n") == "0\r\n\r\n");
  m.send("PUT", "/v1/sessions/hers/state/k", "2", m.writer);
  CHECK(has(hers.until("\n\n\r\n"), "state_set"));
}

TEST_CASE("checkpoints of all scopes are made and brought back only by who may write all of them") {
  matrix m;
  REQUIRE(m.send("PUT", "/v1/sessions/his", R"({"user":"bob","workflow":"hers"})", m.other).status
          == 201);
  const std::string of = R"({"scope":"session","id":"his"})";
  CHECK(m.send("POST", "/v1/checkpoints", of, m.other).status == 404);
  const auto made = m.send("POST", "/v1/checkpoints", of, m.admin);
  REQUIRE(made.status == 201);
  const auto restore = "/v1/checkpoints/" + made.body.substr(7, 32) + "/restore";
  const auto revision = [&] { return m.send("GET", "/v1/workflows/hers", "", m.writer).body; };
  const auto before = revision();
  CHECK(m.send("POST", restore, of, m.other).status == 404);
  CHECK(revision() == before);
  CHECK(m.send("POST", restore, of, m.admin).status == 200);
}

TEST_CASE("what a writer makes is its user's unless it says that it is nobody's") {
  node n;
  const auto of = [&](const char* user) {
    return http::header{"Authorization",
                        "Bearer " + n.add_token({.user = user, .held = api::role::writer})};
  };
  const auto ann = of("ann"), bob = of("bob");
  const auto owner = [](const http::response& made) {
    const auto body = value_from_json(made.body);
    const auto user = body ? body->view().find("user") : std::nullopt;
    return std::to_string(made.status) + ' ' + std::string{user ? *user->as_string() : "-"};
  };
  CHECK(owner(n.send("POST", "/v1/sessions", "", {ann})) == "201 ann");
  for (const auto* kind : {"sessions", "workflows", "teams"}) {
    const auto hers = "/v1/" + std::string{kind} + "/hers";
    CHECK(owner(n.send("PUT", hers, R"({"tags":["x"]})", {ann})) == "201 ann");
    CHECK(n.send("GET", hers, "", {bob}).status == 404);
    CHECK(n.send("DELETE", hers, "", {bob}).status == 404);
  }
  CHECK(owner(n.send("PUT", "/v1/users/ann", "", {ann})) == "201 ");
  CHECK(owner(n.send("PUT", "/v1/global", "", {ann})) == "201 ");
  CHECK(n.send("PATCH", "/v1/global/state", R"({"k":1})", {bob}).status == 200);
  CHECK(n.send("DELETE", "/v1/global", "", {bob}).status == 403);
}

TEST_CASE("what nobody owns every writer of the namespace may change and share and delete") {
  node n;
  const auto of = [&](const char* user, api::role held) {
    return http::header{"Authorization", "Bearer " + n.add_token({.user = user, .held = held})};
  };
  const auto ann = of("ann", api::role::writer), bob = of("bob", api::role::writer),
             eve = of("eve", api::role::reader);
  const std::string shared = "/v1/sessions/all";
  CHECK(has(n.send("PUT", shared, R"({"user":""})", {ann}).body, R"("user":"")"));
  CHECK(n.send("PATCH", shared, R"({"shares":[{"user":"ann","access":"read"}]})", {ann}).status
        == 200);
  CHECK(n.send("PUT", shared + "/state/k", "1", {bob}).status == 200);  // shares close nothing
  CHECK(n.send("GET", shared + "/state/k", "", {eve}).status == 200);
  CHECK(n.send("PUT", shared + "/state/k", "2", {eve}).status == 403);
  CHECK(n.send("POST", shared + "/fork", R"({"id":"his"})", {bob}).status == 201);
  CHECK(n.send("GET", "/v1/sessions/his", "", {ann}).status == 404);  // a fork is its maker's
  CHECK(n.send("DELETE", shared, "", {bob}).status == 204);
}

TEST_CASE("a token that does not hold is told so and a request without one is asked for it") {
  node n;
  const auto ann = n.add_token({.user = "ann", .held = api::role::writer});
  const auto says = [&](const std::string& method, const std::string& target,
                        const std::string& authorization) {
    std::vector<http::header> headers;
    if (!authorization.empty())
      headers.push_back({"Authorization", authorization});
    return n.send(method, target, "", std::move(headers)).body;
  };
  CHECK(has(says("GET", "/v1/stats", ""), "asks for an access token"));
  CHECK(has(says("GET", "/v1/stats", "Basic YTpi"), "asks for an access token"));
  CHECK(has(says("GET", "/v1/stats", "Bearer troupe_0123456789abcdef_no"),
            "this token is unknown, revoked or has expired"));
  CHECK(has(says("POST", "/v1/admin/reap", "Bearer " + ann), "this route is for an admin"));
}
