#include "api/process_metrics.hpp"

#include <unistd.h>

#include <cstdint>
#include <fstream>

namespace troupe::api {

std::string process_metrics() {
  std::ifstream in{"/proc/self/statm"};
  std::uint64_t size = 0, resident = 0;  // in pages
  if (!(in >> size >> resident))
    return {};
  const auto bytes = resident * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
  return "# HELP process_resident_memory_bytes Resident memory size in bytes.\n"
         "# TYPE process_resident_memory_bytes gauge\n"
         "process_resident_memory_bytes "
         + std::to_string(bytes) + '\n';
}

}  // namespace troupe::api
