#pragma once

#include <troupe/runtime/runtime.hpp>

#include "api/api.hpp"
#include "http/client.hpp"
#include "http/server.hpp"
#include "support/temp_directory.hpp"
#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace troupe::testing {

inline constexpr std::int64_t noon = 1'767'355'200'123;  // 2026-01-02T12:00:00.123Z

/// A node in this process over a store of its own, asked over a real socket. Its clock stands
/// still until the test moves it.
class api_node {
public:
  using make_agents = std::function<api::agent_options(const runtime&)>;

  /// Without `agents` the built-in responder answers.
  explicit api_node(make_agents agents = {}) : make_agents_{std::move(agents)} { start(); }
  explicit api_node(api::admission_limits limits, api::quota_limits quota = {})
      : limits_{limits},
        quota_{quota} {
    start();
  }
  ~api_node() { stop(); }

  void start() {
    responders::init_messages();
    auto opened = runtime::open({.data = directory_.store(),
                                 .now = [this] { return timestamp{noon + later_ms_}; },
                                 .idle = std::chrono::milliseconds{0}});
    REQUIRE_MESSAGE(opened, opened.error().message);
    backend_ = *std::move(opened);
    auto agents = make_agents_
                      ? make_agents_(*backend_)
                      : api::agent_options{.answers = responders::spawn_builtin(*backend_)};
    responder_ = agents.answers;
    service_ = std::make_unique<api::service>(
        *backend_,
        [] {
          return std::array<std::uint64_t, 2>{1, 2};
        },
        std::move(agents), api::node_settings{.name = "n1", .backups = backups()}, limits_, quota_);
    server_ = listen(api::service::listener::only);
  }

  /// One more listener of the same service.
  std::unique_ptr<http::server> listen(api::service::listener by) {
    auto started = http::server::start(
        {.longest_body = [](auto method,
                            auto target) { return api::longest_body(method, target, {}); },
         .peer_of = [this](const auto& head) { return service_->peer_of(head); },
         .admit = [this, by](const auto& head,
                             std::size_t bytes) { return service_->admit(head, bytes, by); }},
        [this, by](http::request request, http::responder respond) {
          (*service_)(std::move(request), std::move(respond), by);
        });
    REQUIRE_MESSAGE(started, started.error().message);
    return *std::move(started);
  }
  [[nodiscard]] std::filesystem::path backups() const { return directory_.path() / "backups"; }

  void stop() {
    server_.reset();
    responder_.close();
    if (backend_)
      backend_->close();
    service_.reset();
    backend_.reset();
  }

  /// Makes a token that the node knows at once; it keeps those before.
  std::string add_token(api::token_entry what) {
    std::string random(40, static_cast<char>(tokens_.size() + 1));
    auto made = api::make_token(random, std::move(what));
    tokens_.push_back(std::move(made.kept));
    save_tokens();
    return made.text;
  }
  void revoke_tokens() {
    tokens_.clear();
    save_tokens();
  }
  void reload_tokens() { REQUIRE(service_->reload_tokens(api::tokens_path(directory_.store()))); }

  [[nodiscard]] std::uint16_t port() const { return server_->port(); }
  void advance(std::int64_t ms) { later_ms_ += ms; }
  [[nodiscard]] api::service& service() { return *service_; }

  /// Without the id that the node made for the request, which says nothing.
  http::response send(std::string method, std::string target, std::string body = {},
                      std::vector<http::header> headers = {}) {
    auto out =
        send_as_is(std::move(method), std::move(target), std::move(body), std::move(headers));
    const std::string made = R"(,"request_id":"00000000000000010000000000000002")";
    if (const auto at = out.body.find(made); at != std::string::npos)
      out.body.erase(at, made.size());
    return out;
  }

  http::response send_as_is(std::string method, std::string target, std::string body = {},
                            std::vector<http::header> headers = {}) {
    return send_to(port(), std::move(method), std::move(target), std::move(body),
                   std::move(headers));
  }

  static http::response send_to(std::uint16_t port, std::string method, std::string target,
                                std::string body = {}, std::vector<http::header> headers = {}) {
    if (!body.empty() && !http::find_header(headers, "Content-Type"))
      headers.push_back({"Content-Type", "application/json"});
    http::client client{"127.0.0.1", port, std::chrono::seconds{20}};
    auto answer = client.send({.method = std::move(method),
                               .target = std::move(target),
                               .headers = std::move(headers),
                               .body = std::move(body)});
    REQUIRE_MESSAGE(answer, answer.error().message);
    return *std::move(answer);
  }

private:
  void save_tokens() {
    REQUIRE(api::save_tokens(api::tokens_path(directory_.store()), tokens_));
    reload_tokens();
  }

  api::admission_limits limits_;
  api::quota_limits quota_;
  make_agents make_agents_;
  responders::responder responder_;
  std::atomic<std::int64_t> later_ms_ = 0;
  std::vector<api::token_entry> tokens_;
  temp_directory directory_;
  std::unique_ptr<runtime> backend_;
  std::unique_ptr<api::service> service_;
  std::unique_ptr<http::server> server_;
};

/// The content type of operations on a state.
inline const http::header ops{"Content-Type", "application/vnd.troupe.ops+json"};

inline http::header if_match(const std::string& revision) {
  return {"If-Match", '"' + revision + '"'};
}

inline std::string etag(const http::response& answer) {
  const auto* header = answer.find_header("ETag");
  return header ? *header : "none";
}

}  // namespace troupe::testing
