// power_workload DIRECTORY WORKLOAD SEED COMMITS DONE [PLANT]
//
// Carries out one plan behind its first DONE commits, which are in the store, and says when it
// begins a commit and when it was told that it is durable. Run by the campaign, with the recorder
// loaded before the C library. Plants: `earlyack` tells before the store does; `splitbatch` commits
// half a batch at a time; `latechanges` brings what compaction keeps in the transaction behind the
// one that cuts the journal, `latefork` a fork's body in the one behind its first change.

#include <troupe/persistence/internal/lmdb.hpp>

#include "plan.hpp"

#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <span>
#include <unordered_map>

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

/// A store, and the lies about it.
class run {
public:
  run(const char* directory, std::string_view plant) : directory_{directory}, plant_{plant} {
    open();
  }

  void take(const step& what, std::uint64_t number) {
    switch (what.is) {
      case step::what::commit: commit(what.requests, number); break;
      case step::what::materialise: demand(store_->materialise()); break;
      case step::what::materialise_one: demand(store_->materialise(what.entity)); break;
      case step::what::begin_fold: begin_fold(); break;
      case step::what::end_fold: end_fold(); break;
      case step::what::compact:
        late("latechanges", "changes", [&] { demand(store_->compact()); });
        break;
      case step::what::reopen:
        close();
        open();
        break;
    }
  }

private:
  template <class T>
  static void demand(const expected<T>& result) {
    if (!result)
      stop(result.error().message);
  }

  void open() {
    auto out = journal_store::open(directory_, small_bounds(), fold_entities());
    demand(out);
    store_.emplace(std::move(*out));
  }

  void close() {
    job_.reset();
    store_.reset();
  }

  void begin_fold() {
    job_.reset();
    auto job = store_->begin_fold([this](const entity_ref& x) { return newest_[x]; });
    demand(job);
    job_ = *std::move(job);
  }

  void end_fold() {
    if (!job_)
      return;
    job_->run();
    demand(store_->end_fold(*job_));
    job_.reset();
  }

  void commit(std::span<const commit_request> requests, std::uint64_t number) {
    troupe_power_begin(number);
    if (plant_ == "earlyack")
      troupe_power_ack(number);
    std::size_t half = 0;  // of the batch, not of a set
    while (plant_ == "splitbatch" && half < requests.size() / 2)
      half += 1 + requests[half].together;
    const bool forks =
        std::ranges::any_of(requests, [](const auto& x) { return x.base != nullptr; });
    const auto go = [&] {
      for (const auto& part : {requests.first(half), requests.subspan(half)})
        for (const auto& result : store_->commit(part))
          demand(result);
      for (const auto& one : requests)
        newest_[one.entity] = one.after;
    };
    if (forks)
      late("latefork", "snapshots", go);
    else
      go();
    if (plant_ != "earlyack")
      troupe_power_ack(number);
  }

  using contents = std::map<std::string, std::string>;

  lmdb::environment raw() {
    close();
    auto env = lmdb::environment::open(directory_, small_bounds().map_bytes);
    env.reserve(1 << 20);
    return env;
  }

  static contents read(lmdb::environment& env, const char* database) {
    contents out;
    auto txn = lmdb::transaction::read(env);
    if (const auto db = txn.find_database(database)) {
      lmdb::cursor all{txn, *db};
      for (auto at = all.first(); at; at = all.next())
        out.emplace(at->key, at->value);
    }
    return out;
  }

  /// With this plant: what `work` changes in the database is taken back and comes a transaction
  /// later, as if the store had done it so.
  template <class Work>
  void late(std::string_view plant, const char* database, const Work& work) {
    if (plant_ != plant)
      return work();
    contents before, after;
    {
      auto env = raw();
      before = read(env, database);
    }
    open();
    work();
    {
      auto env = raw();
      after = read(env, database);
      for (const auto& target : {before, after}) {
        auto txn = lmdb::transaction::write(env);
        const auto db = txn.create_database(database);
        for (const auto& [key, value] : after)
          if (!target.contains(key))
            txn.erase(db, key);
        for (const auto& [key, value] : target)
          if (txn.get(db, key) != value)
            txn.put(db, key, value);
        txn.commit();
      }
    }
    open();
  }

  const char* directory_;
  std::string_view plant_;
  std::optional<journal_store> store_;
  std::unique_ptr<fold_job> job_;
  std::unordered_map<entity_ref, std::shared_ptr<const entity_state>> newest_;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc < 6 || troupe_power_ack == nullptr || troupe_power_begin == nullptr)
    stop(
        "usage: LD_PRELOAD=the recorder power_workload DIRECTORY WORKLOAD SEED COMMITS DONE "
        "[PLANT]");
  const std::string_view name = argv[2];
  auto which = workload::append;
  for (const auto one : all_workloads)
    if (to_string(one) == name)
      which = one;
  const auto plan =
      make_plan(which, std::strtoull(argv[3], nullptr, 10), std::strtoull(argv[4], nullptr, 10));

  const auto done = std::strtoull(argv[5], nullptr, 10);
  run run{argv[1], argc > 6 ? argv[6] : ""};
  std::uint64_t number = 0;
  for (const auto& step : plan.steps) {
    const bool skipped = number < done;
    number += step.is == step::what::commit ? 1U : 0U;
    if (!skipped)
      run.take(step, number);
  }
}
