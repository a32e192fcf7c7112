#pragma once

#include "troupe/serve.hpp"

#include <cstddef>
#include <cstdint>
#include <string>

namespace CLI {
class App;
}

namespace troupe::cli {

/// The options of `troupe serve` beyond those that other commands have, too. Strings and numbers as
/// CLI11 fills them; what they mean afterwards.
class serve_flags {
public:
  void add_to(CLI::App* sub);
  /// Throws CLI::RequiresError when one is given without another that it needs.
  void apply(serve_options& to) const;

private:
  void add_store(CLI::App* sub);
  void add_addresses(CLI::App* sub);
  void add_limits(CLI::App* sub);
  void add_drain(CLI::App* sub);

  std::uint64_t journal_tail_ = 64 << 20;
  std::uint64_t journal_kept_ = 256 << 20;
  std::uint64_t quota_bytes_ = 0;
  std::uint64_t reserve_ = 16 << 20;
  std::size_t max_live_ = 100'000;
  std::uint64_t idle_ = 600;
  std::uint64_t drain_notice_ = 0;
  std::uint64_t drain_timeout_ = 10;
  agent_settings agents_;
  std::string admin_listen_;
  std::string backups_;
  std::string certificate_;
  std::string key_;
  std::size_t unknown_connections_ = serve_options{}.unknown_connections;
  std::size_t user_connections_ = serve_options{}.user_connections;
  api::admission_limits limits_{};
  api::quota_limits quota_{};
};

}  // namespace troupe::cli
