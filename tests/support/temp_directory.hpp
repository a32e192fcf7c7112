#pragma once

/// A directory that is gone when the test is.

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <system_error>

namespace troupe::testing {

class temp_directory {
public:
  temp_directory() {
    auto name = (std::filesystem::temp_directory_path() / "troupe-test-XXXXXX").string();
    if (!::mkdtemp(name.data()))
      throw std::runtime_error{"cannot make " + name};
    path_ = name;
  }
  temp_directory(const temp_directory&) = delete;
  temp_directory& operator=(const temp_directory&) = delete;
  ~temp_directory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  /// A place inside that is not there yet.
  [[nodiscard]] std::filesystem::path store() const { return path_ / "store"; }

private:
  std::filesystem::path path_;
};

}  // namespace troupe::testing
