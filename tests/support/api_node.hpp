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
  api_node() { start(); }
  ~api_node() { stop(); }

  void start() {
    auto opened = runtime::open({.data = directory_.store(),
                                 .now = [this] { return timestamp{noon + later_ms_}; },
                                 .idle = std::chrono::milliseconds{0}});
    REQUIRE_MESSAGE(opened, opened.error().message);
    backend_ = *std::move(opened);
    service_ = std::make_unique<api::service>(*backend_, [] {
      return std::array<std::uint64_t, 2>{1, 2};
    });
    auto started = http::server::start({}, [this](http::request request, http::responder respond) {
      (*service_)(std::move(request), std::move(respond));
    });
    REQUIRE_MESSAGE(started, started.error().message);
    server_ = *std::move(started);
  }

  void stop() {
    server_.reset();
    service_.reset();
    backend_.reset();
  }

  [[nodiscard]] std::uint16_t port() const { return server_->port(); }
  void advance(std::int64_t ms) { later_ms_ += ms; }

  http::response send(std::string method, std::string target, std::string body = {},
                      std::vector<http::header> headers = {}) {
    if (!body.empty() && !http::find_header(headers, "Content-Type"))
      headers.push_back({"Content-Type", "application/json"});
    http::client client{"127.0.0.1", server_->port(), std::chrono::seconds{20}};
    auto answer = client.send({.method = std::move(method),
                               .target = std::move(target),
                               .headers = std::move(headers),
                               .body = std::move(body)});
    REQUIRE_MESSAGE(answer, answer.error().message);
    return *std::move(answer);
  }

private:
  std::atomic<std::int64_t> later_ms_ = 0;
  temp_directory directory_;
  std::unique_ptr<runtime> backend_;
  std::unique_ptr<api::service> service_;
  std::unique_ptr<http::server> server_;
};

}  // namespace troupe::testing
