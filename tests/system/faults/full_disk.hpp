#pragma once

#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <filesystem>
#include <string>

namespace troupe::faults {

/// A file system of a few MiB in memory, seen by this process and its children only. It needs the
/// right to mount.
class small_disk {
public:
  static constexpr int skipped = 77;  ///< exit code of a test that could not run

  explicit small_disk(const std::filesystem::path& at, unsigned mib) : at_{at} {
    std::filesystem::create_directories(at);
    const auto options = "size=" + std::to_string(mib) + "m";
    there_ = ::unshare(CLONE_NEWNS) == 0
             && ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0
             && ::mount("troupe", at.c_str(), "tmpfs", 0, options.c_str()) == 0;
  }
  small_disk(const small_disk&) = delete;
  small_disk& operator=(const small_disk&) = delete;
  ~small_disk() {
    if (there_)
      ::umount2(at_.c_str(), MNT_DETACH);
  }

  [[nodiscard]] bool there() const { return there_; }

private:
  std::filesystem::path at_;
  bool there_ = false;
};

}  // namespace troupe::faults
