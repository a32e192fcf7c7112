#include "troupe/remote_session.hpp"

#include <troupe/state/json.hpp>

#include "troupe/replay_target.hpp"
#include "troupe/text.hpp"

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>

namespace troupe::cli {

namespace {

constexpr std::chrono::seconds request_timeout{30};
constexpr std::uint64_t page_items = 1'000;
constexpr limits answer_limits{.bytes = 128 << 20, .depth = 64 + 4, .elements = 50'000'000};

std::string target_of(const std::string& id) {
  return "/v1/sessions/" + http::percent_encode(id);
}

errc code_of(int status) {
  if (status == 404)
    return errc::not_found;
  if (status == 429 || status == 503)
    return errc::busy;
  return status >= 500 ? errc::store_failed : errc::malformed;
}

/// The node's own words, when it sent problem+json.
error refused(const char* method, const std::string& target, const http::response& answer) {
  auto words = method + (' ' + target) + " answered " + std::to_string(answer.status);
  if (const auto body = value_from_json(answer.body); body && body->type() == value_type::map) {
    for (const char* member : {"code", "detail"}) {
      if (const auto text = body->view().find(member); text && text->as_string())
        words += ": " + std::string{*text->as_string()};
    }
  }
  return {code_of(answer.status), one_line(words, 400)};
}

unexpected misshapen(const std::string& target, const char* what) {
  return fail(errc::damaged, "the answer to " + target + " is no answer of Troupe: " + what);
}

std::uint64_t number(value_view map, std::string_view name) {
  const auto found = map.find(name);
  return found ? found->as_uint64().value_or(0) : 0;
}

}  // namespace

value own_fields(value_view item) {
  const auto is_own = [](std::string_view key) { return key != "seq" && key != "at"; };
  std::size_t count = 0;
  for (auto c = item.children(); c.next();)
    count += is_own(c.key()) ? 1 : 0;
  value_writer out;
  out.begin_map(count);
  for (auto c = item.children(); c.next();) {
    if (is_own(c.key()))
      out.string(c.key()).raw(c.item());
  }
  return out.finish();
}

remote_session::remote_session(const http::endpoint& node, const std::atomic<bool>& stop,
                               std::chrono::milliseconds patience)
    : client_{node.host, node.port, request_timeout},
      stop_{stop},
      patience_{patience} {}

/// Whatever is sent may be sent again: a read, a create, an append with its key.
expected<http::response> remote_session::send_patiently(const http::request& asked) {
  const auto deadline = std::chrono::steady_clock::now() + patience_;
  for (;;) {
    auto answer = client_.send(asked);
    const bool away =
        !answer
        && (answer.error().code == errc::busy || answer.error().code == errc::outcome_unknown);
    if (!away || stop_ || std::chrono::steady_clock::now() >= deadline)
      return answer;
    std::this_thread::sleep_for(busy_pause);
  }
}

expected<value> remote_session::send(const char* method, const std::string& target,
                                     std::string body, std::string key) {
  http::request asked{.method = method, .target = target, .body = std::move(body)};
  if (!asked.body.empty())
    asked.headers.push_back({"Content-Type", "application/json"});
  if (!key.empty())
    asked.headers.push_back({"Idempotency-Key", std::move(key)});
  for (int attempt = 1;; ++attempt) {
    const auto answer = send_patiently(asked);
    if (!answer)
      return unexpected{
          error{answer.error().code, method + (' ' + target) + ": " + answer.error().message}};
    if (answer->status >= 200 && answer->status < 300)
      return answer->body.empty() ? expected<value>{value{}}
                                  : value_from_json(answer->body, answer_limits);
    auto why = refused(method, target, *answer);
    if (why.code != errc::busy || attempt >= max_busy_attempts || stop_)
      return unexpected{std::move(why)};
    std::this_thread::sleep_for(busy_pause);
  }
}

expected<void> remote_session::create(const std::string& id, const std::string& user) {
  value_writer body;
  body.begin_map(user.empty() ? 0 : 1);
  if (!user.empty())
    body.string("user").string(user);
  if (auto answer = send("PUT", target_of(id), to_json(value_view{body.bytes()})); !answer)
    return unexpected{answer.error()};
  return {};
}

expected<std::uint64_t> remote_session::append(const std::string& id, const value& message,
                                               std::size_t once) {
  std::string body = R"({"items":[)";
  append_json(body, message);
  body += "]}";
  const auto target = target_of(id) + "/items";
  const auto answer = send("POST", target, std::move(body), "replay-" + std::to_string(once));
  if (!answer)
    return unexpected{answer.error()};
  const auto seq = number(*answer, "first_seq");
  if (seq == 0)
    return misshapen(target, "it has no first_seq");
  return seq;
}

expected<void> remote_session::for_each_item(
    const std::string& id, std::uint64_t limit,
    const std::function<void(std::uint64_t seq, value_view fields)>& next) {
  std::uint64_t after = 0, count = 0;
  auto page = limit == 0 ? page_items : std::min(limit, page_items);
  for (;;) {
    const auto target =
        target_of(id) + "/items?after=" + std::to_string(after) + "&limit=" + std::to_string(page);
    const auto answer = send("GET", target, {});
    if (!answer && answer.error().code == errc::too_large && page > 1) {
      page = std::max<std::uint64_t>(page / 8, 1);  // large items: fewer of them in one answer
      continue;
    }
    if (!answer)
      return unexpected{answer.error()};
    const auto items = answer->view().find("items");
    if (!items || items->type() != value_type::array)
      return misshapen(target, "it has no array of items");
    for (auto item = items->children(); item.next();) {
      const auto seq = number(item.item(), "seq");
      if (seq <= after)
        return misshapen(target, "its items are not in order");
      after = seq;
      next(seq, own_fields(item.item()));
      ++count;
    }
    const auto cursor = answer->view().find("next_cursor");
    const bool more = cursor && !cursor->is_null() && items->size() > 0;
    if (!more || (limit != 0 && count >= limit))
      return {};
  }
}

}  // namespace troupe::cli
