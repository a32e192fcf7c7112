// power_campaign WORKLOAD RECORDER [options]
//
// Cuts the power at every point of recorded runs of the store, in every way the model of the disk
// allows (or a random part of them), and opens what is left with the product's own code: nothing
// acknowledged is lost, no commit is there in part, no byte is another one. Prints a line of JSON
// for each campaign, progress on stderr. Exit code 1 when an image was bad, 2 when nothing was
// proved. docs/testing.md says what an image is.
//
//   --workload NAME   append, truncate, fork; without it: each
//   --unit BYTES      4096 or 512; without it: each
//   --images N        to look at in each campaign, over as many recordings as it takes (10000)
//   --commits N       of a recording (24); each fourth has four times as many
//   --a-point N       images of one crash point (48)
//   --seed N          of the first recording (1)
//   --plant NAME      a lie that must be found: one of the recorder's or the workload's
//   --keep DIR        where the first bad image goes

#include "walk.hpp"
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <optional>
#include <stdexcept>

using namespace troupe::power;
namespace fs = std::filesystem;

namespace {

struct campaign_options {
  std::string workload_binary, recorder, plant;
  std::optional<workload> only;
  std::vector<std::uint64_t> units{4096, 512};
  std::uint64_t images = 10'000, commits = 24, seed = 1;
  walk_options walk;
};

/// Gone when the campaign is; in memory where it can be, as the medium plays no part.
class scratch_directory {
public:
  scratch_directory() {
    std::error_code none;
    const bool memory = fs::space("/dev/shm", none).available > (256U << 20) && !none;
    auto name = (memory ? fs::path{"/dev/shm"} : fs::temp_directory_path()) / "troupe-power-XXXXXX";
    auto text = name.string();
    if (::mkdtemp(text.data()) == nullptr)
      throw std::runtime_error{"cannot make " + text};
    path_ = fs::canonical(text);
  }
  scratch_directory(const scratch_directory&) = delete;
  scratch_directory& operator=(const scratch_directory&) = delete;
  ~scratch_directory() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  /// An empty directory of this name.
  [[nodiscard]] fs::path fresh(const char* name) const {
    fs::remove_all(path_ / name);
    fs::create_directory(path_ / name);
    return path_ / name;
  }

private:
  fs::path path_;
};

std::string bytes_of(const fs::path& path) {
  if (fs::file_size(path) > (1U << 30))
    throw std::runtime_error{path.string() + " is too large to be held"};
  std::ifstream in{path, std::ios::binary};
  std::string out{std::istreambuf_iterator<char>{in}, {}};
  if (!in && !in.eof())
    throw std::runtime_error{"cannot read " + path.string()};
  return out;
}

/// Puts a file of a survivor into a store's directory; answers its inode.
std::uint64_t place(const fs::path& directory, const char* name, const std::string& bytes) {
  fs::create_directory(directory);
  fs::permissions(directory, fs::perms::owner_all);
  const auto path = directory / name;
  std::ofstream{path, std::ios::binary} << bytes;
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0 || static_cast<std::uint64_t>(info.st_size) != bytes.size())
    throw std::runtime_error{"cannot write " + path.string()};
  return info.st_ino;
}

recording record(const campaign_options& options, const scratch_directory& scratch, workload which,
                 std::uint64_t seed, std::optional<survivor> from) {
  const auto root = scratch.fresh("recorded");
  const auto log = scratch.fresh("log") / "log";
  const auto store = (root / "store").string();
  const auto commits = options.commits * (seed % 4 == 0 ? 4 : 1);
  std::uint64_t file = 0, log_file = 0;
  if (from) {
    file = place(root / "store", "data.mdb", from->data_file);
    log_file = place(root / "store", "commit.log", from->log_file);
  }
  const auto done = std::to_string(from ? from->commits : 0);
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::setenv("LD_PRELOAD", options.recorder.c_str(), 1);
    ::setenv("TROUPE_POWER_ROOT", root.c_str(), 1);
    ::setenv("TROUPE_POWER_LOG", log.c_str(), 1);
    ::setenv("TROUPE_POWER_PLANT", options.plant.c_str(), 1);
    ::dup2(::open("/dev/null", O_WRONLY | O_CLOEXEC), STDOUT_FILENO);  // the store's log
    ::execl(options.workload_binary.c_str(), options.workload_binary.c_str(), store.c_str(),
            std::string{to_string(which)}.c_str(), std::to_string(seed).c_str(),
            std::to_string(commits).c_str(), done.c_str(), options.plant.c_str(), nullptr);
    ::_exit(127);
  }
  int status = 0;
  if (pid < 0 || ::waitpid(pid, &status, 0) != pid || status != 0)
    throw std::runtime_error{"the workload failed: status " + std::to_string(status)};
  auto calls = bytes_of(log);
  static_cast<void>(read_log(calls));  // throws before the file is read: a map makes it huge
  return {which,
          seed,
          commits,
          root.string(),
          std::move(from),
          file,
          log_file,
          std::move(calls),
          bytes_of(root / "store" / "data.mdb"),
          bytes_of(root / "store" / "commit.log")};
}

