// full_store_campaign [--cycles N] [--seed S] [--plant LIE]
//
// A store on a disk of 40 MiB, and one with a quota of 40 MiB on a greater disk, are filled until
// they refuse; everything is read; half of it is deleted; they must take new content again. Each
// cycle also closes the full store, opens it on the full disk and verifies it. Prints the seed, and
// one JSON object at the end. Exits with 77, loudly, where it may not mount.
//
// Plant: `nofrees` (deletions do not say that they free): the campaign must fail.

#include <troupe/persistence/verify.hpp>

#include "../../support/fold.hpp"
#include "books.hpp"
#include "full_disk.hpp"
#include "support/temp_directory.hpp"
#include <spdlog/spdlog.h>

#include <cstdio>
#include <cstdlib>
#include <map>
#include <random>

using namespace troupe;

namespace {

constexpr std::size_t mib = 1 << 20;

[[noreturn]] void violation(const std::string& what) {
  std::fprintf(stderr, "VIOLATION: %s\n", what.c_str());
  std::exit(1);
}

/// Everything that was appended since the last deletion.
expected<std::string> fold(entity_kind, std::string_view snapshot,
                           const std::vector<std::string>& changes) {
  std::string out{snapshot};
  for (const auto& change : changes) {
    if (change == "D")
      out.clear();
    else
      out += change;
  }
  return out;
}

class cycle_runner {
public:
  cycle_runner(std::filesystem::path path, std::uint64_t quota, std::uint64_t seed, bool lie)
      : path_{std::move(path)},
        random_{seed},
        lie_{lie} {
    options_.quota_bytes = quota;
    options_.reserve_bytes = 4 * mib;
    options_.covered_bytes = mib;
    options_.tail_bytes = 4 * mib;
    reopen();
  }

  void cycle() {
    const auto taken = fill();
    if (taken < 4 * mib)
      violation("only " + std::to_string(taken) + " bytes were taken before it was full again");
    taken_ += taken;
    compare();
    reopen();
    compare();
    if (append(1'000))
      ++room_by_opening_;
    for (auto& [id, content] : contents_)
      if (random_() % 2 == 0)
        erase(id);
    compare();
  }

  void verify() {
    { const auto closed = std::move(*store_); }
    store_.reset();
    const auto report = verify_store(path_);
    if (!report || !report->sound())
      violation("verify: " + (report ? report->faults.front() : report.error().message));
    reopen();
  }

  [[nodiscard]] std::uint64_t taken() const { return taken_; }
  [[nodiscard]] std::uint64_t deletions() const { return deletions_; }

private:
  void reopen() {
    store_.reset();
    auto opened = journal_store::open(path_, options_, testing::fold_texts(fold));
    if (!opened)
      violation("does not open: " + opened.error().message);
    store_.emplace(std::move(*opened));
  }

  /// What the store's actor does between two batches.
  void keep_house() {
    for (int i = 0; i < 200; ++i) {
      const auto stats = store_->stats();
      const bool fold_now = stats.tail_bytes > (store_->short_of_room() ? 0 : options_.tail_bytes);
      const bool free_now =
          stats.covered_bytes > (store_->short_of_room() ? 0 : options_.covered_bytes);
      const bool folded = fold_now && store_->materialise();
      const bool freed = free_now && store_->compact();
      if (store_->failed() != nullptr)
        violation("it stopped: " + store_->failed()->message);
      if (!folded && !freed)
        return;
    }
  }

  bool append(std::size_t largest) {
    const auto id = "entity-" + std::to_string(random_() % 700);
    auto& content = contents_[id];
    if (content.size() > 64 << 10)
      return true;
    std::string payload(1 + random_() % largest, '\0');
    for (auto& c : payload)
      c = static_cast<char>('a' + random_() % 26);
    const commit_request request{session_ref(id), sequences_[id] + 1, payload};
    const auto done = store_->commit({&request, 1}).front();
    keep_house();
    if (done) {
      ++sequences_[id];
      content += payload;
      return true;
    }
    if (done.error().code != errc::store_full)
      violation("refused, but not as full: " + done.error().message);
    return false;
  }

  std::uint64_t fill() {
    std::uint64_t before = 0, after = 0;
    for (const auto& [id, content] : contents_)
      before += content.size();
    for (std::size_t largest = 20'000; largest > 100;)  // to the last byte
      largest = append(largest) ? largest : largest / 2;
    for (const auto& [id, content] : contents_)
      after += content.size();
    return after - before;
  }

  void erase(const std::string& id) {
    if (sequences_[id] == 0)
      return;
    commit_request request{session_ref(id), sequences_[id] + 1, "D", true};
    request.frees = !lie_;
    const auto done = store_->commit({&request, 1}).front();
    if (!done)
      violation("a deletion is refused when it is full: " + done.error().message);
    ++sequences_[id];
    contents_[id].clear();
    ++deletions_;
    keep_house();
  }

  void compare() {
    for (const auto& [id, content] : contents_) {
      const auto stored = store_->load(session_ref(id));
      if (!stored)
        violation(id + " cannot be read: " + stored.error().message);
      if (stored->sequence != sequences_[id]
          || fold(entity_kind::session, stored->parts.body, stored->parts.changes) != content)
        violation(id + " is not what was acknowledged");
    }
  }

  std::filesystem::path path_;
  journal_options options_;
  std::mt19937_64 random_;
  bool lie_;
  std::optional<journal_store> store_;
  std::map<std::string, std::string> contents_;
  std::map<std::string, std::uint64_t> sequences_;
  std::uint64_t taken_ = 0, deletions_ = 0, room_by_opening_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  troupe::faults::use_memory();
  spdlog::set_level(spdlog::level::off);
  std::uint64_t cycles = 10, seed = 1;
  bool lie = false;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string_view name = argv[i];
    if (name == "--cycles")
      cycles = std::strtoull(argv[i + 1], nullptr, 10);
    else if (name == "--seed")
      seed = std::strtoull(argv[i + 1], nullptr, 10);
    else if (name == "--plant")
      lie = std::string_view{argv[i + 1]} == "nofrees";
  }
  const testing::temp_directory directory;
  const faults::small_disk disk{directory.path() / "disk", 40};
  if (!disk.there()) {
    std::fprintf(stderr,
                 "SKIPPED: no right to mount a small file system, so no full disk was tested\n");
    return faults::small_disk::skipped;
  }
  std::printf("full_store_campaign: seed %llu\n", static_cast<unsigned long long>(seed));
  cycle_runner on_disk{directory.path() / "disk" / "store", 0, seed, lie};
  cycle_runner in_quota{directory.path() / "store", 40 * mib, seed + 1, lie};
  for (auto* one : {&on_disk, &in_quota}) {
    for (std::uint64_t i = 0; i < cycles; ++i)
      one->cycle();
    one->verify();
    std::printf(
        "{\"what\":\"%s\",\"seed\":%llu,\"cycles\":%llu,\"taken\":%llu,\"deletions\":%llu}\n",
        one == &on_disk ? "disk" : "quota", static_cast<unsigned long long>(seed),
        static_cast<unsigned long long>(cycles), static_cast<unsigned long long>(one->taken()),
        static_cast<unsigned long long>(one->deletions()));
  }
  if (const auto size = std::filesystem::file_size(directory.path() / "store" / "data.mdb");
      size > 41 * mib)
    violation("the store with a quota of 40 MiB has " + std::to_string(size) + " bytes");
}
