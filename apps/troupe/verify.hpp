#pragma once

#include <filesystem>

namespace troupe::cli {

struct verify_options {
  std::filesystem::path data;
  bool json = false;
  bool allow_remote_fs = false;
};

/// `troupe verify`: checks all of a store that no process has open, in a child process. Answers the
/// exit status: 0 when everything is right, 65 when anything is damaged.
int verify(const verify_options& options);

}  // namespace troupe::cli
