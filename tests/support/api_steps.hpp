#pragma once

#include "api/route.hpp"

#include <string>
#include <vector>

/// Requests that go through every row of the route table.
namespace troupe::testing {

/// "PATCH {S}/state"
inline std::string name_of(const api::route& r) {
  return std::string{r.method} + ' ' + std::string{r.pattern};
}

/// A path of the row, the first or another of `paths_of`, of an entity with this id.
inline std::string path_to(const api::route& r, const std::string& id, std::size_t which = 0) {
  auto path = api::paths_of(r).at(which);
  for (auto at = path.find('{'); at != std::string::npos; at = path.find('{')) {
    const auto end = path.find('}', at);
    const auto name = path.substr(at + 1, end - at - 1);
    path.replace(at, end + 1 - at,
                 name == "id"     ? id
                 : name == "n"    ? "1"
                 : name == "file" ? "chart.js"
                                  : "x");
  }
  return path;
}

struct step {
  const char* method;
  const char* target;
  const char* body;
  int status;
  const char* type = "application/json";  // of the body
};

// One life of every kind of entity, through every row.
inline const std::string key(64, 'a');
inline const std::vector<step> steps = {
    {"GET", "/", "", 200},
    {"GET", "/dashboard/chart.js", "", 200},
    {"GET", "/healthz", "", 200},
    {"GET", "/readyz", "", 200},
    {"GET", "/openapi.json", "", 200},
    {"GET", "/v1/stats", "", 200},
    {"GET", "/v1/nodes", "", 200},
    {"GET", "/metrics", "", 200},
    {"PUT", "/v1/users/ann", R"({"metadata":{"n":1}})", 201},
    {"PUT", "/v1/global", "", 201},
    {"PUT", "/v1/teams/t", R"({"tags":["x"]})", 201},
    {"PUT", "/v1/workflows/w", R"({"team":"t"})", 201},
    {"PUT", "/v1/sessions/s",
     R"({"user":"ann","workflow":"w","metadata":{"channel":"web"},"tags":["a"],"ttl_s":60,)"
     R"("policy":{"token_budget":10,"loop_limit":2}})",
     201},
    {"PUT", "/v1/sessions/s", "", 200},
    {"POST", "/v1/sessions", R"({"user":"ann"})", 201},
    {"GET", "/v1/sessions/s", "", 200},
    {"PATCH", "/v1/sessions/s",
     R"({"metadata":{"channel":null,"k":[1]},"shares":[{"user":"bob","access":"read"}],"ttl_s":0})",
     200},
    {"GET", "/v1/sessions?tag=a&user=ann", "", 200},
    {"GET", "/v1/workflows", "", 200},
    {"GET", "/v1/teams?tag=x", "", 200},
    {"GET", "/v1/users?metadata.n=1", "", 200},
    {"PATCH", "/v1/sessions/s/state", R"({"a":1,"b":{"c":[1.5,null]}})", 200},
    {"PATCH", "/v1/global/state", R"({"g":true})", 200},
    {"GET", "/v1/sessions/s/state?inherit=true", "", 200},
    {"GET", "/v1/sessions/s/state?keys=a,b&consistency=latest", "", 200},
    {"PUT", "/v1/sessions/s/state/k", R"("v")", 200},
    {"GET", "/v1/sessions/s/state/k", "", 200},
    {"DELETE", "/v1/sessions/s/state/k", "", 204},
    {"POST", "/v1/sessions/s/items", R"({"items":[{"role":"user","content":"hi"},{}]})", 201},
    {"GET", "/v1/sessions/s/items?limit=1&after=0", "", 200},
    {"GET", "/v1/sessions/s/items?last=5&pair_safe=true", "", 200},
    {"POST", "/v1/sessions/s/checkpoints", R"({"name":"n","tags":["t"],"metadata":{"m":1}})", 201},
    {"GET", "/v1/sessions/s/checkpoints", "", 200},
    {"GET", "/v1/sessions/s/checkpoints/00000000000000010000000000000002", "", 200},
    {"POST", "/v1/sessions/s/items/pop", R"({"count":1})", 200},
    {"POST", "/v1/sessions/s/undo", R"({"steps":1})", 200},
    {"POST", "/v1/sessions/s/redo", "", 200},
    {"POST", "/v1/sessions/s/checkpoints/00000000000000010000000000000002/restore", "", 200},
    {"GET", "/v1/sessions/s/revisions/3", "", 200},
    {"GET", "/v1/sessions/s/diff?from=1", "", 200},
    {"POST", "/v1/sessions/s/fork", R"({"id":"f"})", 201},
    {"GET", "/v1/sessions/s/forks", "", 200},
    {"POST", "/v1/sessions/f/items", R"({"items":[{"role":"user","content":"fork"}]})", 201},
    {"POST", "/v1/sessions/s/merge", R"({"from":"f"})", 200},
    {"DELETE", "/v1/sessions/s/checkpoints/00000000000000010000000000000002", "", 204},
    {"POST", "/v1/sessions/s/usage", R"({"prompt_tokens":12,"completion_tokens":3})", 200},
    {"GET", "/v1/sessions/s/usage", "", 200},
    {"DELETE", "/v1/sessions/s/usage", "", 204},
    {"PUT", "/v1/sessions/s/todos",
     R"({"todos":[{"id":"1","content":"c","status":"pending","priority":"high"}]})", 200},
    {"PATCH", "/v1/sessions/s/todos", R"({"todos":[{"id":"2","content":"d"}],"removed":["1"]})",
     200},
    {"GET", "/v1/sessions/s/todos", "", 200},
    {"POST", "/v1/sessions/s/loop-history", R"({"tool":"search","arguments":{"q":1}})", 200},
    {"GET", "/v1/sessions/s/loop-history", "", 200},
    {"DELETE", "/v1/sessions/s/loop-history", "", 204},
    {"PATCH", "/v1/sessions/s/variables", R"({"variables":{"df":"DataFrame"},"cell_count":3})",
     200},
    {"GET", "/v1/sessions/s/variables", "", 200},
    {"GET", "/v1/sessions/s/export", "", 200},
    {"GET", "/v1/sessions/s/events?events=state_set", "", 200},
    {"GET", "/v1/events?scopes=session,team", "", 200},
    {"POST", "/v1/changes",
     R"({"changes":[{"scope":"session","id":"s","ops":[{"op":"add","key":"n","by":1}]},)"
     R"({"scope":"global","expected":2}]})",
     200},
    {"POST", "/v1/checkpoints",
     R"({"scope":"session","id":"s","name":"n","tags":["t"],"metadata":{"m":1}})", 201},
    {"POST", "/v1/checkpoints/00000000000000010000000000000002/restore",
     R"({"scope":"session","id":"s"})", 200},
    {"PUT", "/v1/workflows/w/nodes", R"({"nodes":[{"id":"a"},{"id":"b","after":["a"]}]})", 200},
    {"PATCH", "/v1/workflows/w/nodes/a", R"({"status":"running"})", 200},
    {"PATCH", "/v1/workflows/w/nodes/a", R"({"status":"done","result":{"x":1}})", 200},
    {"GET", "/v1/workflows/w/nodes", "", 200},
    {"PUT", "/v1/teams/t/members", R"({"members":[{"name":"p","role":"r"},{"name":"q"}]})", 200},
    {"GET", "/v1/teams/t/members", "", 200},
    {"POST", "/v1/teams/t/messages", R"({"from":"p","to":"q","body":{"text":"x"}})", 201},
    {"GET", "/v1/teams/t/messages?member=q", "", 200},
    {"POST", "/v1/cache/key", R"({"agent":"a","request":{"q":1},"permissions":[]})", 200},
    {"PUT", "/v1/cache/KEY",
     R"({"output":{"x":1},"agent":"a","request":{"q":1},"content_hash":"h","tags":["t"],"ttl_s":60})",
     204},
    {"GET", "/v1/cache/KEY", "", 200},
    {"GET", "/v1/cache/stats", "", 200},
    {"POST", "/v1/cache/invalidate", R"({"tag":"t"})", 200},
    {"DELETE", "/v1/cache/KEY", "", 204},
    {"POST", "/api/agent/quick",
     R"({"query":"Hi","context":{"session_id":"q","notebook_id":"nb","variables":{"df":"int"}}})",
     200},
    {"GET", "/api/sessions/q", "", 200},
    {"GET", "/api/sessions/q/history?max_turns=1", "", 200},
    {"DELETE", "/api/sessions/q", "", 200},
    {"DELETE", "/v1/sessions/s/items", "", 204},
    {"DELETE", "/v1/sessions/s", "", 204},
    {"POST", "/v1/import",
     R"({"troupe":1,"namespace":"elsewhere","kind":"session","id":"i","status":"live","revision":7,)"
     R"("first_revision":7,"content_revision":7,"created_ms":1,"last_activity_ms":2,"last_seq":0,)"
     R"("redo":null,"entries":0,"items":0})",
     201, "application/jsonl"},
    {"POST", "/v1/admin/backup", R"({"name":"b","compacting":true})", 201},
    {"POST", "/v1/admin/compact", R"({"kept_bytes":0})", 200},
    {"POST", "/v1/admin/reap", R"({"max_age_s":3600,"scopes":["session","team"]})", 200},
    {"POST", "/v1/admin/clear", R"({"namespace":"default"})", 200},
};

inline std::string with_key(std::string target) {
  if (const auto at = target.find("KEY"); at != std::string::npos)
    target.replace(at, 3, key);
  return target;
}

}  // namespace troupe::testing
