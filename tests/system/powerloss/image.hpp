#pragma once

#include "disk.hpp"

#include <filesystem>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace troupe::power {

/// One legal image of a crash point: which of the pending units arrived, and how many of the
/// pending changes of names.
struct choice {
  std::vector<bool> units;
  std::size_t names = 0;

  friend auto operator<=>(const choice&, const choice&) = default;
};

/// The images to look at for a crash point, about `most` of them: none, all, and for names all that
/// can be; then, chosen by chance where they are too many, each unit alone, all but one, every
/// subset of up to six units, random subsets, prefixes.
std::vector<choice> choose(std::size_t units, std::size_t names, std::size_t most,
                           std::mt19937_64& random);

/// The directory that shows one image after another, by writing only what differs from the durable
/// part of the file. Recorded paths below `recorded` are shown below `shown`.
class image_directory {
public:
  image_directory(std::filesystem::path shown, std::string recorded);
  image_directory(const image_directory&) = delete;
  image_directory& operator=(const image_directory&) = delete;
  ~image_directory();

  void show(const file_model& file, std::uint64_t file_id, const names_model& names,
            const choice& image);

  /// Durable units changed; REQUIRES: told for all before the next `show`.
  void arrived(const std::vector<unit>& units);

  /// What the store's mark holds from here on, where there is one.
  void mark(std::string_view bytes) { mark_ = bytes; }

  /// Somebody wrote to the directory: the next image is written from the beginning.
  void touched() { clean_ = false; }

  /// The data file as it is shown; empty when there is none.
  [[nodiscard]] std::string bytes() const;

private:
  void rebuild(const file_model& file, std::uint64_t file_id, const name_space_tree& tree);
  void set_size(std::uint64_t bytes);
  void show_mark() const;
  void put(std::uint64_t offset, std::string_view bytes) const;

  std::filesystem::path shown_;
  std::string recorded_;
  name_space_tree tree_;
  std::string mark_;
  int fd_ = -1;
  std::uint64_t size_ = 0;
  bool clean_ = false;
  std::vector<unit> stale_;  ///< ranges that are not the durable bytes
};

}  // namespace troupe::power
