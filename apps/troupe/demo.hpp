#pragma once

#include "troupe/serve.hpp"

#include <filesystem>
#include <optional>
#include <string>

namespace troupe::cli {

struct demo_options {
  std::optional<std::filesystem::path> data{};  ///< else `default_demo_directory()`
  std::string host = serve_options{}.host;
  std::uint16_t port = serve_options{}.port;
  bool once = false;  ///< end with 0 instead of serving
};

/// $XDG_STATE_HOME/troupe/demo, ~/.local/state/troupe/demo, or nothing when the environment names
/// neither (both must be absolute, as the XDG specification asks).
[[nodiscard]] std::optional<std::filesystem::path> default_demo_directory();

/// `troupe demo`: conversations are written by another process that is then killed, come back here
/// equal, and are served. Answers the exit status. On the main thread.
int demo(const demo_options& options);

}  // namespace troupe::cli
