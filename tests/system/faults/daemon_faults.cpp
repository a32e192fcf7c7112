// daemon_faults TROUPE RECORDER WHAT [CYCLES]
//
// What `troupe serve` does when the world fails it, seen from outside. WHAT is
//
//   stops        the n-th sync fails with EIO, for several n: the node ends with exit code 75, and
//                what it had acknowledged is there when it is started again
//   full         its disk of 24 MiB is full, CYCLES times (10): 507 for what adds, while GET and
//   DELETE go
//                on; after deletions it takes more again. Needs the right to mount, else exits with
//                77
//   file-system  the data directory is on NFS, as statfs says: exit code 78, unless it is allowed
//   damaged      the journal's tail or the log is damaged: exit code 65 at every start, and nothing
//                changes
//
// RECORDER is loaded before the node's C library and makes its calls fail.

#include <troupe/persistence/verify.hpp>

#include "full_disk.hpp"
#include "http/client.hpp"
#include "support/child_process.hpp"
#include "support/temp_directory.hpp"

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <random>
#include <string>
#include <thread>

using namespace troupe;
using namespace std::chrono_literals;

namespace {

namespace fs = std::filesystem;
const http::header json{"Content-Type", "application/json"};

[[noreturn]] void violation(const std::string& what) {
  std::fprintf(stderr, "VIOLATION: %s\n", what.c_str());
  std::exit(1);
}

struct programs {
  std::string node, recorder;
};

/// A node with faults to come, or without any.
class node {
public:
  node(const programs& with, const fs::path& data, const std::string& variable = {},
       std::vector<std::string> more = {}) {
    std::vector<std::string> command{"/usr/bin/env"};
    if (!variable.empty()) {
      command.push_back("LD_PRELOAD=" + with.recorder);
      command.push_back("TROUPE_POWER_ROOT=" + data.string());
      command.push_back(variable);
    }
    for (const auto& word : {with.node, std::string{"serve"}, std::string{"--data"}, data.string(),
                             std::string{"--listen"}, std::string{"127.0.0.1:0"},
                             std::string{"--log-level"}, std::string{"off"}})
      command.push_back(word);
    command.insert(command.end(), more.begin(), more.end());
    process_.emplace(command);
    const auto line = process_->read_line();
    const std::string prefix = "listening on ";
    if (line && line->starts_with(prefix)) {
      const auto at = *http::parse_url(line->substr(prefix.size()));
      client_.emplace(at.host, at.port, 20s);
    }
  }

  [[nodiscard]] bool serves() const { return client_.has_value(); }
  int wait() { return process_->wait(); }
  int end() { return process_->kill(SIGTERM); }

