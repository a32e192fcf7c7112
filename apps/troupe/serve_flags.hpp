#pragma once

#include "troupe/serve.hpp"

#include <cstddef>
#include <string>

namespace CLI {
class App;
}

namespace troupe::cli {

/// The options of `troupe serve` that are about who reaches the node and how much they may ask of
/// it. Strings as CLI11 fills them; what they mean afterwards.
class serve_flags {
public:
  void add_to(CLI::App* sub);
  void apply(serve_options& to) const;

private:
  void add_limits(CLI::App* sub);

  std::string admin_listen_;
  std::string backups_;
  std::string certificate_;
  std::string key_;
  std::size_t unknown_connections_ = serve_options{}.unknown_connections;
  api::admission_limits limits_{};
  api::quota_limits quota_{};
};

}  // namespace troupe::cli
