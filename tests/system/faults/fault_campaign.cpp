// fault_campaign [--points N] [--batches N] [--seed S] [--plant LIE]
//
// Runs the store in a process of its own, once for each point: the n-th open, read, write, sync or
// change of size fails, once or from there on, as the code says. Afterwards, without faults:
// nothing that was acknowledged is lost, nothing that was refused is there, no page or checksum is
// damaged, and the store reacted as docs/testing.md says. Prints the seed, and one JSON object at
// the end.
//
// Plants: `swallowsync` (a sync that fails answers success), `swallowwrite` (likewise a write),
// `ackrefused` (the run counts a refused batch as acknowledged), `goon` (the run does not stop when
// the store did, and forgets it).

#include <troupe/persistence/verify.hpp>

#include "books.hpp"
#include "chains.hpp"
#include "faults.hpp"
#include "support/temp_directory.hpp"
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>

using namespace troupe;
using namespace troupe::faults;

extern "C" void troupe_power_root(const char* directory);

namespace {

namespace fs = std::filesystem;

struct settings {
  std::uint64_t points = 200;
  std::uint64_t batches = 200;
  std::uint64_t seed = 1;
  std::string plant;
};

/// What a run and its judge tell the campaign, in memory they share.
struct outcome {
  books told;
  std::array<std::uint64_t, std::size(all_calls)> calls{};
  bool struck = false;
  bool refused_to_open = false;
  int open_code = 0;              // of the error that refused
  bool at_close = false;          // the fault came while the store was closed
  bool failed = false;            // the store stopped
  bool unknown = false;           // and somebody was answered `outcome_unknown`
  std::uint64_t refused = 0;      // batches
  std::uint64_t acked_after = 0;  // batches that were acknowledged after the fault
  std::uint64_t begun_after = 0;  // batches that were begun after it
  char wrong[300];
};

void say(outcome& to, const std::string& what) {
  if (to.wrong[0] == '\0')
    std::strncpy(to.wrong, what.c_str(), sizeof to.wrong - 1);
}

/// One run of the store under a plan.
class run {
public:
  run(const settings& how, outcome& out, fs::path store)
      : how_{how},
        out_{out},
        path_{std::move(store)},
        random_{how.seed} {}

  void go() {
    if (!open())
      return;
    for (std::uint64_t i = 0; i < how_.batches; ++i) {
      if (!batch())
        return;
      if (i % 3 == 2 && !step(store_->materialise()))
        return;
      if (i % 7 == 6 && !step(store_->compact()))
        return;
      if (i % 40 == 39) {
        close();
        if (!open())
          return;
      }
    }
    close();
  }

private:
  void close() {
    const bool before = struck();
    store_.reset();
    out_.at_close = out_.at_close || before != struck();
  }

  bool open() {
    auto opened = journal_store::open(path_, run_options(), fold_chains);
    if (opened) {
      store_.emplace(std::move(*opened));
      return true;
    }
    out_.refused_to_open = true;
    out_.open_code = static_cast<int>(opened.error().code);
    if (opened.error().message.empty())
      say(out_, "a refusal without words");
    return false;
  }

  bool batch() {
    const auto requests = next_batch(random_, out_.told);
    const auto before = out_.told;
    out_.begun_after += struck();
    for (const auto& request : requests)
      out_.told.begun[entity_of(request)] =
          std::max(out_.told.begun[entity_of(request)], request.sequence);
    const auto results = store_->commit(requests);
    bool all = true, none = true;
    for (std::size_t i = 0; i < results.size(); ++i) {
      const bool lie = how_.plant == "ackrefused" && struck();
      if (results[i] || lie)
        out_.told.acked[entity_of(requests[i])] = requests[i].sequence;
      all = all && results[i];
      none = none && !results[i];
      if (!results[i] && results[i].error().code == errc::outcome_unknown)
        out_.unknown = true;
      else if (!results[i] && results[i].error().message.empty())
        say(out_, "a refusal without words");
    }
    if (!all && !none)
      say(out_, "a batch was refused in part");
    out_.refused += none;
    out_.acked_after += all && struck();
    if (none && !out_.unknown && how_.plant != "ackrefused")
      out_.told.begun = before.begun;  // certainly not there
    return !stopped();
  }

