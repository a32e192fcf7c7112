#include "api/api.hpp"

#include "api/origin.hpp"
#include "api/request_id.hpp"
#include "api/route.hpp"
#include "api/status.hpp"
#include <spdlog/spdlog.h>

#include <algorithm>
#include <memory>
#include <string>
#include <utility>

namespace troupe::api {

namespace {

http::response not_allowed(std::string allowed) {
  auto out = to_response({errc::method_not_allowed, "this route has " + allowed});
  out.headers.push_back({"Allow", std::move(allowed)});
  return out;
}

http::response no_route() {
  return to_response({errc::not_found, "no such route; GET /openapi.json lists them"});
}

/// What asks for nothing is open to all, and some of it to the node's own machine.
bool is_open(const route& row, const http::request& request) {
  return row.needs == role::anybody
         || (row.local && request.find_header("Authorization") == nullptr
             && http::is_loopback(request.remote_address) && is_own_host(request));
}

/// HEAD is GET whose body the server leaves out.
std::string_view route_method(const http::request& request) {
  return request.method == "HEAD" ? std::string_view{"GET"} : std::string_view{request.method};
}

/// The parameters that a row names, each once; "keys" may be repeated, and a name that ends in '.'
/// stands for all that begin so.
expected<void> check_query(const route& r, const std::vector<http::query_parameter>& query) {
  for (const auto& parameter : query) {
    bool known = false;
    for (auto names = r.query; !names.empty();) {
      const auto name = names.substr(0, names.find(' '));
      names.remove_prefix(std::min(names.size(), name.size() + 1));
      known = known || name == parameter.name
              || (name.ends_with('.') && parameter.name.starts_with(name));
    }
    if (!known)
      return fail(errc::unknown_field, "no such query parameter here", parameter.name);
    const auto same = [&](const auto& other) { return other.name == parameter.name; };
    if (parameter.name != "keys" && std::ranges::count_if(query, same) > 1)
      return fail(errc::invalid_value, "this query parameter is given twice", parameter.name);
  }
  return {};
}

}  // namespace

/// Where a request leads, and who asks.
struct service::entrance {
  http::parsed_target target;
  match way;
  identity who;
};

/// What needs no body.
tl::expected<service::entrance, http::response> service::enter(const http::request& request,
                                                               listener by) {
  const auto refused = [](http::response why) { return tl::unexpected(std::move(why)); };
  if (!doors_.needs_tokens() && !is_own_host(request))
    return refused(to_response(
        {errc::misdirected,
         "this node answers on loopback only: ask http://127.0.0.1 or http://localhost"}));
  if (auto own = check_origin(request, doors_.settings.tls); !own)
    return refused(to_response(own.error()));
  auto target = http::parse_target(request.target);
  if (!target)
    return refused(to_response(target.error()));
  const auto method = route_method(request);
  auto way = find_route(method, target->segments);
  if (by == listener::clients && way.for_operators)
    return refused(no_route());
  if (way.found == nullptr)
    return refused(way.allowed.empty() ? no_route() : not_allowed(std::move(way.allowed)));
  const auto& row = *way.found;
  if (http::count_header(request.headers, "Authorization") > 1)
    return refused(to_response({errc::malformed, "one Authorization at most"}));
  auto who = doors_.identify(request.find_header("Authorization"));
  const bool open = is_open(row, request);
  if (!who && !open)
    return refused(to_response(why_not(request)));
  if (!open && who->held < row.needs)
    return refused(to_response({errc::forbidden, (row.needs == role::admin ? "this route is for an "
                                                                           : "this route is for a ")
                                                     + std::string{to_string(row.needs)}}));
  if (auto ok = check_query(row, target->query); !ok)
    return refused(to_response(ok.error()));
  if (!who)
    who = identity{.by = {}, .held = role::anybody};
  return entrance{*std::move(target), std::move(way), *std::move(who)};
}

void service::operator()(http::request request, http::responder unnamed, listener by) {
  auto id = request_id(request, [this] { return doors_.random_id(); });
  auto respond = identified(std::move(unnamed), request, id);
  auto in = enter(request, by);
  if (!in)
    return respond(std::move(in.error()));
  const auto& row = *in->way.found;
  entity_access entity;
  if (row.scopes != no_scope) {
    auto resolved = doors_.resolve(in->who, in->way.kind, in->way.id);
    if (!resolved)
      return respond(to_response(resolved.error()));
    entity = *std::move(resolved);
  }
  expected<admission::ticket> ticket;
  if (row.needs != role::anybody)
    ticket = admission_.enter(in->who, doors_.now());
  if (!ticket)
    return respond(to_response(ticket.error()));
  auto c =
      std::make_shared<call>(doors_, std::move(request), std::move(in->target), std::move(respond));
  c->request_id = std::move(id);
  c->admitted = *std::move(ticket);
  c->who = std::move(in->who);
  c->entity = std::move(entity);
  c->parameters = std::move(in->way.parameters);
  row.run(c);
}

std::optional<std::string> service::peer_of(const http::request& head) const {
  if (http::count_header(head.headers, "Authorization") > 1)
    return std::nullopt;
  const auto who = doors_.identify(head.find_header("Authorization"));
  if (!who)
    return std::nullopt;
  return who->name_space + '\0' + who->by.user;
}

tl::expected<std::shared_ptr<void>, http::response> service::admit(const http::request& head,
                                                                   std::size_t bytes, listener by) {
  http::response refusal;
  if (auto in = enter(head, by); !in)
    refusal = std::move(in.error());
  else if (in->who.held == role::anybody)
    refusal = to_response({errc::too_large, "without an access token only small bodies are taken"});
  else if (auto room = rooms_.take(in->who, bytes); !room)
    refusal = to_response(room.error());
  else
    return std::make_shared<body_rooms::place>(*std::move(room));
  identified(http::responder::to([&](http::response why) { refusal = std::move(why); }), head,
             request_id(head, [this] { return doors_.random_id(); }))(std::move(refusal));
  return tl::unexpected(std::move(refusal));
}

/// A token that does not hold is a guess, of which an address has a few.
error service::why_not(const http::request& request) {
  const auto* given = request.find_header("Authorization");
  if (given != nullptr)
    if (auto fine = admission_.failed_login(request.remote_address, doors_.now()); !fine)
      return fine.error();
  if (given != nullptr && http::iequals(std::string_view{*given}.substr(0, 7), "Bearer "))
    return {errc::unauthenticated, "this token is unknown, revoked or has expired"};
  return {errc::unauthenticated,
          "this node asks for an access token: `Authorization: Bearer troupe_...`"};
}

void service::clean_up_agents() {
  const auto done = [](const expected<cleanup_report>& what) {
    if (!what)
      spdlog::warn("old sessions of the agent API stay for now: {}", what.error().message);
    else if (what->deleted != 0)
      spdlog::info("deleted {} old sessions of the agent API", what->deleted);
  };
  for (auto& name : tokens_.name_spaces())
    doors_.clean_up({.name_space = std::move(name)}, {.tag = std::string{agent_tag}}, done);
}

expected<void> service::reload_tokens(const std::filesystem::path& file) {
  auto done = tokens_.reload(file);
  streams_.check([this](const identity& who) { return doors_.still_holds(who); });
  return done;
}

}  // namespace troupe::api
