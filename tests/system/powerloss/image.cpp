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
  for (auto& file : files_)
    file.close();
}

void image_directory::show(std::span<const modelled_file> files, const names_model& names,
                           const choice& image) {
  auto tree = names.after(image.names);
  if (!clean_ || tree != tree_)
    rebuild(files, tree);
  tree_ = std::move(tree);
  show_mark();
  std::size_t first = 0;
  for (std::size_t i = 0; i < files.size(); ++i) {
    if (files_[i].fd >= 0)  // else this image has no such file
      files_[i].show(files[i].model, image.units, first);
    first += files[i].model.pending().size();
  }
}

void image_directory::shown_file::show(const file_model& file, const std::vector<bool>& units,
                                       std::size_t first) {
  const auto& pending = file.pending();
  auto to = file.size();
  for (std::size_t i = 0; i < pending.size(); ++i)
    if (units[first + i] && pending[i].is_size())
      to = std::max(to, pending[i].offset);
  set_size(std::min(size, file.size()));  // what is behind goes, so that growth brings zeros
  for (const auto& old : std::exchange(stale, {})) {
    if (old.offset >= file.size())
      continue;
    std::string durable;
    if (old.offset < file.bytes().size())
      durable = file.bytes().substr(old.offset, old.bytes.size());
    durable.resize(std::min<std::uint64_t>(old.bytes.size(), file.size() - old.offset));
    put(old.offset, durable);
  }
  set_size(to);
  for (std::size_t i = 0; i < pending.size(); ++i) {
    const auto& one = pending[i];
    if (!units[first + i] || one.is_size() || one.offset >= to)
      continue;  // bytes behind the size are not seen
    const unit visible{one.offset, one.bytes.substr(0, to - one.offset)};
    put(visible.offset, visible.bytes);
    stale.push_back(visible);
  }
}

void image_directory::arrived(std::size_t which, const std::vector<unit>& units) {
  files_.resize(std::max(files_.size(), which + 1));
  for (const auto& one : units)
    if (!one.is_size())
      files_[which].stale.push_back(one);
}

std::string image_directory::bytes(std::size_t which) const {
  const auto& file = files_.at(which);
  std::string out(file.fd < 0 ? 0 : file.size, '\0');
  if (!out.empty()
      && ::pread(file.fd, out.data(), out.size(), 0) != static_cast<ssize_t>(out.size()))
    throw std::runtime_error{"cannot read an image"};
  return out;
}

void image_directory::rebuild(std::span<const modelled_file> files, const name_space_tree& tree) {
  for (auto& file : files_)
    file.close();
  files_.assign(files.size(), {});
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
    const auto which = std::ranges::find(files, id, &modelled_file::id);
    if (which == files.end()) {
      ::close(fd);  // the others hold nothing durable: lock files
      continue;
    }
    auto& file = files_[static_cast<std::size_t>(which - files.begin())];
    file.fd = fd;
    file.put(0, which->model.bytes());
    file.size = which->model.bytes().size();
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

void image_directory::shown_file::close() {
  if (fd >= 0)
    ::close(fd);
  fd = -1;
}

void image_directory::shown_file::set_size(std::uint64_t bytes) {
  if (bytes == size)
    return;
  if (::ftruncate(fd, static_cast<off_t>(bytes)) != 0)
    throw std::runtime_error{"cannot set the size of an image"};
  size = bytes;
}

void image_directory::shown_file::put(std::uint64_t offset, std::string_view bytes) const {
  if (!bytes.empty()
      && ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset))
             != static_cast<ssize_t>(bytes.size()))
    throw std::runtime_error{"cannot write an image"};
}

}  // namespace troupe::power