  bool step(const expected<bool>& done) {
    if (!done && done.error().message.empty())
      say(out_, "a refusal without words");
    return !stopped();
  }

  bool stopped() {
    if (store_->failed() == nullptr)
      return false;
    if (how_.plant == "goon") {
      store_.reset();
      return !open();
    }
    out_.failed = true;
    out_.unknown = out_.unknown || store_->failed()->code == errc::outcome_unknown;
    const auto request = commit_request{entity_of(0), out_.told.acked[0] + 1, "after the end"};
    if (store_->commit({&request, 1}).front() || store_->load(entity_of(0)))
      say(out_, "a store that stopped answers");
    return true;
  }

  const settings& how_;
  outcome& out_;
  fs::path path_;
  std::mt19937_64 random_;
  std::optional<journal_store> store_;
};

void judge(outcome& out, const fs::path& path) {
  {
    auto store = journal_store::open(path, run_options(), fold_chains);
    if (!store)
      return say(out, "does not open: " + store.error().message);
    for (const auto& warning : store->started().warnings)
      say(out, "warns: " + warning);
    const auto found = compare(*store, out.told);
    say(out, found.silent.empty() ? found.named : found.silent);
  }
  const auto report = verify_store(path);
  if (!report || !report->sound())
    say(out, "verify: " + (report ? report->faults.front() : report.error().message));
}

/// As docs/testing.md says.
void judge_reaction(outcome& out, const plan& what) {
  if (!out.struck)
    return;
  const bool at_start = out.refused_to_open;
  const bool no_room = what.code == ENOSPC || what.code == EDQUOT;
  // A file that cannot be opened is missed where it is needed, or not needed.
  const bool matters = what.which != call::open && !at_start && !out.at_close;
  if (what.code == EIO && !out.failed && matters)
    say(out, "an I/O error, and the store goes on");
  if (no_room && out.failed && !out.unknown)
    say(out, "no room, and the store stopped");
  if (no_room && !what.sticky && !out.failed && !at_start && !out.at_close && out.acked_after == 0
      && out.begun_after > 1)
    say(out, "no room once, and nothing was acknowledged any more");
  const auto code = static_cast<errc>(out.open_code);
  const bool fits = code == errc::store_full || code == errc::store_failed
                    || (what.code == 0 && code == errc::damaged);  // LMDB's own short reads
  if (at_start && !fits)
    say(out, "a start was refused with error " + std::to_string(out.open_code));
}

/// In a child; answers how it ended.
int in_child(const std::function<void()>& what) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::alarm(120);  // a run takes less than a second; then: it hangs
    what();
    ::_exit(0);
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return status;
}

class campaign {
public:
  explicit campaign(settings how)
      : how_{std::move(how)},
        shared_{static_cast<outcome*>(::mmap(nullptr, sizeof(outcome), PROT_READ | PROT_WRITE,
                                             MAP_SHARED | MAP_ANONYMOUS, -1, 0))} {
    troupe_power_root(directory_.store().c_str());
  }

  int go() {
    const auto whole = once({.which = call::open, .nth = ~std::uint64_t{0}, .code = EIO});
    if (whole.wrong[0] != '\0' || whole.refused != 0)
      return std::fprintf(stderr, "the run without a fault: %s\n", whole.wrong), 2;
    auto points = all_points(whole);
    const auto possible = points.size();
    std::shuffle(points.begin(), points.end(), std::mt19937_64{how_.seed});
    std::stable_sort(points.begin(), points.end(),
                     [](const auto& a, const auto& b) { return a.first < b.first; });
    if (points.size() > how_.points)
      points.resize(how_.points);
    for (const auto& [rank, what] : points)
      one(what);
    std::printf(
        "{\"seed\":%llu,\"batches\":%llu,\"possible\":%zu,\"points\":%zu,\"struck\":%llu,"
        "\"stopped\":%llu,\"refused_starts\":%llu,\"refused_batches\":%llu,\"unnoticed\":%llu,"
        "\"bad\":%llu,\"first_bad\":\"%s\"}\n",
        static_cast<unsigned long long>(how_.seed), static_cast<unsigned long long>(how_.batches),
        possible, points.size(), static_cast<unsigned long long>(struck_),
        static_cast<unsigned long long>(stopped_), static_cast<unsigned long long>(refused_starts_),
        static_cast<unsigned long long>(refused_), static_cast<unsigned long long>(unnoticed_),
        static_cast<unsigned long long>(bad_), first_bad_.c_str());
    return bad_ == 0 && struck_ != 0 ? 0 : 1;
  }

private:
  using ranked = std::pair<std::size_t, plan>;

