// The main of the benchmarks that Google Benchmark runs: JSON unless an argument says otherwise.
//
// Memory that a round frees stays with the allocator, as it does in a process that runs for days.
// Else glibc gives it back and each round pays again for the first touch of its pages, which is the
// kernel's cost and up to twice ours: TROUPE_BENCH_TRIM=1 measures that instead.

#include <benchmark/benchmark.h>
#include <malloc.h>

#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

int main(int argc, char** argv) {
  if (std::getenv("TROUPE_BENCH_TRIM") == nullptr) {
    ::mallopt(M_TRIM_THRESHOLD, 1 << 30);
    ::mallopt(M_TOP_PAD, 256 << 20);
  }
  // std::shared_ptr counts without atomics until a second thread has been started; the runtime has
  // many.
  std::thread([] {}).join();
  std::string json = "--benchmark_format=json";  // an argument given later overrides it
  std::vector<char*> arguments{argv[0], json.data()};
  arguments.insert(arguments.end(), argv + 1, argv + argc);
  int count = static_cast<int>(arguments.size());
  benchmark::Initialize(&count, arguments.data());
  benchmark::RunSpecifiedBenchmarks();
}
