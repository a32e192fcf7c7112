/// Simulates seeds. Exit code 1 and a line "VIOLATION" with its seed where a promise is broken.

#include "plant.hpp"
#include "simulator.hpp"
#include <spdlog/spdlog.h>

#include <chrono>
#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <iostream>
#include <string>
#include <utility>

using namespace troupe::simulation;

namespace {

struct options {
  std::uint64_t first = 1, seeds = 100;
  double seconds = 0;  // 0: as many seeds as told
  bool twice = false;  // each seed, and its hash must be the same
  bool trace = false;
};

bool read(options& out, int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    const auto is = [&](const char* name) { return std::strcmp(argv[i], name) == 0; };
    if (is("--twice")) {
      out.twice = true;
      continue;
    }
    if (i + 1 == argc)
      return false;
    const char* given = argv[i + 1];
    if (is("--seed")) {
      out.first = std::strtoull(given, nullptr, 10);
      out.seeds = 1;
      out.trace = true;
    } else if (is("--first")) {
      out.first = std::strtoull(given, nullptr, 10);
    } else if (is("--seeds")) {
      out.seeds = std::strtoull(given, nullptr, 10);
    } else if (is("--seconds")) {
      out.seconds = std::strtod(given, nullptr);
    } else if (is("--plant")) {
      plant = given;
    } else {
      return false;
    }
    ++i;
  }
  return true;
}

findings simulate(std::uint64_t seed, bool trace) {
  const auto how = plan::of(seed);
  if (!trace)
    return simulator{how}.run();
  std::printf("seed %" PRIu64 ": %s\n", seed, describe(how).c_str());
  return simulator{how, [](const std::string& line) { std::printf("%s\n", line.c_str()); }}.run();
}

void add(findings& sum, const findings& one) {
  sum.hash ^= one.hash;
  sum.events += one.events;
  sum.crashes += one.crashes;
  sum.scope_crashes += one.scope_crashes;
  sum.commands += one.commands;
  sum.acknowledged += one.acknowledged;
  sum.landed += one.landed;
  sum.reads += one.reads;
  sum.unknown += one.unknown;
  sum.quarantined += one.quarantined;
  sum.repeats += one.repeats;
  sum.mismatches += one.mismatches;
  sum.sets += one.sets;
  sum.sets_landed += one.sets_landed;
  sum.set_crashes += one.set_crashes;
  sum.cleanings += one.cleanings;
  sum.told += one.told;
  sum.resumed += one.resumed;
  sum.cut_off += one.cut_off;
  sum.virtual_ms += one.virtual_ms;
}

}  // namespace

int main(int argc, char** argv) {
  options how;
  if (!read(how, argc, argv)) {
    std::fprintf(stderr,
                 "simulation [--seeds N] [--first N] [--seconds S] [--twice] [--plant NAME]\n"
                 "simulation --seed N    one seed, with its trace\n");
    return 64;
  }
  spdlog::set_level(spdlog::level::off);  // what goes wrong here is meant to
  std::cout.setstate(std::ios::badbit);   // CAF tells each exception there
  const auto began = std::chrono::steady_clock::now();
  const auto elapsed = [&] {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  };
  findings sum;
  std::uint64_t done = 0;
  for (; done < how.seeds && (how.seconds == 0 || elapsed() < how.seconds); ++done) {
    const auto seed = how.first + done;
    const auto one = simulate(seed, how.trace);
    add(sum, one);
    if (how.trace)
      std::printf("hash %016" PRIx64 "\n", one.hash);
    if (!one.violation.empty()) {
      std::printf("VIOLATION: seed %" PRIu64 " (seed %" PRIu64 " of this run): %s\n  %s\n", seed,
                  done + 1, one.violation.c_str(), describe(plan::of(seed)).c_str());
      return 1;
    }
    if (how.twice && simulate(seed, false).hash != one.hash) {
      std::printf("VIOLATION: seed %" PRIu64 " is not the same run twice\n", seed);
      return 1;
    }
  }
  const std::pair<const char*, std::uint64_t> counts[] = {{"seeds", done},
                                                          {"first", how.first},
                                                          {"crashes", sum.crashes},
                                                          {"scope_crashes", sum.scope_crashes},
                                                          {"commands", sum.commands},
                                                          {"landed", sum.landed},
                                                          {"acknowledged", sum.acknowledged},
                                                          {"reads", sum.reads},
                                                          {"unknown", sum.unknown},
                                                          {"quarantined", sum.quarantined},
                                                          {"repeats", sum.repeats},
                                                          {"mismatches", sum.mismatches},
                                                          {"sets", sum.sets},
                                                          {"sets_landed", sum.sets_landed},
                                                          {"set_crashes", sum.set_crashes},
                                                          {"cleanings", sum.cleanings},
                                                          {"told", sum.told},
                                                          {"resumed", sum.resumed},
                                                          {"cut_off", sum.cut_off},
                                                          {"messages", sum.events},
                                                          {"virtual_s", sum.virtual_ms / 1'000}};
  std::printf("{");
  for (const auto& [name, count] : counts)
    std::printf("\"%s\":%" PRIu64 ",", name, count);
  std::printf("\"seconds\":%.1f,\"seeds_per_second\":%.0f,\"hash\":\"%016" PRIx64
              "\",\"violations\":0}\n",
              elapsed(), static_cast<double>(done) / elapsed(), sum.hash);
}
