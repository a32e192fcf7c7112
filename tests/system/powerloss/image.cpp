#include "image.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <stdexcept>
#include <utility>

namespace troupe::power {

namespace fs = std::filesystem;

std::vector<choice> choose(std::size_t units, std::size_t names, std::size_t most,
                           std::mt19937_64& random) {
  std::vector<choice> out;
  const auto add = [&](const auto& chosen) {
    choice image{std::vector<bool>(units), names};
    for (std::size_t i = 0; i < units; ++i)
      image.units[i] = chosen(i);
    out.push_back(std::move(image));
  };
  const auto none = [](std::size_t) { return false; };
  const auto all = [](std::size_t) { return true; };
  add(none);
  add(all);
  // Names and bytes arrive independently.
  for (std::size_t arrived = 0; arrived < names; ++arrived) {
    for (int twice = 0; twice < 2; ++twice) {
      add(none);
      out.back().names = arrived;
      out.back().units.assign(units, twice != 0);
    }
  }
  std::vector<choice> fixed = std::exchange(out, {});
  if (units > 0 && units <= 6) {
    for (std::uint64_t bits = 0; bits < 1ULL << units; ++bits)
      add([&](std::size_t i) { return (bits >> i & 1) != 0; });
  } else if (units > 0) {
    for (std::size_t one = 0; one < units; ++one) {
      add([&](std::size_t i) { return i == one; });
      add([&](std::size_t i) { return i != one; });
    }
    // Sparse, even and dense ones; and prefixes, as a disk that works in order leaves them.
    for (std::size_t k = 0; k < units / 2 + 8; ++k) {
      const auto density = 1 + random() % 7;
      add([&](std::size_t) { return random() % 8 < density; });
    }
    for (std::size_t k = 0; k < 4; ++k)
      add([&, border = random() % units](std::size_t i) { return i < border; });
  }
  std::shuffle(out.begin(), out.end(), random);
  const auto room = most > fixed.size() ? most - fixed.size() : 0;
  out.resize(std::min(out.size(), room));
  out.insert(out.begin(), fixed.begin(), fixed.end());
  return out;
}

image_directory::image_directory(fs::path shown, std::string recorded)
    : shown_{std::move(shown)},
      recorded_{std::move(recorded)} {}

image_directory::~image_directory() {
  if (fd_ >= 0)
    ::close(fd_);
}

void image_directory::show(const file_model& file, std::uint64_t file_id, const names_model& names,
                           const choice& image) {
  auto tree = names.after(image.names);
  if (!clean_ || tree != tree_)
    rebuild(file, file_id, tree);
  tree_ = std::move(tree);
  show_mark();
  if (fd_ < 0)
    return;  // this image has no data file

  auto size = file.size();
  for (std::size_t i = 0; i < image.units.size(); ++i)
    if (image.units[i] && file.pending()[i].is_size())
      size = std::max(size, file.pending()[i].offset);
  set_size(std::min(size_, file.size()));  // what is behind goes, so that growth brings zeros
  for (const auto& old : std::exchange(stale_, {})) {
    if (old.offset >= file.size())
      continue;
    std::string durable;
    if (old.offset < file.bytes().size())
      durable = file.bytes().substr(old.offset, old.bytes.size());
    durable.resize(std::min<std::uint64_t>(old.bytes.size(), file.size() - old.offset));
    put(old.offset, durable);
  }
  set_size(size);
  for (std::size_t i = 0; i < image.units.size(); ++i) {
    const auto& one = file.pending()[i];
    if (!image.units[i] || one.is_size() || one.offset >= size)
      continue;  // bytes behind the size are not seen
    const unit visible{one.offset, one.bytes.substr(0, size - one.offset)};
    put(visible.offset, visible.bytes);
    stale_.push_back(visible);
  }
}

void image_directory::arrived(const std::vector<unit>& units) {
  for (const auto& one : units)
    if (!one.is_size())
      stale_.push_back(one);
}

std::string image_directory::bytes() const {
  std::string out(fd_ < 0 ? 0 : size_, '\0');
  if (!out.empty() && ::pread(fd_, out.data(), size_, 0) != static_cast<ssize_t>(size_))
    throw std::runtime_error{"cannot read an image"};
  return out;
}

void image_directory::rebuild(const file_model& file, std::uint64_t file_id,
                              const name_space_tree& tree) {
  if (fd_ >= 0)
    ::close(fd_);
  fd_ = -1;
  size_ = 0;
  stale_.clear();
  fs::remove_all(shown_ / "store");
  for (const auto& [name, id] : tree) {  // a directory comes before what is in it
    const auto path = shown_.string() + name.substr(recorded_.size());
    if (id == 0) {
      fs::create_directory(path);
      fs::permissions(path, fs::perms::owner_all);
      continue;
    }
    const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
      throw std::runtime_error{"cannot create " + path};
    if (id == file_id) {
      fd_ = fd;
      put(0, file.bytes());
      size_ = file.bytes().size();
    } else {
      ::close(fd);  // the others hold nothing durable: lock files
    }
  }
  clean_ = true;
}

/// Whoever opened the last image left a mark of its own.
void image_directory::show_mark() const {
  const auto path = shown_ / "store" / "commit.mark";
  if (!fs::exists(path.parent_path()))
    return;
  fs::remove(path);
  if (tree_.contains(recorded_ + "/store/commit.mark"))
    std::ofstream{path, std::ios::binary} << mark_;
}

void image_directory::set_size(std::uint64_t bytes) {
  if (bytes == size_)
    return;
  if (::ftruncate(fd_, static_cast<off_t>(bytes)) != 0)
    throw std::runtime_error{"cannot set the size of an image"};
  size_ = bytes;
}

void image_directory::put(std::uint64_t offset, std::string_view bytes) const {
  if (!bytes.empty()
      && ::pwrite(fd_, bytes.data(), bytes.size(), static_cast<off_t>(offset))
             != static_cast<ssize_t>(bytes.size()))
    throw std::runtime_error{"cannot write an image"};
}

}  // namespace troupe::power
