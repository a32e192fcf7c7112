/// Overload: a runtime under five times as many durable commands as it can make. The rate that it
/// can sustain is measured first, with as many commands in flight as may be, on a store in the
/// state that it stays in (it folds and frees its journal all the time), and once more in the end,
/// since the machine may have others to serve; the peak is their mean. In between a generator sends
/// so many times the first rate, on a clock, whatever is answered. What is beyond must be refused
/// at once and with a hint, what is made must be nearly as much as before, memory must stay within
/// what the options allow, and after closing and opening again each entity must be exactly what was
/// acknowledged of it: not less, not more.
///
/// With --factor 0 there is no clock: it sends as fast as it can, which is enough to see refusals.
///
///   overload [--seconds 60] [--measure 10] [--factor 5] [--least 0.8] [--sessions 10000]
///            [--max-in-flight 4096] [--dir DIRECTORY]
///
/// Prints one line of JSON, also with what the generator itself took of the machine. Exit code 1
/// and lines "VIOLATION" where something did not hold; a goodput below `least` is one.

#include <troupe/runtime/runtime.hpp>

#include <malloc.h>
#include <stdlib.h>
#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cinttypes>
#include <cstdio>
#include <fstream>
#include <semaphore>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

using namespace troupe;

namespace {

using clock_type = std::chrono::steady_clock;

struct plan {
  double seconds = 60, measure = 10, factor = 5, least = 0.8;
  std::size_t sessions = 10'000;
  std::size_t max_in_flight = runtime_options{}.max_in_flight;
  std::filesystem::path parent = std::filesystem::temp_directory_path();
};

constexpr std::size_t keys = 8;             // of an entity, so that it does not grow
constexpr std::size_t payload_bytes = 600;  // of a value
constexpr double most_refusal_us = 1'000;   // in 99 of 100
/// Of a command on its way beside what it carries: its change, encoded, the state it makes, and its
/// messages.
constexpr std::size_t each_in_flight = 16 << 10;
constexpr std::size_t other_memory = 64 << 20;  // what allocators keep, the index of the tail

bool sound = true;

void violated(const char* what, double is, double may) {
  std::printf("VIOLATION: %s: %.2f, and may be %.2f\n", what, is, may);
  sound = false;
}

void must(bool good, const char* what) {
  if (!good)
    throw std::runtime_error{what};
}

double seconds_since(clock_type::time_point start) {
  return std::chrono::duration<double>(clock_type::now() - start).count();
}

double cpu_seconds(int who) {
  rusage used{};
  ::getrusage(who, &used);
  const auto seconds = [](const timeval& x) {
    return static_cast<double>(x.tv_sec) + static_cast<double>(x.tv_usec) * 1e-6;
  };
  return seconds(used.ru_utime) + seconds(used.ru_stime);
}

std::uint64_t anonymous_bytes() {
  std::ifstream status{"/proc/self/status"};
  for (std::string line; std::getline(status, line);)
    if (line.rfind("RssAnon:", 0) == 0)
      return std::stoull(line.substr(8)) * 1'024;
  return 0;
}

/// What was acknowledged of one entity. Commands of one sender to one entity are made in the order
/// of sending, and their answers come in that order, one at a time.
struct account {
  std::uint64_t made = 0;
  std::array<std::int64_t, keys> newest{};  // number of the command, by key
};

struct counts {
  std::atomic<std::uint64_t> made = 0, refused = 0, late_refusals = 0, failed = 0, unhinted = 0;
};

class load {
public:
  load(const plan& how, const std::filesystem::path& dir)
      : how_{how},
        dir_{dir},
        accounts_(how.sessions) {
    reopen();
  }

  void create_all() {
    for (std::size_t i = 0; i < how_.sessions; ++i) {
      while (on_their_way_ >= how_.max_in_flight)
        std::this_thread::yield();
      send(i, true);
    }
    wait_for_all();
    must(all_.made == how_.sessions && all_.failed == 0, "a session was not created");
  }

  /// Every entity gets all its keys, and the journal more than is kept of it: from here on folding
  /// and compaction are part of all that is measured.
  void warm_up() {
    for (std::size_t i = 0; i < keys * how_.sessions; ++i) {
      while (on_their_way_ >= how_.max_in_flight)
        std::this_thread::yield();
      send(next_++ % how_.sessions, false);
    }
    wait_for_all();
  }

  /// Commands made in a second, with so many in flight; of all that are in flight twice, at least,
  /// since a disk may stop for seconds when others write to it.
  double sustained() {
    const auto before = all_.made.load();
    const auto refused_before = all_.refused.load();
    const auto start = clock_type::now();
    while (seconds_since(start) < how_.measure || all_.made - before < 2 * how_.max_in_flight) {
      if (on_their_way_ < how_.max_in_flight)
        send(next_++ % how_.sessions, false);
      else
        std::this_thread::yield();
    }
    const auto rate = static_cast<double>(all_.made - before) / seconds_since(start);
    wait_for_all();
    must(all_.refused == refused_before, "something was refused below the limits");
    return rate;
  }

