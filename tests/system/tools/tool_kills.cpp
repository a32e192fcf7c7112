// tool_kills TROUPE KILL_AT_LIBRARY
//
// Runs `troupe compact`, `restore`, `backup` and `import` and kills each in front of every call
// that changes something in the file system, one run for each. After each kill the
// store must be what it was, or what the tool was to make of it, whole; what was to appear must be
// absent or whole; and the tool, run again, must succeed. Prints one JSON object at the end.

#include <troupe/messages/messages.hpp>
#include <troupe/persistence/maintenance.hpp>
#include <troupe/state/codec.hpp>
#include <troupe/state/decide.hpp>
#include <troupe/state/transfer.hpp>

#include "support/child_process.hpp"
#include "support/temp_directory.hpp"

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <optional>
#include <string>
#include <vector>

using namespace troupe;
using testing::child_process;
namespace fs = std::filesystem;

namespace {

[[noreturn]] void violation(const std::string& what) {
  std::fprintf(stderr, "VIOLATION: %s\n", what.c_str());
  std::exit(1);
}

journal_store open_store(const fs::path& dir) {
  auto out = journal_store::open(dir, journal_options{}, fold_entities());
  if (!out)
    violation("a store does not open: " + out.error().message);
  return std::move(*out);
}

/// All of a store that tools must keep: every entity, as its export.
std::string content(const fs::path& dir) {
  auto store = open_store(dir);
  if (const auto walked = walk_store(store); !walked)
    violation("a store is not whole: " + walked.error().message);
  std::string out = std::to_string(store.stats().position) + '\n';
  const auto listed = store.for_each_entity([&](const entity_ref& entity, std::uint64_t) {
    const auto stored = store.load(entity);
    const auto state = join_entity(stored->parts);
    if (!state)
      violation(state.error().message);
    out += export_jsonl(entity, *state);
    return true;
  });
  if (!listed)
    violation(listed.error().message);
  return out;
}

/// Some sessions, free pages, snapshots and a tail.
void fill(const fs::path& dir) {
  auto store = open_store(dir);
  const auto write = [&](const entity_ref& ref, entity_state& state, operation what) {
    const auto decided = decide(state, {ref, {std::move(what)}}, {.now = {1'000}});
    const commit_request request{ref, decided->next.revision, encode(decided->what)};
    if (const auto done = store.commit({&request, 1}); !done.front())
      violation(done.front().error().message);
    state = decided->next;
  };
  for (int i = 0; i < 12; ++i) {
    const auto ref = session_ref("session-" + std::to_string(i));
    entity_state state;
    write(ref, state, create{});
    for (int turn = 0; turn < 8; ++turn)
      write(
          ref, state,
          append_items{{value::map({{"content", std::string(900, static_cast<char>('a' + i))}})}});
    if (i % 4 == 2)
      if (const auto done = store.materialise(); !done)
        violation(done.error().message);
  }
}

struct world {
  fs::path dir;
  fs::path store() const { return dir / "store"; }
  fs::path result() const { return dir / "result"; }
};

struct scenario {
  const char* name;
  std::vector<std::string> arguments;     // of troupe
  std::function<void(const world&)> set;  // before each run
  std::function<void(const world&)> check;
};

class campaign {
public:
  campaign(std::string troupe, std::string library)
      : troupe_{std::move(troupe)},
        library_{std::move(library)} {}

  /// Kills in front of the first call, the second one ... until the tool ends by itself.
  void run(const scenario& what, const world& where) {
    long kills = 0;
    for (long n = 1;; ++n) {
      what.set(where);
      if (run_tool(what, n)) {
        if (n == 1)
          violation(std::string{what.name} + " was never killed");
        break;
      }
      ++kills;
      what.check(where);
      if (!run_again(what, where))
        violation(std::string{what.name} + " killed at call " + std::to_string(n)
                  + " does not succeed when it is run again");
      what.check(where);
    }
    std::printf("%s\"%s\":%ld", total_ == 0 ? "{" : ",", what.name, kills);
    total_ += kills;
  }

  void finish() { std::printf(",\"kills\":%ld,\"violations\":0}\n", total_); }

private:
  /// Whether it ended by itself, which must be well.
  bool run_tool(const scenario& what, std::optional<long> kill_at) {
    std::vector<std::string> command{"/usr/bin/env"};
    if (kill_at) {
      command.push_back("LD_PRELOAD=" + library_);
      command.push_back("TROUPE_KILL_AT=" + std::to_string(*kill_at));
    }
    command.push_back(troupe_);
    command.insert(command.end(), what.arguments.begin(), what.arguments.end());
    child_process tool{command};
    while (tool.read_line()) {
    }
    const int status = tool.wait();
    if (status == 128 + SIGKILL)
      return false;
    if (status != 0)
      violation(std::string{what.name} + " ended with " + std::to_string(status));
    return true;
  }

  /// A tool whose result is there already has nothing to do.
  bool run_again(const scenario& what, const world& where) {
    if (fs::exists(where.result()))
      return true;
    return run_tool(what, {});
  }

  std::string troupe_;
  std::string library_;
  long total_ = 0;
};

void copy_store(const fs::path& from, const fs::path& to) {
  fs::remove_all(to);
  fs::create_directory(to);
  fs::permissions(to, fs::perms::owner_all);
  fs::copy_file(from / "data.mdb", to / "data.mdb");
}

void require_same(const fs::path& dir, const std::string& wanted, const char* what) {
  if (content(dir) != wanted)
    violation(std::string{what} + " is not what it was");
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: tool_kills TROUPE KILL_AT_LIBRARY\n");
    return 2;
  }
  campaign kills{argv[1], argv[2]};
  if (fs::exists("/dev/shm"))  // a kill cannot tell a disk from memory, which is faster
    ::setenv("TMPDIR", "/dev/shm", 0);
  const testing::temp_directory temporary;
  const world here{temporary.path()};
  const auto original = temporary.path() / "original";
  fill(original);
  const auto wanted = content(original);
  const auto reset = [&](const world& w) {
    copy_store(original, w.store());
    fs::remove_all(w.result());
  };
  const auto check_result = [&](const world& w) {
    require_same(w.store(), wanted, "the store");
    if (fs::exists(w.result()))
      require_same(w.result(), wanted, "the result");
  };
  const auto store = here.store().string(), result = here.result().string();

  kills.run({"compact", {"compact", store, "--journal-kept", "0"}, reset, check_result}, here);
  kills.run({"backup", {"backup", store, result, "--compact"}, reset, check_result}, here);
  kills.run({"restore", {"restore", store, result}, reset, check_result}, here);

  const auto file = temporary.path() / "export";
  std::ofstream{file} << wanted.substr(wanted.find('\n') + 1);
  const auto target = (temporary.path() / "target").string();
  const auto check_import = [&](const world&) {
    if (!fs::exists(target + "/data.mdb"))
      return;
    const auto found = content(target);
    const bool none = found == "0\n";
    const bool all = found.substr(2) == wanted.substr(wanted.find('\n') + 1);
    if (!none && !all)
      violation("an import is there in part");
    if (all)
      fs::create_directory(here.result());  // done
  };
  kills.run({"import",
             {"import", target, file.string()},
             [&](const world& w) {
               fs::remove_all(w.result());
               fs::remove_all(target);
             },
             check_import},
            here);
  kills.finish();
  return 0;
}
