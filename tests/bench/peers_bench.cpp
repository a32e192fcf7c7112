// Durable appends of a turn through Troupe, beside what else could hold it, on the same disk in the
// same run. Rounds are interleaved, so that a machine that drifts does so for all; each figure is
// the median of the rounds. JSON on stdout, one object per result; a table of ratios on stderr.
//
//   peers_bench [--rounds 5] [--seconds 2] [--dir DIRECTORY] [--peers A,B] [--in-flight 1,8,64,256]
//               [--sessions 10000] [--payload 600]

#include "peers/peer.hpp"
#include <stdlib.h>
#include <sys/vfs.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <map>
#include <sstream>
#include <string>
#include <vector>

using namespace troupe::bench;

namespace {

/// The first is the baseline of all ratios.
const std::vector<peer> all_peers{
    {"raw_lmdb_sequential", "LMDB transaction synced", raw_sequential},
    {"raw_lmdb_per_session", "LMDB transaction synced", raw_per_session},
    {"store_actor", "LMDB transaction synced", store_actor_alone},
    {"runtime", "LMDB transaction synced", whole_runtime},
    {"sqlite_sequential", "WAL synced (synchronous=FULL)", sqlite_sequential},
    {"sqlite_per_session", "WAL synced (synchronous=FULL)", sqlite_per_session},
    {"redis", "log synced (appendfsync always)", redis},
    {"redis_pipeline_16", "log synced (appendfsync always)", redis_pipelined},
};

struct options {
  int rounds = 5;
  workload work{.dir = {}, .seconds = 2};
  std::filesystem::path parent = std::filesystem::temp_directory_path();
  std::vector<peer> peers = all_peers;
  std::vector<std::size_t> in_flight{1, 8, 64, 256};
};

std::vector<std::string> split(const std::string& list) {
  std::vector<std::string> out;
  std::istringstream in{list};
  for (std::string word; std::getline(in, word, ',');)
    out.push_back(word);
  return out;
}

options read_options(int argc, char** argv) {
  options out;
  for (int i = 1; i < argc; i += 2) {
    const std::string name = argv[i];
    const std::string given = i + 1 < argc ? argv[i + 1] : "";
    if (name == "--rounds")
      out.rounds = std::max(1, std::stoi(given));
    else if (name == "--seconds")
      out.work.seconds = std::stod(given);
    else if (name == "--dir")
      out.parent = given;
    else if (name == "--sessions")
      out.work.sessions = std::stoul(given);
    else if (name == "--payload")
      out.work.payload_bytes = std::stoul(given);
    else if (name == "--in-flight") {
      out.in_flight.clear();
      for (const auto& number : split(given))
        out.in_flight.push_back(std::stoul(number));
    } else if (name == "--peers") {
      const auto wanted = split(given);
      for (const auto& word : wanted)
        if (std::ranges::none_of(all_peers, [&](const peer& x) { return x.name == word; }))
          throw std::runtime_error{"there is no peer " + word};
      std::erase_if(out.peers, [&](const peer& x) {
        return std::ranges::find(wanted, std::string{x.name}) == wanted.end();
      });
    } else {
      throw std::runtime_error{"there is no option " + name};
    }
  }
  return out;
}

/// One peer, once, in a directory that is empty before and gone after.
result run_once(const peer& which, workload work, const std::filesystem::path& dir) {
  work.dir = dir / which.name;
  std::filesystem::create_directory(work.dir);
  result out;
  try {
    out = which.run(work);
  } catch (const std::exception& why) {
    out = unavailable(why.what());
  }
  std::filesystem::remove_all(work.dir);
  std::ranges::sort(out.latencies_us);
  return out;
}

double median(std::vector<double> of) {
  std::ranges::sort(of);
  return of.empty() ? 0 : of[of.size() / 2];
}

/// The rounds of one peer with one number of requests in flight.
class series {
public:
  void add(const result& one) {
    if (!one.not_run.empty() || one.latencies_us.empty()) {
      not_run_ = one.not_run.empty() ? "it acknowledged nothing" : one.not_run;
      return;
    }
    const auto n = static_cast<double>(one.latencies_us.size());
    const auto at = [&](double part) {
      return static_cast<double>(one.latencies_us[static_cast<std::size_t>(part * (n - 1))]);
    };
    rate_.push_back(one.per_second());
    p50_.push_back(at(0.5));
    p99_.push_back(at(0.99));
    cpu_.push_back(one.cpu_seconds * 1e6 / n);
    batch_.push_back(one.commits == 0 ? 0 : n / static_cast<double>(one.commits));
  }