  struct overloaded {
    double seconds = 0, offered = 0, made = 0, refused = 0;
    double generator_cpu = 0, process_cpu = 0;  // seconds
    double refusal_p99_us = 0, drained_s = 0;
    std::uint64_t peak_memory = 0;
  };

  /// Sends on the clock: what is late is sent at once, so that the rate holds on the whole. Without
  /// a rate it sends as fast as it can.
  overloaded overload(double per_second) {
    overloaded out;
    const auto before = all_.made.load();
    const auto refused_before = all_.refused.load();
    const auto cpu_before = cpu_seconds(RUSAGE_SELF);
    const auto mine_before = cpu_seconds(RUSAGE_THREAD);
    const auto start = clock_type::now();
    double sent = 0, looked = 0;
    for (double now = 0; now < how_.seconds; now = seconds_since(start)) {
      const auto due = per_second > 0 ? now * per_second : sent + 256;
      for (int i = 0; i < 256 && sent < due; ++i, ++sent)
        send(next_++ % how_.sessions, false);
      if (now - looked > 0.1) {
        looked = now;
        out.peak_memory = std::max(out.peak_memory, anonymous_bytes());
      }
      if (per_second > 0 && sent >= due)
        std::this_thread::sleep_for(std::chrono::microseconds{500});
    }
    out.seconds = seconds_since(start);
    out.generator_cpu = cpu_seconds(RUSAGE_THREAD) - mine_before;
    out.process_cpu = cpu_seconds(RUSAGE_SELF) - cpu_before;
    out.offered = sent;
    out.made = static_cast<double>(all_.made - before);
    out.refused = static_cast<double>(all_.refused - refused_before);
    const auto draining = clock_type::now();
    wait_for_all();
    out.drained_s = seconds_since(draining);
    std::ranges::sort(refusals_us_);
    if (!refusals_us_.empty())
      out.refusal_p99_us = refusals_us_[refusals_us_.size() * 99 / 100];
    return out;
  }

  /// Closes, opens again and compares.
  std::uint64_t lost_after_reopening() {
    node_->close();
    reopen();
    std::uint64_t wrong = 0;
    for (std::size_t i = 0; i < how_.sessions; ++i) {
      const auto found = node_->read(session_of(i));
      const auto& is = accounts_[i];
      bool same = found && (**found).live() && (**found).revision == is.made;
      for (std::size_t key = 0; same && key < keys; ++key)
        same = is.newest[key] == 0 || holds(**found, key, is.newest[key]);
      wrong += same ? 0 : 1;
    }
    return wrong;
  }

  [[nodiscard]] const counts& all() const { return all_; }

private:
  void reopen() {
    node_.reset();
    auto opened = runtime::open({.data = dir_,
                                 .journal_tail_bytes = 8 << 20,
                                 .journal_kept_bytes = 16 << 20,
                                 .idle = std::chrono::milliseconds{0},
                                 .max_in_flight = how_.max_in_flight});
    if (!opened)
      throw std::runtime_error{opened.error().message};
    node_ = *std::move(opened);
  }

  [[nodiscard]] static entity_ref session_of(std::size_t i) {
    return session_ref("session-" + std::to_string(i));
  }

  static bool holds(const entity_state& state, std::size_t key, std::int64_t number) {
    const auto* found = find(state, section::state, "key-" + std::to_string(key), timestamp{});
    if (found == nullptr)
      return false;
    const auto is = found->data.view().find("n");
    return is && is->as_int64() == number;
  }

  void send(std::size_t session, bool creates) {
    const auto number = ++number_;
    const auto key = static_cast<std::size_t>(number) / how_.sessions % keys;
    command what{.entity = session_of(session)};
    if (creates)
      what.operations.emplace_back(create{});
    else
      what.operations.emplace_back(
          patch_state{{set_key{.key = "key-" + std::to_string(key),
                               .data = value::map({{"n", number}, {"text", text_}})}}});
    ++on_their_way_;
    bool at_once = true;  // until `execute` returns
    const auto* here = &at_once;
    const auto me = std::this_thread::get_id();
    const auto begun = clock_type::now();
    node_->execute(std::move(what), [=, this](const expected<command_result>& answer) {
      if (answer) {
        auto& of = accounts_[session];
        ++of.made;
        if (!creates)
          of.newest[key] = number;
        ++all_.made;
      } else if (answer.error().code == errc::busy) {
        ++all_.refused;
        all_.unhinted += answer.error().retry_after_ms ? 0 : 1;
        const bool now = std::this_thread::get_id() == me && *here;
        all_.late_refusals += now ? 0 : 1;
        if (now && all_.refused % 16 == 0)
          refusals_us_.push_back(static_cast<float>(seconds_since(begun) * 1e6));
      } else {
        std::fprintf(stderr, "failed: %s\n", answer.error().message.c_str());
        ++all_.failed;
      }
      --on_their_way_;
    });
    at_once = false;
  }