  /// Every point there is. The rank spreads the first of them over all kinds of fault: the k-th
  /// point of each kind has rank k.
  [[nodiscard]] std::vector<ranked> all_points(const outcome& whole) const {
    std::vector<ranked> out;
    std::mt19937_64 random{how_.seed + 1};
    for (const auto which : all_calls) {
      std::vector<std::uint64_t> numbers(whole.calls[static_cast<std::size_t>(which)]);
      for (std::size_t i = 0; i < numbers.size(); ++i)
        numbers[i] = i + 1;
      for (const int code : {EIO, ENOSPC, EDQUOT, EINTR, 0}) {
        if (code == 0 && which != call::read && which != call::write)
          continue;
        for (const bool sticky : {false, true}) {
          if (sticky && (code == EINTR || code == 0))
            continue;  // who is interrupted for ever tries for ever
          std::shuffle(numbers.begin(), numbers.end(), random);
          for (std::size_t i = 0; i < numbers.size(); ++i)
            out.push_back({i, plan{which, numbers[i], code, sticky, swallows(which)}});
        }
      }
    }
    return out;
  }

  [[nodiscard]] bool swallows(call which) const {
    return (how_.plant == "swallowsync" && which == call::sync)
           || (how_.plant == "swallowwrite" && which == call::write);
  }

  outcome once(const plan& what) {
    std::error_code ignored;
    fs::remove_all(directory_.store(), ignored);
    *shared_ = {};
    const int status = in_child([&] {
      arm(what);
      run{how_, *shared_, directory_.store()}.go();
      shared_->struck = struck();
      for (const auto which : all_calls)
        shared_->calls[static_cast<std::size_t>(which)] = calls(which);
      disarm();
    });
    if (status != 0)
      say(*shared_, "the run died: status " + std::to_string(status));
    const int judged = in_child([&] { judge(*shared_, directory_.store()); });
    if (judged != 0)
      say(*shared_, "the check died: status " + std::to_string(judged));
    return *shared_;
  }

  void one(const plan& what) {
    auto got = once(what);
    judge_reaction(got, what);
    struck_ += got.struck;
    stopped_ += got.failed;
    refused_starts_ += got.refused_to_open;
    refused_ += got.refused;
    unnoticed_ += got.struck && !got.failed && !got.refused_to_open && got.refused == 0;
    if (got.wrong[0] == '\0')
      return;
    ++bad_;
    const auto text = std::string{to_string(what.which)} + " " + std::to_string(what.nth) + " "
                      + (what.code == 0 ? "short" : ::strerrorname_np(what.code))
                      + (what.sticky ? " sticky: " : " once: ") + got.wrong;
    std::fprintf(stderr, "bad: %s\n", text.c_str());
    if (first_bad_.empty())
      first_bad_ = text;
  }

  settings how_;
  testing::temp_directory directory_;
  outcome* shared_;
  std::uint64_t struck_ = 0, stopped_ = 0, refused_starts_ = 0, refused_ = 0, unnoticed_ = 0,
                bad_ = 0;
  std::string first_bad_;
};

}  // namespace

int main(int argc, char** argv) {
  use_memory();
  settings how;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string_view name = argv[i];
    const auto number = std::strtoull(argv[i + 1], nullptr, 10);
    if (name == "--points")
      how.points = number;
    else if (name == "--batches")
      how.batches = number;
    else if (name == "--seed")
      how.seed = number;
    else if (name == "--plant")
      how.plant = argv[i + 1];
    else
      return std::fprintf(stderr, "fault_campaign: no option %s\n", argv[i]), 2;
  }
  std::printf("fault_campaign: seed %llu, %llu batches, up to %llu points\n",
              static_cast<unsigned long long>(how.seed),
              static_cast<unsigned long long>(how.batches),
              static_cast<unsigned long long>(how.points));
  std::fflush(stdout);
  return campaign{std::move(how)}.go();
}