  [[nodiscard]] bool ran() const { return !rate_.empty() && not_run_.empty(); }
  [[nodiscard]] double rate() const { return median(rate_); }

  void print(const peer& which, const options& how, std::size_t in_flight, double baseline) const {
    std::printf(
        "{\"schema\":\"troupe.bench/1\",\"bench\":\"peers_append\",\"peer\":\"%s\","
        "\"acknowledged_when\":\"%s\",\"in_flight\":%zu,\"payload_bytes\":%zu,"
        "\"sessions\":%zu,\"seconds\":%.2f",
        which.name, which.durability, in_flight, how.work.payload_bytes, how.work.sessions,
        how.work.seconds);
    if (!ran()) {
      auto why = not_run_;
      std::ranges::replace_if(
          why, [](unsigned char c) { return c < 0x20 || c == '"' || c == '\\'; }, ' ');
      std::printf(",\"not_run\":\"%s\"}\n", why.c_str());
      return;
    }
    std::printf(
        ",\"rounds\":%zu,\"per_second\":%.0f,\"per_second_min\":%.0f,"
        "\"per_second_max\":%.0f,\"p50_us\":%.1f,\"p99_us\":%.1f,\"cpu_us_each\":%.2f",
        rate_.size(), rate(), *std::ranges::min_element(rate_), *std::ranges::max_element(rate_),
        median(p50_), median(p99_), median(cpu_));
    if (median(batch_) > 0)
      std::printf(",\"appends_per_commit\":%.1f", median(batch_));
    if (baseline > 0)
      std::printf(",\"of_baseline\":%.3f", rate() / baseline);
    std::puts("}");
  }

private:
  std::vector<double> rate_, p50_, p99_, cpu_, batch_;
  std::string not_run_;
};

using results = std::map<std::pair<std::string, std::size_t>, series>;

void print_table(const options& how, const results& all) {
  std::fprintf(stderr, "appends/s, and as a part of %s\n%-22s", all_peers.front().name,
               "in flight");
  for (const auto n : how.in_flight)
    std::fprintf(stderr, "%18zu", n);
  for (const auto& which : how.peers) {
    std::fprintf(stderr, "\n%-22s", which.name);
    for (const auto n : how.in_flight) {
      const auto& one = all.at({which.name, n});
      const auto base = all.find({all_peers.front().name, n});
      if (!one.ran())
        std::fprintf(stderr, "%18s", "not run");
      else if (base == all.end() || !base->second.ran())
        std::fprintf(stderr, "%18.0f", one.rate());
      else
        std::fprintf(stderr, "%11.0f %5.2fx", one.rate(), one.rate() / base->second.rate());
    }
  }
  std::fputs("\n", stderr);
}

void run(const options& how, const std::filesystem::path& dir) {
  results all;
  for (int round = 0; round < how.rounds; ++round)
    for (const auto n : how.in_flight)
      for (const auto& which : how.peers) {
        auto work = how.work;
        work.in_flight = n;
        all[{which.name, n}].add(run_once(which, work, dir));
      }
  for (const auto n : how.in_flight) {
    const auto base = all.find({all_peers.front().name, n});
    for (const auto& which : how.peers)
      all[{which.name, n}].print(
          which, how, n, base == all.end() || !base->second.ran() ? 0 : base->second.rate());
  }
  print_table(how, all);
}

void warn_of_memory(const std::filesystem::path& dir) {
  constexpr long tmpfs = 0x01021994;
  struct statfs info {};
  if (::statfs(dir.c_str(), &info) == 0 && info.f_type == tmpfs)
    std::fputs("this directory is in memory: a sync costs nothing there; use --dir\n", stderr);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const auto how = read_options(argc, argv);
    auto name = (how.parent / "troupe-peers-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr)
      throw std::runtime_error{"cannot make " + name};
    warn_of_memory(name);
    run(how, name);
    std::filesystem::remove_all(name);
    return 0;
  } catch (const std::exception& why) {
    std::fprintf(stderr, "error: %s\n", why.what());
    return 1;
  }
}
