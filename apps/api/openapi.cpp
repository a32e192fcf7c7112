#include <troupe/state/json.hpp>

#include "api/route.hpp"

#include <algorithm>
#include <iterator>
#include <map>
#include <string>
#include <utility>

namespace troupe::api {

namespace {

std::string json_text(std::string_view text) {
  std::string out;
  append_json_string(out, text);
  return out;
}

/// Joins with commas.
class list {
public:
  void add(const std::string& part) { text_ += (text_.empty() ? "" : ",") + part; }
  [[nodiscard]] const std::string& text() const { return text_; }

private:
  std::string text_;
};

/// "get_sessions_state_key"
std::string operation_id(const route& r, std::string_view path) {
  std::string out;
  for (const char c : r.method)
    out += static_cast<char>(c - 'A' + 'a');
  if (path == "/")
    return out + "_page";
  for (const char c : path.starts_with("/v1") ? path.substr(3) : path) {
    if (c == '/' || c == '-' || c == '.')
      out += '_';
    else if (c != '{' && c != '}')
      out += c;
  }
  return out;
}

std::string parameter(std::string_view name, std::string_view place, const std::string& schema) {
  return R"({"name":)" + json_text(name) + R"(,"in":")" + std::string{place} + R"(","required":)"
         + (place == "path" ? "true" : "false") + R"(,"schema":)" + schema + '}';
}

constexpr std::string_view event_stream = "text/event-stream";

std::string query_schema(const route& r, std::string_view name) {
  if (r.media == event_stream && name == "after")
    return R"({"type":"string"})";  // a cursor
  for (const auto* number :
       {"limit", "last", "after", "before", "max_bytes", "ttl_s", "from", "to"})
    if (name == number)
      return R"({"type":"integer","minimum":0})";
  for (const auto* flag : {"children", "inherit", "pair_safe"})
    if (name == flag)
      return R"({"type":"boolean"})";
  if (name == "consistency")
    return R"({"type":"string","enum":["committed","latest"]})";
  if (name == "format")
    return R"({"type":"string","enum":["jsonl","msgpack","markdown"]})";
  if (name == "status")
    return R"({"type":"string","enum":["active","hibernated"]})";
  return R"({"type":"string"})";
}

const std::string text_schema = R"({"type":"string"})";

/// Those that answer 304 to `If-None-Match`.
bool is_conditional(const route& r) {
  constexpr std::string_view all[] = {"{S}", "{S}/state", "{S}/state/{key}", "{S}/items"};
  return r.method == "GET" && std::ranges::find(all, r.pattern) != std::end(all);
}

std::string parameters_of(const route& r, std::string_view path) {
  list out;
  for (auto at = path.find('{'); at != std::string_view::npos; at = path.find('{', at + 1))
    out.add(parameter(path.substr(at + 1, path.find('}', at) - at - 1), "path",
                      R"({"type":"string","minLength":1})"));
  for (auto names = r.query; !names.empty();) {
    const auto name = names.substr(0, names.find(' '));
    names.remove_prefix(std::min(names.size(), name.size() + 1));
    out.add(parameter(name.ends_with('.') ? std::string{name} + "KEY" : std::string{name}, "query",
                      query_schema(r, name)));
  }
  if (r.media == event_stream)
    out.add(parameter("Last-Event-ID", "header", text_schema));
  if (is_conditional(r))
    out.add(parameter("If-None-Match", "header", text_schema));
  if (r.needs != role::reader && r.pattern.starts_with("{S}")) {
    for (const auto* header : {"If-Match", "Idempotency-Key", "Prefer"})
      out.add(parameter(header, "header", text_schema));
    if (r.method == "PUT")
      out.add(parameter("If-None-Match", "header", R"({"const":"*"})"));
  }
  if (r.pattern == "/api/agent/quick") {
    for (const auto* header : {"Accept", "Idempotency-Key", "Prefer"})
      out.add(parameter(header, "header", text_schema));
  }
  return out.text();
}

std::string content(const std::string& schema, std::string_view example = {}) {
  const auto shown = example.empty() ? std::string{} : R"(,"example":)" + std::string{example};
  return R"({"application/json":{"schema":)" + schema + shown
         + R"(},"application/msgpack":{"schema":)" + schema + "}}";
}

/// Types that are not described further: `"text/plain":{"schema":{"type":"string"}}`, ...
std::string texts_of(std::string_view media) {
  list out;
  for (auto names = media; !names.empty();) {
    const auto name = names.substr(0, names.find(' '));
    names.remove_prefix(std::min(names.size(), name.size() + 1));
    out.add(json_text(name) + R"(:{"schema":)" + text_schema + '}');
  }
  return out.text();
}

std::string success(const route& r) {
  std::string out = R"({"description":)" + json_text(r.summary);
  if (r.shows)
    out += R"(,"content":)" + content(r.shows());
  if (!r.media.empty())
    out += R"(,"content":{)" + texts_of(r.media) + '}';
  return out + '}';
}

std::string operation(const route& r, std::string_view path) {
  std::string out = R"({"operationId":)" + json_text(operation_id(r, path)) + R"(,"summary":)"
                    + json_text(r.summary) + R"(,"x-role":)" + json_text(to_string(r.needs));
  if (const auto parameters = parameters_of(r, path); !parameters.empty())
    out += R"(,"parameters":[)" + parameters + ']';
  if (r.body)
    out += R"(,"requestBody":{"content":)" + content(r.body(), example_of(r)) + '}';
  else if (!r.takes.empty())
    out += R"(,"requestBody":{"content":{)" + texts_of(r.takes) + "}}";
  out += R"(,"responses":{")" + std::to_string(r.status) + "\":" + success(r);
  if (r.method == "PUT" && r.status == 201)
    out += R"(,"200":)" + success(r);  // it was there
  if (is_conditional(r))
    out += R"(,"304":{"description":"As `If-None-Match` has it: nothing has changed"})";
  if (r.receipt)
    out += R"(,"200":{"description":"With a receipt, which `erase=true` asks for","content":)"
           + content(r.receipt()) + '}';
  return out
         + R"(,"4XX":{"$ref":"#/components/responses/problem"})"
           R"(,"5XX":{"$ref":"#/components/responses/problem"}}})";
}

constexpr std::string_view head =
    R"({"openapi":"3.1.0","info":{"title":"Troupe","version":"1","summary":"State of AI agents",)"
    R"("license":{"name":"Apache-2.0","identifier":"Apache-2.0"}},"servers":[{"url":"/"}],)"
    R"("security":[{"token":[]},{}],"components":{"securitySchemes":{"token":)"
    R"({"type":"http","scheme":"bearer"}},"responses":{"problem":{"description":"RFC 9457","content":)"
    R"({"application/problem+json":{"schema":{"$ref":"#/components/schemas/problem"}}}}},)"
    R"("schemas":{"problem":{"type":"object","properties":{"type":{"type":"string"},)"
    R"("title":{"type":"string"},"status":{"type":"integer"},"detail":{"type":"string"},)"
    R"("code":{"type":"string"},"path":{"type":"string"},"current_revision":{"type":"integer"},)"
    R"("limit":{"type":"integer"},"retry_after_ms":{"type":"integer"},)"
    R"("request_id":{"type":"string"},"details":{}},)"
    R"("required":["type","title","status","detail","code"]}}},"paths":{)";

std::string make_document() {
  std::map<std::string, list> paths;
  for (const auto& r : all_routes()) {
    std::string method{r.method};
    for (auto& c : method)
      c = static_cast<char>(c - 'A' + 'a');
    for (const auto& path : paths_of(r))
      paths[path].add(json_text(method) + ':' + operation(r, path));
  }
  list all;
  for (const auto& [path, operations] : paths)
    all.add(json_text(path) + ":{" + operations.text() + '}');
  return std::string{head} + all.text() + "}}";
}

}  // namespace

const std::string& openapi_document() {
  static const auto document = make_document();
  return document;
}

}  // namespace troupe::api
