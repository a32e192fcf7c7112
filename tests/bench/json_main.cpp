// The main of the benchmarks that Google Benchmark runs: JSON unless an argument says otherwise.

#include <benchmark/benchmark.h>

#include <string>
#include <thread>
#include <vector>

int main(int argc, char** argv) {
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
