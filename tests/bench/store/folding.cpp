// Folding: what the tail's changes cost when they become snapshots, and how long a slice keeps
// commits waiting, by what ends a slice.

#include <troupe/messages/messages.hpp>
#include <troupe/persistence/journal_store.hpp>
#include <troupe/state/codec.hpp>
#include <troupe/state/decide.hpp>

#include "scenarios.hpp"
#include "turn_text.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <stdexcept>
#include <string>
#include <vector>

namespace troupe::bench {

namespace {

using clock_type = std::chrono::steady_clock;

constexpr std::size_t payload_bytes = 600;
constexpr std::size_t sessions = 5'000;
constexpr std::size_t batch = 256;

template <class T>
T must(expected<T> what) {
  if (!what)
    throw std::runtime_error{what.error().message};
  return *std::move(what);
}

double ms_of(const auto& what) {
  const auto begun = clock_type::now();
  what();
  return std::chrono::duration<double, std::milli>(clock_type::now() - begun).count();
}

/// Sessions that grow; each knows its newest state, so that its next change can be decided.
class writers {
public:
  explicit writers(store& to) : store_{to} {}

  /// Milliseconds in `commit`.
  double append(std::size_t turns) {
    double spent = 0;
    for (; turns > 0; turns -= std::min(turns, batch)) {
      std::vector<commit_request> requests;
      for (std::size_t i = 0; i < std::min(turns, batch); ++i)
        requests.push_back(next());
      spent += ms_of([&] {
        for (const auto& done : store_.commit(requests))
          must(done);
      });
    }
    return spent;
  }

private:
  commit_request next() {
    const auto number = turn_++;
    auto& state = states_[number % sessions];
    const auto ref = session_ref("conversation-" + std::to_string(number % sessions));
    command what{.entity = ref};
    if (!state.live())
      what.operations.emplace_back(create{});
    what.operations.emplace_back(append_items{
        {value::map({{"role", "user"}, {"content", turn_text(payload_bytes, number)}})}});
    auto decided = must(decide(state, what, {.now = timestamp{1'700'000'000'000}}));
    state = std::move(decided.next);
    commit_request out;
    out.entity = ref;
    out.sequence = decided.what.revision;
    out.payload = encode(decided.what);
    return out;
  }

  store& store_;
  std::vector<entity_state> states_ = std::vector<entity_state>(sessions);
  std::size_t turn_ = 0;
};

void run(const store_scenarios& how, std::uint64_t slice_bytes, int slice_ms) {
  const auto dir = how.dir / "folding";
  {
    journal_options options;
    options.slice_bytes = slice_bytes;
    options.slice_time = std::chrono::milliseconds{slice_ms};
    auto store = must(journal_store::open(dir, options, fold_entities()));
    writers all{store};
    double committing = 0;
    std::vector<double> slices;
    for (int round = 0; round < how.rounds; ++round) {  // snapshots exist from the second on
      committing += all.append(how.turns);
      for (bool more = true; more;)
        slices.push_back(ms_of([&] { more = must(store.materialise()); }));
    }
    double folding = 0;
    for (const auto one : slices)
      folding += one;
    std::ranges::sort(slices);
    const auto at = [&](double part) {
      return slices[static_cast<std::size_t>(part * static_cast<double>(slices.size() - 1))];
    };
    const auto turns = static_cast<double>(how.turns) * how.rounds;
    std::printf(
        "{\"schema\":\"troupe.bench/1\",\"bench\":\"folding\",\"slice_bytes\":%llu,\"slice_ms\":%d,"
        "\"sessions\":%zu,\"turns\":%.0f,\"turn_bytes\":%zu,\"commit_us_each\":%.2f,"
        "\"fold_us_each\":%.2f,\"slices\":%zu,\"slice_p50_ms\":%.2f,\"slice_p99_ms\":%.2f,"
        "\"slice_max_ms\":%.2f}\n",
        static_cast<unsigned long long>(slice_bytes), slice_ms, sessions, turns, payload_bytes,
        committing * 1e3 / turns, folding * 1e3 / turns, slices.size(), at(0.5), at(0.99), at(1));
    std::fflush(stdout);
  }
  std::filesystem::remove_all(dir);
}

}  // namespace

void measure_folding(const store_scenarios& how) {
  run(how, 1 << 20, 0);
  run(how, 1 << 20, 4);
  run(how, 1 << 20, 1);
  run(how, 128 << 10, 0);
}

}  // namespace troupe::bench
