// The runtime beside what it is made of, in one run: commands of level `memory` beside a bare CAF
// gateway that asks as many actors, many operations in one command, reads of one key from two
// threads, by id and through a reader each, durable commands beside the store's actor alone, one
// blocking durable call beside one raw LMDB commit, and what a sleeping and a live session (beside
// a bare CAF actor) cost in memory and how long one takes to wake. Rounds take turns; a result is
// their median. JSON on stdout, one object per result, with the allocator that all of them had:
// that of the node, or with -DTROUPE_JEMALLOC= the C library's.
//
//   runtime_bench [--only batches|blocking|commands|durable|live|reads|sleep] [--rounds 5]
//                 [--seconds 1] [--sessions 1000000] [--dir DIRECTORY]

#include "runtime/tools.hpp"
#include <stdlib.h>

#include <map>

int main(int argc, char** argv) {
  using namespace troupe::bench;
  try {
    plan how;
    std::filesystem::path parent = std::filesystem::temp_directory_path();
    for (int i = 1; i < argc; i += 2) {
      const std::string name = argv[i];
      const std::string given = i + 1 < argc ? argv[i + 1] : "";
      if (name == "--only")
        how.only = given;
      else if (name == "--rounds")
        how.rounds = std::max(1, std::stoi(given));
      else if (name == "--seconds")
        how.seconds = std::stod(given);
      else if (name == "--sessions")
        how.sessions = std::max(50'000UL, std::stoul(given));
      else if (name == "--dir")
        parent = given;
      else
        throw std::runtime_error{"there is no option " + name};
    }
    auto name = (parent / "troupe-runtime-XXXXXX").string();
    must(::mkdtemp(name.data()) != nullptr, "cannot make a directory");
    how.dir = name;
    const std::map<std::string, void (*)(const plan&)> all{
        {"batches", measure_batches},   {"blocking", measure_blocking},
        {"commands", measure_commands}, {"durable", measure_durable},
        {"live", measure_live},         {"reads", measure_reads},
        {"sleep", measure_sleep}};
    for (const auto& [one, measure] : all)
      if (how.only.empty() || how.only == one)
        measure(how);
    std::filesystem::remove_all(how.dir);
    return 0;
  } catch (const std::exception& why) {
    std::fprintf(stderr, "error: %s\n", why.what());
    return 1;
  }
}
