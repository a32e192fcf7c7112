#include "walk.hpp"

#include "child.hpp"
#include "image.hpp"

#include <fstream>
#include <set>
#include <stdexcept>

namespace troupe::power {

namespace fs = std::filesystem;

namespace {

constexpr std::uint64_t continue_every = 16;

class walker {
public:
  walker(const recording& run, const walk_options& options, const fs::path& scratch, findings& into)
      : run_{run},
        options_{options},
        into_{into},
        store_{scratch / "store"},
        file_{options.unit, run.from ? run.from->data_file : ""},
        file_id_{run.file},
        checker_{run.which, run.seed, run.commits},
        child_{checker_},
        image_{scratch, run.root},
        random_{run.seed} {
    if (!run.from)
      return;
    names_ = names_model{{{run.root + "/store", 0}, {run.root + "/store/data.mdb", run.file}}};
    within_ = {run.from->commits, run.from->commits};
  }

  std::optional<survivor> walk() {
    crash();
    for (const auto& call : read_log(run_.log)) {
      ++calls_;
      if (!take(call))
        continue;
      if (full())
        return survivor_;
      crash();
    }
    if (within_.acked != run_.commits)
      throw std::runtime_error{"the log lacks acknowledgements"};
    file_.sync();
    if (file_.bytes() != std::string_view{run_.data_file}.substr(0, file_.bytes().size())
        || file_.size() != run_.data_file.size()
        || run_.data_file.find_first_not_of('\0', file_.bytes().size()) != std::string::npos)
      throw std::runtime_error{"the recorder missed a write: the replayed file is another one"};
    return survivor_;
  }

private:
  [[nodiscard]] bool full() const {
    return options_.most_images != 0 && into_.images >= options_.most_images;
  }

  /// Answers whether a crash may leave something else than before.
  bool take(const entry& call) {
    const bool data = call.file == file_id_ && file_id_ != 0;
    switch (call.what) {
      case event::create:
        if (call.bytes.ends_with("/data.mdb")) {
          if (file_id_ != 0)
            throw std::runtime_error{"a second data file is not modelled"};
          file_id_ = call.file;
        }
        if (call.bytes.ends_with("/commit.mark"))
          mark_id_ = call.file;
        names_.change(call);
        return true;
      case event::make_dir:
      case event::rename:
      case event::remove: names_.change(call); return true;
      case event::sync_dir:
        names_.sync_dir(call.bytes);
        seen_.clear();
        return false;  // what can be there now could be there before
      case event::write:
        if (call.file == mark_id_ && mark_id_ != 0) {
          // One sector, by a synced write: with the next call at the latest it is on the disk.
          if (call.offset != 0 || call.bytes.size() > 512)
            throw std::runtime_error{"a mark of more than a sector is not modelled"};
          image_.mark(call.bytes);
          seen_.clear();
          return true;
        }
        if (data)
          file_.write(call.offset, call.bytes);
        return data;
      case event::resize:
        if (data)
          file_.resize(call.offset);
        return data;
      case event::sync:
      case event::data_sync:
      case event::sync_blocks:
        if (!data)
          return false;
        if (call.what == event::sync)
          file_.sync();
        else if (call.what == event::data_sync)
          file_.data_sync();
        else
          file_.sync_blocks(call.offset, call.bytes.size());
        image_.arrived(file_.take_arrived());
        seen_.clear();
        return false;
      case event::begin: within_.begun = call.offset; return false;
      case event::ack:
        within_.acked = call.offset;
        ++into_.acks;
        seen_.clear();
        return true;
      default: throw std::runtime_error{"the log holds what is no call"};
    }
  }

  void crash() {
    ++into_.crash_points;
    for (const auto& image :
         choose(file_.pending().size(), names_.pending(), options_.images_a_point, random_)) {
      if (!seen_.insert(image_key(image)).second)
        continue;
      if (full())
        return;
      look_at(image);
    }
  }

  /// Pending units only grow in number between syncs, so those that arrived name an image.
  static std::vector<std::size_t> image_key(const choice& image) {
    std::vector<std::size_t> out{image.names};
    for (std::size_t i = 0; i < image.units.size(); ++i)
      if (image.units[i])
        out.push_back(i);
    return out;
  }

  void look_at(const choice& image) {
    image_.show(file_, file_id_, names_, image);
    const bool go_on = into_.images++ % continue_every == 0;
    into_.continued += go_on ? 1 : 0;
    // A check that has no store creates one.
    const bool writes = go_on || !fs::exists(store_ / "data.mdb");
    const auto commits = child_.check(store_, within_, go_on);
    if (commits && !writes && *commits != 0 && random_() % ++good_ == 0)
      survivor_ = {image_.bytes(), *commits};  // each good image with the same chance
    if (writes || !commits)
      image_.touched();
    if (commits)
      return;
    const auto& wrong = commits.error().message;
    into_.lost += wrong.find("LOST") != std::string::npos ? 1 : 0;
    if (into_.bad++ != 0)
      return;
    into_.first_bad = std::string{to_string(run_.which)} + " seed " + std::to_string(run_.seed)
                      + (run_.from ? " from " + std::to_string(run_.from->commits) : "")
                      + ", after call " + std::to_string(calls_) + ": " + wrong;
    if (!options_.keep.empty())
      keep(image);
  }

  void keep(const choice& image) {
    image_.show(file_, file_id_, names_, image);  // as it was before the check
    fs::create_directories(options_.keep);
    fs::copy(store_.parent_path(), options_.keep,
             fs::copy_options::recursive | fs::copy_options::overwrite_existing);
    std::ofstream text{options_.keep / "why.txt"};
    text << into_.first_bad << "\nacknowledged " << within_.acked << ", begun " << within_.begun
         << "\nnames that arrived: " << image.names << " of " << names_.pending()
         << "\npending units:\n";
    for (std::size_t i = 0; i < image.units.size(); ++i) {
      const auto& one = file_.pending()[i];
      text << (image.units[i] ? "  arrived " : "  lost    ") << (one.is_size() ? "size " : "page ")
           << (one.is_size() ? one.offset : one.offset / 4096) << " +" << one.offset % 4096 << ", "
           << one.bytes.size() << " bytes\n";
    }
    image_.touched();
  }

  const recording& run_;
  const walk_options& options_;
  findings& into_;
  fs::path store_;
  file_model file_;
  std::uint64_t file_id_;
  std::uint64_t mark_id_ = 0;
  names_model names_;
  bounds within_;
  checker checker_;
  checking_child child_;
  image_directory image_;
  std::mt19937_64 random_;
  std::set<std::vector<std::size_t>> seen_;  ///< images, since something became durable
  std::uint64_t calls_ = 0;
  std::uint64_t good_ = 0;
  std::optional<survivor> survivor_;
};

}  // namespace

std::optional<survivor> walk(const recording& run, const walk_options& options,
                             const fs::path& scratch, findings& into) {
  return walker{run, options, scratch, into}.walk();
}

}  // namespace troupe::power
