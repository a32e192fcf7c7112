#include "api/request_id.hpp"

#include <spdlog/spdlog.h>

#include <memory>
#include <optional>
#include <string_view>
#include <utility>

namespace troupe::api {

namespace {

constexpr std::size_t longest_id = 128;    // then: another one is made
constexpr std::size_t longest_word = 256;  // of a request in a log; then: cut, and "..."

std::string to_log(std::string_view word) {
  std::string out{word.substr(0, longest_word)};
  return word.size() > longest_word ? out + "..." : out;
}

/// Method and path; nothing when nobody is told.
std::string as_logged(const http::request& request) {
  if (!spdlog::should_log(spdlog::level::debug))
    return {};
  return to_log(request.method) + ' '
         + to_log(std::string_view{request.target}.substr(0, request.target.find('?')));
}

class identified_sink final : public http::response_sink {
public:
  identified_sink(http::responder to, std::string asked, std::string id)
      : to_{std::move(to)},
        asked_{std::move(asked)},
        id_{std::move(id)} {}

  void answer(http::response answered) override { to_(named(std::move(answered))); }
  void stream(http::response answered, std::unique_ptr<http::body_stream> body) override {
    to_.stream(named(std::move(answered)), std::move(body));
  }
  std::function<void()> waker() override { return to_.waker(); }

private:
  http::response named(http::response answered) {
    if (!asked_.empty())
      spdlog::debug("{}{}: {} is answered {}", request_line, id_, asked_, answered.status);
    tell_id(answered, id_);
    answered.headers.push_back({"X-Request-Id", std::move(id_)});
    return answered;
  }

  http::responder to_;
  std::string asked_, id_;
};

}  // namespace

std::string request_id(const http::request& request, const std::function<std::string()>& make) {
  const auto* given = request.find_header("X-Request-Id");
  const bool usable = given != nullptr && !given->empty() && given->size() <= longest_id
                      && given->find_first_not_of(
                             "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")
                             == std::string::npos;
  return usable ? *given : make();
}

void tell_id(http::response& answered, std::string_view id) {
  if (answered.content_type != "application/problem+json" || !answered.body.ends_with('}'))
    return;
  answered.body.pop_back();
  answered.body.append(",\"request_id\":\"").append(id).append("\"}");
}

http::responder identified(http::responder to, const http::request& request, std::string id) {
  return http::responder{
      std::make_unique<identified_sink>(std::move(to), as_logged(request), std::move(id))};
}

}  // namespace troupe::api
