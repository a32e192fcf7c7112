#pragma once

#include <troupe/runtime/runtime.hpp>

#include "troupe/replay_target.hpp"

#include <memory>

namespace troupe::cli {

/// Replays into a store of this process, with `parallel` conversations in flight and no thread for
/// any of them.
class embedded_target final : public replay_target {
public:
  /// Errors: those of `runtime::open`.
  static expected<std::unique_ptr<embedded_target>> open(const std::filesystem::path& data,
                                                         std::size_t parallel);

  expected<std::vector<std::size_t>> count_items(std::span<const conversation> told,
                                                 const replay_tick& tick) override;
  void write(std::span<const conversation> told, replay_plan& plan,
             const replay_tick& tick) override;
  expected<std::optional<std::chrono::nanoseconds>> reopen() override;
  expected<comparison> compare(std::span<const conversation> told,
                               std::span<const std::optional<std::size_t>> counts,
                               extra_items extra, const replay_tick& tick) override;

  /// How long the first opening took.
  [[nodiscard]] std::chrono::nanoseconds opened_in() const noexcept { return opened_in_; }

  /// The committed state of one session.
  [[nodiscard]] expected<runtime::snapshot> read(const std::string& id) {
    return runtime_->read(session_ref(id));
  }

private:
  embedded_target(std::filesystem::path data, std::size_t parallel)
      : data_{std::move(data)},
        parallel_{parallel} {}

  expected<void> open_runtime();

  std::filesystem::path data_;
  std::size_t parallel_;
  std::unique_ptr<runtime> runtime_;
  std::chrono::nanoseconds opened_in_{};
};

}  // namespace troupe::cli
