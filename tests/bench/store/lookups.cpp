// Look-ups of journal records by position, as folding follows an entity's tail: in one transaction,
// each with the check of the pages on its way. `scattered` records stand on other pages than those
// before them, `near` ones on pages that were met lately.

#include <troupe/persistence/internal/bytes.hpp>
#include <troupe/persistence/internal/lmdb.hpp>

#include "scenarios.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

namespace troupe::bench {

namespace {

constexpr std::uint64_t records = 100'000;
constexpr std::size_t record_bytes = 700;
constexpr std::size_t looked_up = 50'000;

void run(const store_scenarios& how, lmdb::environment& env, lmdb::dbi db, const char* name,
         std::uint64_t within) {
  std::minstd_rand luck{1};
  std::vector<double> rounds;
  std::uint64_t first = 1;
  for (int round = 0; round < how.rounds; ++round) {
    auto txn = lmdb::transaction::read(env);
    const auto begun = std::chrono::steady_clock::now();
    for (std::size_t i = 0; i < looked_up; ++i) {
      if (within != records && i % within == 0)
        first = luck() % (records - within) + 1;
      if (!txn.get(db, internal::be64(first + luck() % within)))
        throw std::runtime_error{"a record is missing"};
    }
    const std::chrono::duration<double, std::nano> spent = std::chrono::steady_clock::now() - begun;
    rounds.push_back(spent.count() / static_cast<double>(looked_up));
  }
  std::ranges::sort(rounds);
  std::printf(
      "{\"schema\":\"troupe.bench/1\",\"bench\":\"lookups\",\"what\":\"%s\",\"records\":%llu,"
      "\"record_bytes\":%zu,\"n\":%zu,\"min_ns\":%.0f,\"p50_ns\":%.0f,\"max_ns\":%.0f}\n",
      name, static_cast<unsigned long long>(records), record_bytes, rounds.size(), rounds.front(),
      rounds[rounds.size() / 2], rounds.back());
  std::fflush(stdout);
}

}  // namespace

void measure_lookups(const store_scenarios& how) {
  const auto dir = how.dir / "lookups";
  std::filesystem::create_directory(dir);
  {
    auto env = lmdb::environment::open(dir, 1ULL << 30);
    env.reserve(records * record_bytes);
    lmdb::dbi db = 0;
    {
      auto txn = lmdb::transaction::write(env);
      db = txn.create_database("journal");
      {
        lmdb::cursor journal{txn, db};
        for (std::uint64_t at = 1; at <= records; ++at)
          std::fill_n(journal.append(internal::be64(at), record_bytes), record_bytes, 'x');
      }
      txn.commit();
    }
    run(how, env, db, "scattered", records);
    run(how, env, db, "near", 500);
  }
  std::filesystem::remove_all(dir);
}

}  // namespace troupe::bench
