#pragma once

#include <cstdint>
#include <fstream>
#include <string>

namespace troupe::bench {

/// What this process has written: the bytes it handed to the kernel, and those that went or will go
/// to a disk, in whole pages (nothing where the file system is in memory).
struct disk_writes {
  std::uint64_t calls = 0;    ///< write calls
  std::uint64_t written = 0;  ///< bytes in them
  std::uint64_t to_disk = 0;  ///< bytes of pages that became dirty

  static disk_writes now() {
    disk_writes out;
    std::ifstream file{"/proc/self/io"};
    std::string name;
    for (std::uint64_t number = 0; file >> name >> number;) {
      if (name == "syscw:")
        out.calls = number;
      else if (name == "wchar:")
        out.written = number;
      else if (name == "write_bytes:")
        out.to_disk = number;
    }
    return out;
  }

  friend disk_writes operator-(const disk_writes& a, const disk_writes& b) {
    return {a.calls - b.calls, a.written - b.written, a.to_disk - b.to_disk};
  }
};

}  // namespace troupe::bench
