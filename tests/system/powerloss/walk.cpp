#include "walk.hpp"

#include "child.hpp"
#include "image.hpp"

#include <algorithm>
#include <array>
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
        files_{
            modelled_file{file_model{options.unit, run.from ? run.from->data_file : ""}, run.file},
            modelled_file{file_model{options.unit, run.from ? run.from->log_file : ""},
                          run.log_file}},
        checker_{run.which, run.seed, run.commits},
        child_{checker_},
        image_{scratch, run.root},
        random_{run.seed} {
    if (!run.from)
      return;
    names_ = names_model{{{run.root + "/store", 0},
                          {run.root + "/store/data.mdb", run.file},
                          {run.root + "/store/commit.log", run.log_file}}};
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
    check_replayed(files_[0].model, run_.data_file);
    check_replayed(files_[1].model, run_.left_log_file);
    return survivor_;
  }

  static void check_replayed(file_model& file, const std::string& left) {
    file.sync();
    if (file.bytes() != std::string_view{left}.substr(0, file.bytes().size())
        || file.size() != left.size()
        || left.find_first_not_of('\0', file.bytes().size()) != std::string::npos)
      throw std::runtime_error{"the recorder missed a write: the replayed file is another one"};
  }

private:
  [[nodiscard]] bool full() const {
    return options_.most_images != 0 && into_.images >= options_.most_images;
  }

  /// Answers whether a crash may leave something else than before.
  bool take(const entry& call) {
    const auto which = std::ranges::find(files_, call.file, &modelled_file::id);
    const bool data = which != files_.end() && call.file != 0;
    switch (call.what) {
      case event::create:
        for (std::size_t i = 0; i < files_.size(); ++i) {
          if (!call.bytes.ends_with(i == 0 ? "/data.mdb" : "/commit.log"))
            continue;
          if (files_[i].id != 0)
            throw std::runtime_error{"a second file of its kind is not modelled"};
          files_[i].id = call.file;
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
          which->model.write(call.offset, call.bytes);
        return data;
      case event::resize:
        if (data) {
          seen_.clear();  // one that becomes shorter has no more pending than before
          which->model.resize(call.offset);
        }
        return data;
      case event::sync:
      case event::data_sync:
      case event::sync_blocks:
        if (!data)
          return false;
        if (call.what == event::sync)
          which->model.sync();
        else if (call.what == event::data_sync)
          which->model.data_sync();
        else
          which->model.sync_blocks(call.offset, call.bytes.size());
        image_.arrived(static_cast<std::size_t>(which - files_.begin()),
                       which->model.take_arrived());
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
    const auto units = files_[0].model.pending().size() + files_[1].model.pending().size();
    for (const auto& image : choose(units, names_.pending(), options_.images_a_point, random_)) {
      if (!seen_.insert(image_key(image)).second)
        continue;
      if (full())
        return;
      look_at(image);
    }
  }

  /// Pending units of a file only grow in number between syncs, so those that arrived name an
  /// image.
  [[nodiscard]] std::vector<std::size_t> image_key(const choice& image) const {
    std::vector<std::size_t> out{image.names};
    const auto of_data = files_[0].model.pending().size();
    for (std::size_t i = 0; i < image.units.size(); ++i)
      if (image.units[i])
        out.push_back(i < of_data ? 2 * i : 2 * (i - of_data) + 1);
    return out;
  }

  void look_at(const choice& image) {
    image_.show(files_, names_, image);
    const bool go_on = into_.images++ % continue_every == 0;
    into_.continued += go_on ? 1 : 0;
    // A check that has no store creates one; what is in a log it takes into the data file.
    const bool stored = fs::exists(store_ / "data.mdb");
    std::error_code none;
    const auto logged = fs::file_size(store_ / "commit.log", none);
    const bool writes = go_on || !stored || (!none && logged != 0);
    const auto commits = child_.check(store_, within_, go_on);
    if (writes || !commits)
      image_.touched();
    if (commits && stored && *commits != 0 && random_() % ++good_ == 0) {
      image_.show(files_, names_, image);                        // as it was before the check
      survivor_ = {image_.bytes(0), image_.bytes(1), *commits};  // each with the same chance
    }
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
    image_.show(files_, names_, image);  // as it was before the check
    fs::create_directories(options_.keep);
    fs::copy(store_.parent_path(), options_.keep,
             fs::copy_options::recursive | fs::copy_options::overwrite_existing);
    std::ofstream text{options_.keep / "why.txt"};
    text << into_.first_bad << "\nacknowledged " << within_.acked << ", begun " << within_.begun
         << "\nnames that arrived: " << image.names << " of " << names_.pending()
         << "\npending units:\n";
    std::size_t i = 0;
    for (const auto& file : files_)
      for (const auto& one : file.model.pending())
        text << (image.units[i++] ? "  arrived " : "  lost    ")
             << (&file == files_.data() ? "data " : "log ") << (one.is_size() ? "size " : "page ")
             << (one.is_size() ? one.offset : one.offset / 4096) << " +" << one.offset % 4096
             << ", " << one.bytes.size() << " bytes\n";
    image_.touched();
  }

  const recording& run_;
  const walk_options& options_;
  findings& into_;
  fs::path store_;
  std::array<modelled_file, 2> files_;  // data, log
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
