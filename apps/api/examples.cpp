#include "api/route.hpp"

#include <algorithm>

/// A body for each row that takes one, as `/openapi.json` shows it. The contract test sends them.
namespace troupe::api {

namespace {

struct example {
  std::string_view method, pattern, body;
};
constexpr example examples[] = {
    {"PUT", "{S}",
     R"({"user":"ann","workflow":"w","metadata":{"channel":"web"},"tags":["a"],"ttl_s":60,)"
     R"("policy":{"token_budget":10,"loop_limit":2}})"},
    {"PATCH", "{S}",
     R"({"metadata":{"channel":null,"k":[1]},"shares":[{"user":"bob","access":"read"}],"ttl_s":0})"},
    {"POST", "/v1/sessions", R"({"user":"ann"})"},
    {"PATCH", "{S}/state", R"({"a":1,"b":{"c":[1.5,null]}})"},
    {"PUT", "{S}/state/{key}", R"("v")"},
    {"POST", "{S}/items", R"({"items":[{"role":"user","content":"hi"},{}]})"},
    {"POST", "{S}/items/pop", R"({"count":1})"},
    {"POST", "{S}/checkpoints", R"({"name":"n","tags":["t"],"metadata":{"m":1}})"},
    {"POST", "{S}/undo", R"({"steps":1})"},
    {"POST", "{S}/fork", R"({"id":"f"})"},
    {"POST", "{S}/merge", R"({"from":"f"})"},
    {"POST", "{S}/usage", R"({"prompt_tokens":12,"completion_tokens":3})"},
    {"PUT", "{S}/todos",
     R"({"todos":[{"id":"1","content":"c","status":"pending","priority":"high"}]})"},
    {"PATCH", "{S}/todos", R"({"todos":[{"id":"2","content":"d"}],"removed":["1"]})"},
    {"POST", "{S}/loop-history", R"({"tool":"search","arguments":{"q":1}})"},
    {"PATCH", "{S}/variables", R"({"variables":{"df":"DataFrame"},"cell_count":3})"},
    {"POST", "/v1/changes",
     R"({"changes":[{"scope":"session","id":"s","ops":[{"op":"add","key":"n","by":1}]},)"
     R"({"scope":"global","expected":2}]})"},
    {"POST", "/v1/checkpoints",
     R"({"scope":"session","id":"s","name":"n","tags":["t"],"metadata":{"m":1}})"},
    {"POST", "/v1/checkpoints/{cid}/restore", R"({"scope":"session","id":"s"})"},
    {"PUT", "{S}/nodes", R"({"nodes":[{"id":"a"},{"id":"b","after":["a"]}]})"},
    {"PATCH", "{S}/nodes/{node}", R"({"status":"done","result":{"x":1}})"},
    {"PUT", "{S}/members", R"({"members":[{"name":"p","role":"r"},{"name":"q"}]})"},
    {"POST", "{S}/messages", R"({"from":"p","to":"q","body":{"text":"x"}})"},
    {"POST", "/v1/cache/key", R"({"agent":"a","request":{"q":1},"permissions":[]})"},
    {"PUT", "/v1/cache/{key}",
     R"({"output":{"x":1},"agent":"a","request":{"q":1},"content_hash":"h","tags":["t"],"ttl_s":60})"},
    {"POST", "/v1/cache/invalidate", R"({"tag":"t"})"},
    {"POST", "/api/agent/quick",
     R"({"query":"Hi","context":{"session_id":"q","notebook_id":"nb","variables":{"df":"int"}}})"},
    {"POST", "/v1/admin/reap", R"({"max_age_s":3600,"scopes":["session","team"]})"},
    {"POST", "/v1/admin/clear", R"({"namespace":"default"})"},
    {"POST", "/v1/admin/backup", R"({"name":"b","compacting":true})"},
    {"POST", "/v1/admin/compact", R"({"kept_bytes":0})"},
};

}  // namespace

std::string_view example_of(const route& what) {
  const auto* at = std::ranges::find_if(examples, [&](const example& one) {
    return one.method == what.method && one.pattern == what.pattern;
  });
  return at == std::end(examples) ? std::string_view{} : at->body;
}

}  // namespace troupe::api
