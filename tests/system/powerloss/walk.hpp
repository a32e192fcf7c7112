#pragma once

#include "checker.hpp"
#include "disk.hpp"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>

namespace troupe::power {

struct walk_options {
  std::uint64_t unit = 4096;        ///< bytes that reach the disk as a whole
  std::size_t images_a_point = 48;  ///< then: a random part of those that a crash point has
  std::uint64_t most_images = 0;    ///< that the findings may come to; then: it ends
  std::filesystem::path keep;       ///< where the first bad image goes; empty: nowhere
};

/// What a walk found; added up over the recordings of a campaign.
struct findings {
  std::uint64_t crash_points = 0;
  std::uint64_t images = 0;
  std::uint64_t continued = 0;  ///< images that also took another commit
  std::uint64_t acks = 0;       ///< in the recordings
  std::uint64_t lost = 0;       ///< bad because an acknowledged commit is missing
  std::uint64_t bad = 0;
  std::string first_bad;
};

/// A disk that lost its power and is fine: a run can go on from it.
struct survivor {
  std::string data_file;
  std::string log_file;
  std::uint64_t commits = 0;  ///< that are in it
};

/// A recorded run of one plan, from its beginning or from a survivor of an earlier run.
struct recording {
  workload which{};
  std::uint64_t seed = 0;
  std::size_t commits = 0;
  std::string root;  ///< recorded paths are below it
  std::optional<survivor> from;
  std::uint64_t file = 0;      ///< number of the survivor's data file
  std::uint64_t log_file = 0;  ///< and of its log
  std::string log;
  std::string data_file;      ///< what the run left
  std::string left_log_file;  ///< likewise
};

/// Looks at the images of every crash point of the recording, and picks one that is fine. Throws
/// when the recording is not complete: replayed with nothing lost, it must give the file that the
/// run left.
std::optional<survivor> walk(const recording& run, const walk_options& options,
                             const std::filesystem::path& scratch, findings& into);

}  // namespace troupe::power
