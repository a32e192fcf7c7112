#include "simulate/target.hpp"

#include "simulate/embedded.hpp"
#include "simulate/http_driver.hpp"
#include "simulate/node_process.hpp"
#include "simulate/peers/peers.hpp"

#include <algorithm>
#include <utility>

namespace troupe::simulate {

namespace {

class embedded_target final : public target {
public:
  explicit embedded_target(std::unique_ptr<embedded_driver> to) : to_{std::move(to)} {}
  driver& to() override { return *to_; }

  fault_hooks hooks() override { return to_->hooks(); }

private:
  std::unique_ptr<embedded_driver> to_;
};

class node_target final : public target {
public:
  node_target(std::unique_ptr<node_process> node, const workload& what, http_options options)
      : node_{std::move(node)},
        address_{node_->address()} {
    options.pid = [this] { return node_->pid(); };
    to_ = open_http(what, address_, std::move(options));
  }
  driver& to() override { return *to_; }

  fault_hooks hooks() override {
    return {{"kill",
             [this]() -> expected<std::string> {
               auto again = node_->kill_and_restart();
               if (!again)
                 return unexpected{again.error()};
               address_.set(node_->address());
               return "SIGKILL; listened again after "
                      + std::to_string(static_cast<int>(*again * 1e3)) + " ms";
             }},
            {"pause",
             [this]() -> expected<std::string> {
               node_->pause(std::chrono::milliseconds{500});
               return std::string{"stopped for 500 ms"};
             }},
            {"full-disk", [this]() -> expected<std::string> {
               if (auto ok = node_->fill_disk(std::chrono::seconds{1}); !ok)
                 return unexpected{ok.error()};
               return std::string{"writes were refused for 1 s"};
             }}};
  }

private:
  std::unique_ptr<node_process> node_;
  node_address address_;
  std::unique_ptr<driver> to_;
};

/// A peer, or a node that somebody else runs.
class plain_target final : public target {
public:
  explicit plain_target(std::unique_ptr<driver> to) : to_{std::move(to)} {}
  driver& to() override { return *to_; }

private:
  std::unique_ptr<driver> to_;
};

class remote_target final : public target {
public:
  remote_target(http::endpoint at, const workload& what, http_options options)
      : address_{std::move(at)},
        to_{open_http(what, address_, std::move(options))} {}
  driver& to() override { return *to_; }

private:
  node_address address_;
  std::unique_ptr<driver> to_;
};

bool wants(const run_options& options, std::string_view kind) {
  return std::ranges::any_of(options.faults,
                             [&](const std::string& one) { return one.starts_with(kind); });
}

std::size_t count_of(const run_options& options, std::string_view kind) {
  for (const auto& one : options.faults)
    if (one.starts_with(std::string{kind} + '='))
      return static_cast<std::size_t>(std::atoi(one.c_str() + kind.size() + 1));
  return 0;
}

}  // namespace

expected<std::unique_ptr<target>> open_target(const workload& what, const run_options& options,
                                              const std::filesystem::path& data) {
  const auto connections =
      options.in_flight > 0 ? std::min<std::size_t>(options.in_flight, 2'000) : std::size_t{64};
  if (options.target == "embedded") {
    auto to =
        embedded_driver::open(what, {.data = data,
                                     .max_live = options.max_live,
                                     .idle_ms = static_cast<std::uint64_t>(options.idle_s * 1e3),
                                     .slow_subscribers = count_of(options, "slow-subscribers"),
                                     .keyed = !options.faults.empty()});
    if (!to)
      return unexpected{to.error()};
    return std::make_unique<embedded_target>(*std::move(to));
  }
  const http_options over{.connections = connections,
                          .keyed = !options.faults.empty(),
                          .token = options.token,
                          .run = "sim" + std::to_string(options.seed) + '-'};
  if (options.target == "node") {
    auto node = node_process::start(data, options.max_live,
                                    static_cast<std::uint64_t>(std::max(1.0, options.idle_s)));
    if (!node)
      return unexpected{node.error()};
    return std::make_unique<node_target>(*std::move(node), what, over);
  }
  if (options.target.starts_with("http")) {
    const auto at = http::parse_url(options.target);
    if (!at)
      return unexpected{at.error()};
    return std::make_unique<remote_target>(*at, what, over);
  }
  if (wants(options, ""))
    return fail(errc::not_supported, "faults are for Troupe's own targets");
  auto peer = open_peer(options.target, what, {.data = data, .connections = connections});
  if (!peer)
    return unexpected{peer.error()};
  return std::make_unique<plain_target>(*std::move(peer));
}

}  // namespace troupe::simulate
