#pragma once

#include "disk.hpp"

#include <filesystem>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace troupe::power {

/// One legal image of a crash point: which of the pending units arrived, of one file after the
/// other, and how many of the pending changes of names.
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

/// A file whose bytes are modelled. Number 0: the run has not made it yet.
struct modelled_file {
  file_model model;
  std::uint64_t id = 0;
};

/// The directory that shows one image after another, by writing only what differs from the durable
/// part of the files. Recorded paths below `recorded` are shown below `shown`.
class image_directory {
public:
  image_directory(std::filesystem::path shown, std::string recorded);
  image_directory(const image_directory&) = delete;
  image_directory& operator=(const image_directory&) = delete;
  ~image_directory();

  void show(std::span<const modelled_file> files, const names_model& names, const choice& image);

  /// Durable units of one of the files changed; REQUIRES: told for all before the next `show`.
  void arrived(std::size_t which, const std::vector<unit>& units);

  /// What the store's mark holds from here on, where there is one.
  void mark(std::string_view bytes) { mark_ = bytes; }

  /// Somebody wrote to the directory: the next image is written from the beginning.
  void touched() { clean_ = false; }

  /// One of the files as it is shown; empty when there is none.
  [[nodiscard]] std::string bytes(std::size_t which) const;

private:
  struct shown_file {
    int fd = -1;
    std::uint64_t size = 0;
    std::vector<unit> stale{};  ///< ranges that are not the durable bytes

    void close();
    void set_size(std::uint64_t bytes);
    void put(std::uint64_t offset, std::string_view bytes) const;
    void show(const file_model& file, const std::vector<bool>& units, std::size_t first);
  };

  void rebuild(std::span<const modelled_file> files, const name_space_tree& tree);
  void show_mark() const;

  std::filesystem::path shown_;
  std::string recorded_;
  name_space_tree tree_;
  std::string mark_;
  bool clean_ = false;
  std::vector<shown_file> files_;
};

}  // namespace troupe::power
