#include "api/process_metrics.hpp"

#include <unistd.h>

#include <cstdint>
#include <fstream>

namespace troupe::api {

std::string process_metrics() {
  std::ifstream in{"/proc/self/statm"};
  std::uint64_t size = 0, resident = 0, of_files = 0;  // in pages
  if (!(in >> size >> resident >> of_files))
    return {};
  const auto bytes = [](std::uint64_t pages) {
    return std::to_string(pages * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE))) + '\n';
  };
  return "# HELP process_resident_memory_bytes Resident memory size in bytes.\n"
         "# TYPE process_resident_memory_bytes gauge\n"
         "process_resident_memory_bytes "
         + bytes(resident)
         + "# HELP troupe_anonymous_memory_bytes Resident memory that is no page of a file: what the "
           "node cannot give back.\n"
           "# TYPE troupe_anonymous_memory_bytes gauge\n"
           "troupe_anonymous_memory_bytes "
         + bytes(resident - of_files);
}

}  // namespace troupe::api
