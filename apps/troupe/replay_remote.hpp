#pragma once

#include "http/client.hpp"
#include "troupe/replay_target.hpp"

#include <chrono>
#include <memory>

namespace troupe::cli {

/// Replays to a node over HTTP, with one thread and one keep-alive connection for each conversation
/// in flight.
class remote_target final : public replay_target {
public:
  /// `patience`: see `remote_session`.
  remote_target(http::endpoint node, std::size_t parallel, std::chrono::milliseconds patience = {})
      : node_{std::move(node)},
        parallel_{parallel},
        patience_{patience} {}

  expected<std::vector<std::size_t>> count_items(std::span<const conversation> told,
                                                 const replay_tick& tick) override;
  void write(std::span<const conversation> told, replay_plan& plan,
             const replay_tick& tick) override;
  expected<std::optional<std::chrono::nanoseconds>> reopen() override { return std::nullopt; }
  expected<comparison> compare(std::span<const conversation> told,
                               std::span<const std::optional<std::size_t>> counts,
                               extra_items extra, const replay_tick& tick) override;

private:
  http::endpoint node_;
  std::size_t parallel_;
  std::chrono::milliseconds patience_;
};

}  // namespace troupe::cli
