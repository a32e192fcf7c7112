#include "simulate/http_driver.hpp"

#include "simulate/event_client.hpp"
#include "simulate/http_connection.hpp"
#include "simulate/metrics_text.hpp"
#include "simulate/pool.hpp"

#include <array>
#include <utility>

namespace troupe::simulate {

namespace {

class http_target final : public driver {
public:
  http_target(const workload& what, node_address& address, http_options options)
      : what_{what},
        options_{std::move(options)},
        once_{impatient(options_)},
        address_{address},
        own_{what_, address, options_},
        metrics_{what_, address, once_} {
    std::vector<std::unique_ptr<connection>> connections;
    for (std::size_t i = 0; i < options_.connections; ++i)
      connections.push_back(std::make_unique<http_connection>(what_, address, options_));
    pool_ = std::make_unique<connection_pool>(std::move(connections));
  }

  expected<void> look() override { return http_connection{what_, address_, once_}.look(); }
  void send(const intent& what, callback done) override { pool_->send(what, std::move(done)); }
  void give_up() override { *options_.given_up = true; }
  expected<contents> read_back(const subject& whom) override { return own_.read_back(whom); }
  std::size_t in_flight() const override { return options_.connections; }

  /// The node's own metrics; a node that is away has none.
  target_state state() override {
    const auto text = metrics_.get("/metrics");
    const auto pid = options_.pid ? options_.pid() : std::nullopt;
    auto out = text ? read_metrics(*text) : target_state{};
    if (pid)
      out.memory_bytes = bytes_of_process(*pid);
    return out;
  }

  /// What is only in memory is told when it is written, and nobody knows when that is.
  expected<bool> watch(event_check& check) override {
    if (what_.level == durability::memory)
      return false;
    events_ = std::make_unique<event_client>(address_, options_.token, options_.run, check);
    if (!events_->wait_for_open())
      return fail(errc::busy, "the node does not open GET /v1/events");
    return true;
  }

  expected<void> end_watch() override {
    events_->wait_for_quiet();
    events_->stop();
    return {};
  }

  facts settings() const override {
    constexpr std::array levels{"memory", "relaxed (synced within 50 ms)",
                                "durable (synced before the answer)"};
    const auto at = address_.get();
    return {{"target", "troupe serve over HTTP at " + at.host + ':' + std::to_string(at.port)},
            {"durability", levels.at(static_cast<std::size_t>(what_.level))},
            {"connections", std::to_string(options_.connections)},
            {"idempotency keys", options_.keyed ? "on every change" : "none"}};
  }

private:
  static http_options impatient(http_options options) {
    options.patience = std::chrono::seconds{0};
    return options;
  }

  const workload what_;
  const http_options options_, once_;
  node_address& address_;
  http_connection own_, metrics_;
  std::unique_ptr<connection_pool> pool_;
  std::unique_ptr<event_client> events_;
};

}  // namespace

std::unique_ptr<driver> open_http(const workload& what, node_address& address,
                                  http_options options) {
  return std::make_unique<http_target>(what, address, std::move(options));
}

}  // namespace troupe::simulate
