#include "simulate/http_connection.hpp"

#include <troupe/state/json.hpp>

#include "simulate/troupe_commands.hpp"
#include "troupe/interrupt.hpp"
#include "troupe/text.hpp"

#include <array>
#include <thread>
#include <utility>

namespace troupe::simulate {

namespace {

constexpr std::chrono::seconds request_timeout{20};
constexpr limits answer_limits{.bytes = 128 << 20, .depth = 64 + 4, .elements = 50'000'000};

std::string quoted(std::string_view text) {
  std::string out;
  append_json_string(out, text);
  return out;
}

answer judge(const http::response& from) {
  if (from.status < 300)
    return {};
  const bool later = from.status == 429 || from.status == 503 || from.status == 409;
  const bool unknown = from.status == 504;
  std::string code = "status " + std::to_string(from.status);
  bool in_flight = true;
  if (const auto body = value_from_json(from.body); body && body->type() == value_type::map)
    if (const auto found = body->view().find("code"); found && found->as_string()) {
      code += ' ' + std::string{*found->as_string()};
      in_flight = *found->as_string() == "in_flight";
    }
  return {.what = unknown ? outcome::unknown : outcome::refused,
          .again = later && (from.status != 409 || in_flight),
          .why = code};
}

errc code_of(int status) {
  if (status == 401 || status == 403)
    return errc::unauthenticated;
  return status == 429 || status == 503 ? errc::busy : errc::not_supported;
}

std::uint64_t number(value_view map, std::string_view name) {
  const auto found = map.find(name);
  return found ? found->as_uint64().value_or(0) : 0;
}

std::string text_at(value_view map, std::string_view name) {
  const auto found = map.find(name);
  return std::string{found ? found->as_string().value_or("") : ""};
}

}  // namespace

http_connection::http_connection(const workload& what, node_address& address,
                                 const http_options& options)
    : what_{what},
      address_{address},
      options_{options},
      at_{address.get()},
      client_{at_.host, at_.port, request_timeout} {
  client_.given_up = [set = options.given_up] { return set->load(); };
}

void http_connection::connect() {
  if (auto now = address_.get(); now != at_) {
    at_ = std::move(now);
    auto given_up = std::move(client_.given_up);
    client_ = http::client{at_.host, at_.port, request_timeout};
    client_.given_up = std::move(given_up);
  }
}

std::string http_connection::path(const subject& whom, std::string_view rest) const {
  constexpr std::array roots{"/v1/sessions/", "/v1/users/", "/v1/teams/", "/v1/workflows/"};
  return roots.at(static_cast<std::size_t>(whom.kind))
         + http::percent_encode(options_.run + name_of(whom)) + std::string{rest};
}

std::string http_connection::items_body(const intent& what) const {
  std::string out = R"({"items":[)";
  for (std::uint32_t i = 0; i < what.count; ++i) {
    out += i == 0 ? "" : ",";
    append_json(out, item_of(what, i, what_));
  }
  return out + "]}";
}

/// What a client of this API sends for an intent, in order.
std::vector<http_connection::step> http_connection::steps_of(const intent& what) const {
  const auto& whom = what.whom;
  const auto n = std::to_string(what.first);
  const auto user = [&] {
    return R"({"user":)" + quoted(options_.run + name_of({subject_kind::user, what.other})) + '}';
  };
  switch (what.what) {
    case action::seed:
      if (what.count == 0)
        return {{"PUT", path(whom), user()}};
      return {{"PUT", path(whom), user()}, {"POST", path(whom, "/items"), items_body(what)}};
    case action::create: return {{"PUT", path(whom), user()}};
    case action::append: return {{"POST", path(whom, "/items"), items_body(what)}};
    case action::read_history:
      return {{"GET", path(whom, "/items?last=" + std::to_string(what.count)), {}}};
    case action::read_all: return {{"GET", path(whom, "/items?limit=1000"), {}}};
    case action::read_state: return {{"GET", path(whom, "/state"), {}}};
    case action::note: {
      step patch{"PATCH", path(whom, "/state"),
                 R"({"ops":[{"op":"set","key":"last","value":)" + n
                     + R"(},{"op":"add","key":"count","by":1}]})"};
      if (whom.kind != subject_kind::session && what.first == 1)
        return {{"PUT", path(whom), "{}"}, std::move(patch)};
      return {std::move(patch)};
    }
    case action::record_usage:
      return {{"POST", path(whom, "/usage"),
               R"({"prompt_tokens":)" + std::to_string(what.count) + R"(,"completion_tokens":)"
                   + std::to_string(what.count / 4) + '}'}};
    case action::checkpoint:
      return {{"POST", path(whom, "/checkpoints"), R"({"name":"c)" + n + R"("})"}};
    case action::fork:
      return {{"POST", path({subject_kind::session, what.other}, "/fork"),
               R"({"id":)" + quoted(options_.run + name_of(whom)) + '}'}};
    case action::team_message: {
      step message{
          "POST", path(whom, "/messages"),
          R"({"from":"planner","body":)" + quoted(text_of(whom, what.first, what.bytes)) + '}'};
      if (what.first > 1)
        return {std::move(message)};
      return {
          {"PUT", path(whom), "{}"},
          {"PUT", path(whom, "/members"), R"({"members":[{"name":"planner"},{"name":"worker"}]})"},
          std::move(message)};
    }
    case action::workflow_step: {
      const auto at = (what.first - 1) % steps_in_round;
      if (at == 0) {
        std::string graph = R"({"nodes":[)";
        for (std::uint32_t i = 0; i < workflow_nodes; ++i) {
          const auto node = [&](std::uint32_t k) { return node_of_step(what.first + 1 + 2 * k); };
          graph += (i == 0 ? R"({"id":)" : R"(,{"id":)") + quoted(node(i));
          graph += i == 0 ? "}" : R"(,"after":[)" + quoted(node(i - 1)) + "]}";
        }
        step define{"PUT", path(whom, "/nodes"), graph + "]}"};
        if (what.first > 1)
          return {std::move(define)};
        return {{"PUT", path(whom), "{}"}, std::move(define)};
      }
      const auto body = at % 2 == 1 ? std::string{R"({"status":"running"})"}
                                    : R"({"status":"done","result":)"
                                          + quoted(text_of(whom, what.first, what.bytes)) + '}';
      return {{"PATCH", path(whom, "/nodes/" + node_of_step(what.first)), body}};
    }
    case action::cache_lookup: break;
  }
  return {};
}

expected<http::response> http_connection::ask(const step& what, const std::string& key) {
  if (*options_.given_up)
    return fail(errc::busy, "given up");
  connect();
  http::request request{.method = what.method, .target = what.target, .body = what.body};
  if (!what.body.empty())
    request.headers.push_back({"Content-Type", what.body.starts_with(R"({"ops")")
                                                   ? "application/vnd.troupe.ops+json"
                                                   : "application/json"});
  if (!options_.token.empty())
    request.headers.push_back({"Authorization", "Bearer " + options_.token});
  if (!key.empty())
    request.headers.push_back({"Idempotency-Key", key});
  if (what_.level != durability::durable && what.method != "GET")
    request.headers.push_back({"Prefer", what_.level == durability::relaxed ? "durability=relaxed"
                                                                            : "durability=memory"});
  return client_.send(request);
}

answer http_connection::make(const step& what, const intent& of, std::size_t index) {
  const bool read = what.method == "GET";
  const auto key = options_.keyed && !read ? options_.run + std::to_string(of.number) + '-'
                                                 + name_of(of.whom) + '-' + std::to_string(index)
                                           : std::string{};
  const auto until = std::chrono::steady_clock::now() + options_.patience;
  while (true) {
    const auto got = ask(what, key);
    const bool patient =
        (options_.keyed || read) && !*options_.given_up && std::chrono::steady_clock::now() < until;
    if (got) {
      auto out = judge(*got);
      if (!patient
          || (out.what == outcome::acknowledged || (!out.again && out.what != outcome::unknown)))
        return out;
    } else if (!patient) {
      const bool unknown = got.error().code == errc::outcome_unknown && !read;
      return {.what = unknown ? outcome::unknown : outcome::refused,
              .again = got.error().code == errc::busy,
              .why = got.error().message};
    }
    std::this_thread::sleep_for(std::chrono::milliseconds{20});
  }
}

answer http_connection::perform(const intent& what) {
  if (what.what == action::cache_lookup)
    return look_up(what);
  answer out;
  std::size_t index = 0;
  for (const auto& one : steps_of(what)) {
    out = make(one, what, index++);
    if (out.what != outcome::acknowledged)
      break;
  }
  return out;
}

answer http_connection::look_up(const intent& what) {
  auto& key = cache_keys_[what.whom.number];
  const auto request = quoted(name_of(what.whom));
  if (key.empty()) {
    const auto made = ask({"POST", "/v1/cache/key",
                           R"({"agent":"simulation","shared":true,"request":)" + request + '}'},
                          {});
    const auto body = made ? value_from_json(made->body) : expected<value>{value{}};
    const auto found = body ? body->view().find("key") : std::nullopt;
    if (!made || !found || !found->as_string())
      return {.what = outcome::refused,
              .again = !made,
              .why = made ? made->body : made.error().message};
    key = *found->as_string();
  }
  const auto target = "/v1/cache/" + key;
  const auto got = ask({"GET", target, {}}, {});
  if (!got)
    return {.what = outcome::refused, .again = true, .why = got.error().message};
  if (got->status == 200) {
    answer out{.hit = true};
    const auto body = value_from_json(got->body, answer_limits);
    const auto text = body ? body->view().find("output") : std::nullopt;
    subject of;
    std::uint64_t n = 0;
    if (!text || !read_text(text->as_string().value_or(""), of, n) || of != what.whom)
      out.violation =
          "isolation: the cache answers " + name_of(what.whom) + " with " + got->body.substr(0, 80);
    return out;
  }
  if (got->status != 404)
    return judge(*got);
  return make({"PUT", target,
               R"({"agent":"simulation","request":)" + request + R"(,"output":)"
                   + quoted(text_of(what.whom, 1, what.bytes)) + '}'},
              what, 0);
}

expected<std::string> http_connection::get(const std::string& target) {
  const auto until = std::chrono::steady_clock::now() + options_.patience;
  while (true) {
    auto got = ask({"GET", target, {}}, {});
    if (got && got->status == 200)
      return std::move(got->body);
    if (got && got->status == 404)
      return fail(errc::not_found, "404");
    if (*options_.given_up || std::chrono::steady_clock::now() >= until)
      return got ? fail(errc::internal, target + ": " + got->body) : unexpected{got.error()};
    std::this_thread::sleep_for(std::chrono::milliseconds{20});
  }
}

expected<void> http_connection::look() {
  client_.given_up = cli::interrupt_scope::requested;
  for (const auto* kind : {"sessions", "users", "teams", "workflows"}) {
    const auto target = "/v1/" + std::string{kind} + "?limit=1&prefix=" + options_.run;
    const auto got = ask({"GET", target, {}}, {});
    if (!got)
      return unexpected{got.error()};
    if (got->status != 200)
      return fail(code_of(got->status), "GET " + target + " answered " + std::to_string(got->status)
                                            + ": " + cli::one_line(got->body, 200));
    const auto page = value_from_json(got->body, answer_limits);
    const auto list = page ? page->view().find("items") : std::nullopt;
    const auto next = page ? page->view().find("next_cursor") : std::nullopt;
    if (!list || list->type() != value_type::array || !next)
      return fail(errc::not_supported, "GET " + target + " is not answered as a node does");
    if (list->size() > 0 || !next->is_null())
      return fail(errc::already_exists,
                  "there are " + std::string{kind} + " of an earlier run, whose ids begin with "
                      + options_.run + ": use another --seed or a fresh node");
  }
  return {};
}

expected<contents> http_connection::read_back(const subject& whom) {
  const auto parsed = [&](const std::string& rest) -> expected<value> {
    auto text = get(path(whom, rest));
    return text ? value_from_json(*text, answer_limits) : unexpected{text.error()};
  };
  contents out;
  const auto info = parsed("");
  if (!info)
    return info.error().code == errc::not_found ? expected<contents>{out}
                                                : unexpected{info.error()};
  out.exists = true;
  out.revision = number(*info, "revision");
  const bool has_items = whom.kind == subject_kind::session || whom.kind == subject_kind::team;
  for (std::uint64_t after = 0; has_items;) {
    const auto kind = whom.kind == subject_kind::session ? "items" : "messages";
    const auto page =
        parsed(std::string{"/"} + kind + "?limit=1000&after=" + std::to_string(after));
    if (!page)
      return unexpected{page.error()};
    const auto list = page->view().find("items");
    if (!list || list->size() == 0)
      break;
    for (auto one = list->children(); one.next();) {
      out.items.emplace_back(text_in(one.item()));
      after = number(one.item(), "seq");
    }
    if (list->size() < 1'000
        && (!page->view().find("next_cursor") || page->view().find("next_cursor")->is_null()))
      break;
  }
  const auto state = parsed("/state");
  if (!state)
    return unexpected{state.error()};
  if (const auto keys = state->view().find("state")) {
    out.last = number(*keys, "last");
    out.count = number(*keys, "count");
  }
  if (whom.kind == subject_kind::session) {
    const auto list = parsed("/checkpoints");
    if (!list)
      return unexpected{list.error()};
    if (const auto all = list->view().find("items"))
      out.checkpoints = all->size();
  }
  if (whom.kind == subject_kind::workflow) {
    const auto graph = parsed("/nodes");
    if (!graph)
      return unexpected{graph.error()};
    if (const auto all = graph->view().find("nodes"))
      for (auto one = all->children(); one.next();)
        out.nodes.push_back({text_at(one.item(), "id"), text_at(one.item(), "status"),
                             text_at(one.item(), "result")});
  }
  return out;
}

}  // namespace troupe::simulate
