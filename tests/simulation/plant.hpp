#pragma once

#include <string>
#include <string_view>

/// Which fault is planted on purpose; none in a run that counts. The copies of product sources that
/// `plants.cmake` changes ask it, and so do the store and the disk of the simulation.
namespace troupe::simulation {

inline std::string plant;

inline bool planted(std::string_view name) {
  return plant == name;
}

}  // namespace troupe::simulation
