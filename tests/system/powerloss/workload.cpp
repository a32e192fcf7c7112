// power_workload DIRECTORY WORKLOAD SEED COMMITS DONE [PLANT]
//
// Carries out one plan behind its first DONE commits, which are in the store, and says when it
// begins a commit and when it was told that it is durable. Run by the campaign, with the recorder
// loaded before the C library. Plants: `earlyack` tells before the store does, `splitbatch` commits
// half a batch at a time.

#include "plan.hpp"

#include "../../support/fold.hpp"

#include <cstdio>
#include <cstdlib>
#include <span>

using namespace troupe;
using namespace troupe::power;

extern "C" {
[[gnu::weak]] void troupe_power_begin(std::uint64_t number);
[[gnu::weak]] void troupe_power_ack(std::uint64_t number);
}

namespace {

[[noreturn]] void stop(const std::string& what) {
  std::fprintf(stderr, "power_workload: %s\n", what.c_str());
  std::exit(2);
}

journal_store open(const char* directory) {
  auto out = journal_store::open(directory, small_bounds(), testing::fold_texts(fold));
  if (!out)
    stop(out.error().message);
  return std::move(*out);
}

void commit(journal_store& store, std::span<const commit_request> requests) {
  for (const auto& result : store.commit(requests))
    if (!result)
      stop(result.error().message);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 6 || troupe_power_ack == nullptr || troupe_power_begin == nullptr)
    stop(
        "usage: LD_PRELOAD=the recorder power_workload DIRECTORY WORKLOAD SEED COMMITS DONE "
        "[PLANT]");
  const std::string_view name = argv[2];
  const std::string_view plant = argc > 6 ? argv[6] : "";
  auto which = workload::append;
  for (const auto one : all_workloads)
    if (to_string(one) == name)
      which = one;
  const auto plan =
      make_plan(which, std::strtoull(argv[3], nullptr, 10), std::strtoull(argv[4], nullptr, 10));

  const auto done = std::strtoull(argv[5], nullptr, 10);
  auto store = open(argv[1]);
  std::uint64_t number = 0;
  for (const auto& step : plan) {
    if (number < done) {
      number += step.is == step::what::commit ? 1U : 0U;
      continue;
    }
    switch (step.is) {
      case step::what::commit: {
        troupe_power_begin(++number);
        if (plant == "earlyack")
          troupe_power_ack(number);
        const std::span requests{step.requests};
        const auto half = plant == "splitbatch" ? requests.size() / 2 : 0;
        if (half != 0)
          commit(store, requests.first(half));
        commit(store, requests.subspan(half));
        if (plant != "earlyack")
          troupe_power_ack(number);
        break;
      }
      case step::what::materialise:
        if (const auto more = store.materialise(); !more)
          stop(more.error().message);
        break;
      case step::what::reopen: {
        const auto closed = std::move(store);
      }
        store = open(argv[1]);
        break;
    }
  }
}
