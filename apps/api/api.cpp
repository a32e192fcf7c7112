#include "api/api.hpp"

#include "api/decode.hpp"
#include "api/shapes.hpp"
#include "api/status.hpp"
#include "http/problem.hpp"

#include <algorithm>
#include <initializer_list>
#include <memory>
#include <string>
#include <utility>

namespace troupe::api {

namespace {

/// One request on its way through: what was asked, of whom, and who waits for the answer. Shared by
/// the callbacks.
struct call {
  http::request request;
  http::parsed_target target;
  http::responder respond;
  entity_ref entity{};

  void refuse(const error& why) { respond(to_response(why)); }
};
using call_ptr = std::shared_ptr<call>;

/// Reads the committed state and answers `shape(state)`; 404 without a live session.
template <class Shape>
void read(runtime& backend, const call_ptr& c, Shape shape) {
  backend.read(c->entity, [c, shape](expected<runtime::snapshot> state) {
    if (!state)
      return c->refuse(state.error());
    if (!(*state)->live())
      return c->refuse({errc::not_found, "no such session"});
    c->respond(shape(**state));
  });
}

/// Executes a command under `If-Match` and answers `shape(result)`.
template <class Shape>
void execute(runtime& backend, const call_ptr& c, operation what, Shape shape) {
  if (c->request.find_header("Idempotency-Key"))
    return c->refuse(
        {errc::not_supported,
         "this version does not remember idempotency keys yet; send the request without"});
  const auto expected_revision = decode_if_match(c->request);
  if (!expected_revision)
    return c->refuse(expected_revision.error());
  backend.execute({.entity = c->entity,
                   .operations = {std::move(what)},
                   .expected_revision = *expected_revision},
                  [c, shape](expected<command_result> result) {
                    if (!result)
                      return c->refuse(result.error());
                    c->respond(shape(*result));
                  });
}

// Routes -----------------------------------------------------------------------------------------

void put_session(runtime& backend, const call_ptr& c) {
  if (auto ok = no_query(c->target); !ok)
    return c->refuse(ok.error());
  auto command = decode_create(c->request);
  if (!command)
    return c->refuse(command.error());
  if (const auto* header = c->request.find_header("If-None-Match")) {
    if (*header != "*")
      return c->refuse({errc::malformed, "If-None-Match on PUT is `*`: create, or fail"});
    command->only_if_absent = true;
  }
  execute(backend, c, *std::move(command), [c, &backend](const command_result& result) {
    return info_answer(*result.state, c->entity.id, result.created ? 201 : 200, backend.now());
  });
}

void get_session(runtime& backend, const call_ptr& c) {
  if (auto ok = no_query(c->target); !ok)
    return c->refuse(ok.error());
  read(backend, c, [c, &backend](const entity_state& state) {
    return info_answer(state, c->entity.id, 200, backend.now());
  });
}

void delete_one(runtime& backend, const call_ptr& c) {
  if (auto ok = no_query(c->target); !ok)
    return c->refuse(ok.error());
  execute(backend, c, erase{}, [](const outcome&) { return deleted_answer(); });
}

void post_items(runtime& backend, const call_ptr& c) {
  if (auto ok = no_query(c->target); !ok)
    return c->refuse(ok.error());
  auto command = decode_append(c->request);
  if (!command)
    return c->refuse(command.error());
  execute(backend, c, *std::move(command),
          [](const outcome& answer) { return append_answer(answer); });
}

void get_items(runtime& backend, const call_ptr& c) {
  const auto page = decode_item_page(c->target);
  if (!page)
    return c->refuse(page.error());
  read(backend, c, [page = *page](const entity_state& state) { return items_answer(state, page); });
}

void get_state(runtime& backend, const call_ptr& c) {
  if (auto ok = no_query(c->target); !ok)
    return c->refuse(ok.error());
  read(backend, c,
       [&backend](const entity_state& state) { return state_answer(state, backend.now()); });
}

void patch_keys(runtime& backend, const call_ptr& c) {
  if (auto ok = no_query(c->target); !ok)
    return c->refuse(ok.error());
  auto command = decode_patch(c->request);
  if (!command)
    return c->refuse(command.error());
  execute(backend, c, *std::move(command),
          [](const outcome& answer) { return revision_answer(answer); });
}

// The table --------------------------------------------------------------------------------------

struct route {
  std::string_view method;
  std::string_view part;  // behind /v1/sessions/{id}
  void (*run)(runtime&, const call_ptr&);
};

constexpr route session_routes[] = {
    {"PUT", "", put_session},       {"GET", "", get_session},    {"DELETE", "", delete_one},
    {"POST", "items", post_items},  {"GET", "items", get_items}, {"GET", "state", get_state},
    {"PATCH", "state", patch_keys},
};

http::response not_allowed(std::string allowed) {
  auto out = to_response({errc::method_not_allowed, "this route has " + allowed});
  out.headers.push_back({"Allow", std::move(allowed)});
  return out;
}

http::response no_route() {
  return to_response({errc::not_found, "no such route; see docs/http.md"});
}

/// A page from elsewhere that a browser was told to find here names another host (DNS rebinding).
bool is_own_host(const http::request& request) {
  const auto* header = request.find_header("Host");
  if (!header)
    return true;  // HTTP/1.0
  const std::string_view host = *header;
  const auto end = host.rfind(':');
  const bool port = end != std::string_view::npos && host.find(']', end) == std::string_view::npos;
  return http::is_loopback(port ? host.substr(0, end) : host);
}

/// HEAD is GET whose body the server leaves out.
std::string_view route_method(const http::request& request) {
  return request.method == "HEAD" ? std::string_view{"GET"} : std::string_view{request.method};
}

void run_session_route(runtime& backend, const call_ptr& c) {
  const std::string_view part =
      c->target.segments.size() == 4 ? std::string_view{c->target.segments[3]} : "";
  std::string allowed;
  for (const auto& r : session_routes) {
    if (r.part != part)
      continue;
    if (r.method == route_method(c->request))
      return r.run(backend, c);
    allowed += (allowed.empty() ? "" : ", ") + std::string{r.method};
  }
  c->respond(allowed.empty() ? no_route() : not_allowed(std::move(allowed)));
}

}  // namespace

service::service(runtime& backend, std::function<std::array<std::uint64_t, 2>()> random)
    : backend_{backend},
      random_{std::move(random)} {}

void service::operator()(http::request request, http::responder respond) {
  if (!is_own_host(request))
    return respond(to_response(
        {errc::misdirected,
         "this node answers on loopback only: ask http://127.0.0.1 or http://localhost"}));
  auto target = http::parse_target(request.target);
  if (!target)
    return respond(to_response(target.error()));
  const auto& path = target->segments;
  const auto method = route_method(request);
  if (path.size() == 1 && (path[0] == "healthz" || path[0] == "readyz")) {
    if (method != "GET")
      return respond(not_allowed("GET"));
    if (path[0] == "readyz" && draining_)
      return respond(to_response({errc::draining, "the node is shutting down"}));
    return respond({.body = R"({"status":"ok"})"});
  }
  if (path.size() < 2 || path.size() > 4 || path[0] != "v1" || path[1] != "sessions"
      || (path.size() == 4 && path[3].empty()))
    return respond(no_route());

  auto c = std::make_shared<call>(call{std::move(request), *std::move(target), std::move(respond)});
  if (c->target.segments.size() == 2) {
    if (c->request.method != "POST")
      return c->respond(not_allowed("POST"));
    c->entity = session_ref(id_from_random(random_()));
    return put_session(backend_, c);
  }
  auto id = checked_id(c->target.segments[2]);
  if (!id)
    return c->refuse(id.error());
  c->entity = session_ref(*std::move(id));
  run_session_route(backend_, c);
}

}  // namespace troupe::api