  /// The status; 0: no answer.
  int ask(const char* method, const std::string& path, const std::string& body = {}) {
    http::request asked{.method = method, .target = "/v1/sessions/" + path};
    if (!body.empty()) {
      asked.headers = {json};
      asked.body = body;
    }
    const auto answer = client_->send(asked);
    answer_ = answer ? answer->body : "";
    return answer ? answer->status : 0;
  }
  [[nodiscard]] const std::string& body() const { return answer_; }

private:
  std::optional<testing::child_process> process_;
  std::optional<http::client> client_;
  std::string answer_;
};

std::string item(const std::string& text) {
  return "{\"items\":[{\"text\":\"" + text + "\"}]}";
}

void stops(const programs& with) {
  constexpr int most = 2'000;  // items, which fill the log three times
  // A write is one of the log, of LMDB's pages or of its meta page.
  for (const std::string fault : {"sync 4", "sync 6", "sync 8", "sync 10", "write 6", "write 14",
                                  "write 40", "write 77", "write 530", "write 800"}) {
    const testing::temp_directory directory;
    int acked = 0;
    {
      node failing{with, directory.store(), "TROUPE_FAULT=" + fault + " 5 sticky"};
      if (!failing.serves()) {
        if (const int code = failing.wait(); code != 75)
          violation("a start that cannot sync ends with " + std::to_string(code));
        continue;
      }
      const bool made = failing.ask("PUT", "s") == 201;
      while (made && acked < most
             && failing.ask("POST", "s/items", item(std::to_string(acked + 1))) == 201)
        ++acked;
      if (acked == most)
        violation("no call failed: " + fault);
      if (const int code = failing.wait(); code != 75)
        violation("an I/O error ends the node with " + std::to_string(code));
      if (made && acked == 0)
        acked = -1;
    }
    node again{with, directory.store()};
    if (!again.serves())
      violation("it does not start again");
    const int status = again.ask("GET", "s/items?last=1");
    if (acked > 0
        && (status != 200
            || (again.body().find("\"" + std::to_string(acked) + "\"") == std::string::npos
                && again.body().find("\"" + std::to_string(acked + 1) + "\"")
                       == std::string::npos)))
      violation("acknowledged " + std::to_string(acked) + " items, and now: " + again.body());
    if (again.end() != 0)
      violation("it does not end well");
    std::printf("%s: exit 75, %d acknowledged, all there\n", fault.c_str(), std::max(acked, 0));
  }
}

void full(const programs& with, int cycles) {
  const testing::temp_directory directory;
  const faults::small_disk disk{directory.path() / "disk", 24};
  if (!disk.there()) {
    std::fprintf(stderr,
                 "SKIPPED: no right to mount a small file system, so no full disk was tested\n");
    std::exit(faults::small_disk::skipped);
  }
  const auto data = directory.path() / "disk" / "store";
  std::mt19937_64 random{1};
  const auto text = [&] {
    std::string out(2'000, '\0');
    for (auto& c : out)
      c = static_cast<char>('a' + random() % 26);
    return out;
  };
  std::optional<node> running;
  const auto start = [&] {
    running.reset();
    running.emplace(with, data, std::string{},
                    std::vector<std::string>{"--reserve", "3145728", "--journal-tail", "524288",
                                             "--journal-kept", "524288"});
    if (!running->serves())
      violation("it does not start on a full disk: " + std::to_string(running->wait()));
  };
  start();
  constexpr int sessions = 3'000;
  for (int cycle = 0; cycle < cycles; ++cycle) {
    int taken = 0, refused = 0, status = 0;
    const auto until = std::chrono::steady_clock::now() + 60s;
    while (refused < 3 || (taken < 100 && std::chrono::steady_clock::now() < until)) {
      const auto id = std::to_string(random() % sessions);
      if (running->ask("GET", id) == 404)
        running->ask("PUT", id);
      status = running->ask("POST", id + "/items", item(text()));
      if (status == 201)
        ++taken;
      else if (status == 507)
        ++refused;
      else if (status != 404 && status != 409)
        violation("a full store answers " + std::to_string(status) + ": " + running->body());
      if (status == 507 && taken < 100)
        std::this_thread::sleep_for(10ms);  // it folds and frees meanwhile
    }
    if (taken < 100)
      violation("only " + std::to_string(taken) + " items were taken after deletions");
    if (running->body().find("store_full") == std::string::npos && status == 507)
      violation("a 507 that is not store_full: " + running->body());
    int read = 0, deleted = 0;
    for (int i = 0; i < sessions; ++i) {
      const int seen = running->ask("GET", std::to_string(i) + "/items?last=1");
      if (seen != 200 && seen != 404)
        violation("a read on a full disk answers " + std::to_string(seen));
      read += seen == 200;
    }
    if (cycle % 3 == 2) {
      if (running->end() != 0)
        violation("it does not end well on a full disk");
      start();
    }
    for (int i = 0; i < sessions; ++i) {
      if (random() % 2 != 0)
        continue;
      const int gone = running->ask("DELETE", std::to_string(i));
      if (gone != 204 && gone != 200 && gone != 404)
        violation("a deletion on a full disk answers " + std::to_string(gone) + ": "
                  + running->body());
      deleted += gone != 404;
    }
    std::printf("cycle %d: %d items taken, then 507; %d sessions read, %d deleted\n", cycle, taken,
                read, deleted);
    std::fflush(stdout);
  }
  if (running->end() != 0)
    violation("it does not end well");
  running.reset();
  const auto report = verify_in_child(data);
  if (!report || !report->sound())
    violation("verify: " + (report ? report->faults.front() : report.error().message));
}

void file_system(const programs& with) {
  const testing::temp_directory directory;
  const std::string nfs = "TROUPE_FAULT_FS=0x6969";
  {
    node refused{with, directory.store(), nfs};
    if (refused.serves())
      violation("a store on NFS is served");
    if (const int code = refused.wait(); code != 78)
      violation("a store on NFS ends with " + std::to_string(code));
  }
  node allowed{with, directory.store(), nfs, {"--allow-remote-fs"}};
  if (!allowed.serves() || allowed.end() != 0)
    violation("a store on NFS is refused though it is allowed");
}

std::string bytes_of(const fs::path& file) {
  std::ifstream in{file, std::ios::binary};
  return {std::istreambuf_iterator<char>{in}, {}};
}

/// The newest changes of a node that is killed are in the log alone until somebody reads them.
void damaged(const programs& with, const char* name, bool read, const std::string& told) {
  const testing::temp_directory directory;
  {
    node writing{with, directory.store()};
    writing.ask("PUT", "s");
    for (int i = 0; i < 20; ++i)
      if (writing.ask("POST", "s/items", item("a word to find " + std::to_string(i))) != 201)
        violation("it does not write");
    if (read && writing.ask("GET", "s/revisions/3") != 200)
      violation("it does not read");
  }  // killed
  const auto file = directory.store() / name;
  auto data = bytes_of(file);
  auto found = data.find("a word to find 7");
  if (found == data.npos)
    violation(std::string{"nothing was written to "} + name);
  for (; found != data.npos; found = data.find("a word to find 7", found + 1))
    data[found] = 'A';
  std::ofstream{file, std::ios::binary | std::ios::trunc} << data;
  for (int i = 0; i < 3; ++i) {
    node refused{with, directory.store()};
    if (refused.serves())
      violation(std::string{"it is served with a damaged "} + name);
    if (const int code = refused.wait(); code != 65)
      violation(std::string{"a damaged "} + name + " ends with " + std::to_string(code));
    if (bytes_of(file) != data)
      violation("a refused start changed the file");
  }
  testing::child_process verify{{with.node, "verify", "--data", directory.store().string()}};
  const auto line = verify.read_line();
  if (!line || line->find(told) == line->npos || verify.wait() != 65)
    violation("troupe verify says: " + line.value_or("nothing"));
  std::printf("exit 65 three times; %s\n", line->c_str());
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4)
    return std::fprintf(stderr, "usage: daemon_faults TROUPE RECORDER WHAT [CYCLES]\n"), 2;
  const programs with{argv[1], argv[2]};
  const std::string_view what = argv[3];
  if (what == "stops")
    stops(with);
  else if (what == "full")
    full(with, argc > 4 ? std::atoi(argv[4]) : 10);
  else if (what == "file-system")
    file_system(with);
  else if (what == "damaged") {
    damaged(with, "data.mdb", true, "damaged: journal record");
    damaged(with, "commit.log", false, "damaged: commit.log: change ");
  } else
    return std::fprintf(stderr, "daemon_faults: there is no %s\n", argv[3]), 2;
}