std::string json_text(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\')
      out += '\\';
    out += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
  }
  return out + "\"";
}

/// One workload with one unit. Answers the number of bad images.
std::uint64_t run(const campaign_options& options, workload which, std::uint64_t unit) {
  using clock = std::chrono::steady_clock;
  const auto start = clock::now();
  const auto seconds = [&] { return std::chrono::duration<double>(clock::now() - start).count(); };
  const scratch_directory scratch;
  auto how = options.walk;
  how.unit = unit;
  how.most_images = options.images;
  findings found;
  std::uint64_t recordings = 0, again = 0;
  double next = 5;
  for (; found.images < options.images; ++recordings) {
    const auto seed = options.seed + recordings;
    const auto one = [&](std::optional<survivor> from) {
      return walk(record(options, scratch, which, seed, std::move(from)), how,
                  scratch.fresh("images"), found);
    };
    const auto left = one({});
    // Power is lost again after a start from what the first loss left.
    if (left && seed % 2 == 0 && found.images < options.images) {
      one(left);
      ++again;
    }
    if (seconds() < next)
      continue;
    std::fprintf(stderr, "    %s, %llu bytes: %llu of %llu images, %llu bad, %.0f s\n",
                 std::string{to_string(which)}.c_str(), static_cast<unsigned long long>(unit),
                 static_cast<unsigned long long>(found.images),
                 static_cast<unsigned long long>(options.images),
                 static_cast<unsigned long long>(found.bad), seconds());
    next = seconds() + 5;
  }
  const auto number = [](const char* name, std::uint64_t value) {
    return "\"" + std::string{name} + "\":" + std::to_string(value) + ",";
  };
  const auto line =
      "{\"workload\":" + json_text(std::string{to_string(which)}) + "," + number("unit", unit)
      + "\"plant\":" + json_text(options.plant) + "," + number("seed", options.seed)
      + number("recordings", recordings) + number("from_survivors", again)
      + number("acks", found.acks) + number("crash_points", found.crash_points)
      + number("images", found.images) + number("continued", found.continued)
      + number("images_per_second",
               static_cast<std::uint64_t>(static_cast<double>(found.images) / seconds()))
      + number("bad", found.bad) + number("lost", found.lost) + "\"first_bad\":"
      + (found.bad == 0 ? std::string{"null"} : json_text(found.first_bad)) + "}";
  std::printf("%s\n", line.c_str());
  std::fflush(stdout);
  return found.bad;
}

campaign_options read_options(int argc, char** argv) {
  campaign_options out;
  if (argc < 3 || argc % 2 == 0)
    throw std::runtime_error{"usage: power_campaign WORKLOAD RECORDER [--option VALUE ...]"};
  out.workload_binary = argv[1];
  out.recorder = argv[2];
  for (int i = 3; i < argc; i += 2) {
    const std::string name = argv[i], text = argv[i + 1];
    const auto number = std::strtoull(text.c_str(), nullptr, 10);
    if (name == "--workload") {
      for (const auto one : all_workloads)
        if (to_string(one) == text)
          out.only = one;
      if (!out.only)
        throw std::runtime_error{"no workload " + text};
    } else if (name == "--unit") {
      out.units = {number};
    } else if (name == "--images") {
      out.images = number;
    } else if (name == "--commits") {
      out.commits = number;
    } else if (name == "--a-point") {
      out.walk.images_a_point = number;
    } else if (name == "--seed") {
      out.seed = number;
    } else if (name == "--plant") {
      out.plant = text;
    } else if (name == "--keep") {
      out.walk.keep = text;
    } else {
      throw std::runtime_error{"no option " + name};
    }
  }
  if (out.images == 0 || out.commits == 0 || out.units.front() == 0)
    throw std::runtime_error{"a campaign of nothing proves nothing"};
  return out;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const auto options = read_options(argc, argv);
    std::uint64_t bad = 0;
    for (const auto which : all_workloads)
      for (const auto unit : options.units)
        if (!options.only || *options.only == which)
          bad += run(options, which, unit);
    return bad == 0 ? 0 : 1;
  } catch (const std::exception& what) {
    std::fprintf(stderr, "power_campaign: %s\n", what.what());
    return 2;
  }
}