  void wait_for_all() const {
    const auto start = clock_type::now();
    while (on_their_way_ != 0) {
      must(seconds_since(start) < 120, "commands are not answered");
      std::this_thread::sleep_for(std::chrono::milliseconds{1});
    }
  }

  plan how_;
  std::filesystem::path dir_;
  std::string text_ = std::string(payload_bytes, 'x');
  std::vector<account> accounts_;
  std::vector<float> refusals_us_;  // one in 16
  counts all_;
  std::atomic<std::size_t> on_their_way_ = 0;
  std::size_t next_ = 0;
  std::int64_t number_ = 0;
  std::unique_ptr<runtime> node_;
};

int run(const plan& how, const std::filesystem::path& dir) {
  load node{how, dir};
  node.create_all();
  node.warm_up();
  const auto first_peak = node.sustained();
  ::malloc_trim(0);
  const auto before = anonymous_bytes();
  const auto is = node.overload(how.factor * first_peak);
  const auto second_peak = node.sustained();
  const auto peak = (first_peak + second_peak) / 2;
  const auto wrong = node.lost_after_reopening();
  const runtime_options defaults;
  const auto budget =
      before + defaults.max_in_flight_bytes + how.max_in_flight * each_in_flight + other_memory;
  const auto goodput = is.made / is.seconds;
  const auto& all = node.all();
  std::printf(
      "{\"schema\":\"troupe.bench/1\",\"bench\":\"overload\",\"sessions\":%zu,\"seconds\":%.1f,"
      "\"peak_before_per_second\":%.0f,\"peak_after_per_second\":%.0f,\"offered_per_second\":%.0f,"
      "\"made_per_second\":%.0f,"
      "\"of_peak\":%.3f,\"refused_per_second\":%.0f,\"refusal_p99_us\":%.1f,"
      "\"late_refusals\":%" PRIu64 ",\"failed\":%" PRIu64
      ",\"generator_cpu\":%.3f,\"process_cpu\":%.3f,\"rss_anon_before\":%" PRIu64
      ",\"rss_anon_peak\":%" PRIu64 ",\"budget\":%" PRIu64
      ",\"drained_s\":%.2f,\"wrong_after_reopening\":%" PRIu64 "}\n",
      how.sessions, is.seconds, first_peak, second_peak, is.offered / is.seconds, goodput,
      goodput / peak, is.refused / is.seconds, is.refusal_p99_us, all.late_refusals.load(),
      all.failed.load(), is.generator_cpu / is.seconds, is.process_cpu / is.seconds, before,
      is.peak_memory, static_cast<std::uint64_t>(budget), is.drained_s, wrong);
  if (goodput < how.least * peak)
    violated("goodput, of the peak", goodput / peak, how.least);
  if (is.offered < 0.9 * how.factor * first_peak * is.seconds)
    violated("the generator sent too little, a second", is.offered / is.seconds,
             how.factor * first_peak);
  if (is.refused == 0)
    violated("refusals", 0, 1);
  if (is.refusal_p99_us > most_refusal_us)
    violated("microseconds until a refusal, in 99 of 100", is.refusal_p99_us, most_refusal_us);
  if (all.unhinted != 0)
    violated("refusals without a hint", static_cast<double>(all.unhinted), 0);
  if (all.failed != 0)
    violated("commands that failed", static_cast<double>(all.failed), 0);
  if (is.peak_memory > budget)
    violated("bytes of memory", static_cast<double>(is.peak_memory), static_cast<double>(budget));
  if (wrong != 0)
    violated("entities that are not what was acknowledged", static_cast<double>(wrong), 0);
  return sound ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    plan how;
    for (int i = 1; i < argc; i += 2) {
      const std::string name = argv[i];
      const std::string given = i + 1 < argc ? argv[i + 1] : "";
      if (name == "--seconds")
        how.seconds = std::stod(given);
      else if (name == "--measure")
        how.measure = std::stod(given);
      else if (name == "--factor")
        how.factor = std::stod(given);
      else if (name == "--least")
        how.least = std::stod(given);
      else if (name == "--sessions")
        how.sessions = std::max(1UL, std::stoul(given));
      else if (name == "--max-in-flight")
        how.max_in_flight = std::max(1UL, std::stoul(given));
      else if (name == "--dir")
        how.parent = given;
      else
        throw std::runtime_error{"there is no option " + name};
    }
    auto name = (how.parent / "troupe-overload-XXXXXX").string();
    must(::mkdtemp(name.data()) != nullptr, "cannot make a directory");
    const auto status = run(how, name);
    std::filesystem::remove_all(name);
    return status;
  } catch (const std::exception& why) {
    std::fprintf(stderr, "error: %s\n", why.what());
    return 2;
  }
}
