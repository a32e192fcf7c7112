// A process that embeds the runtime gets SIGKILL at random moments, while its writers append, undo,
// make and restore checkpoints, fork, merge and delete. Few entities may live and little journal is
// kept, so kills hit activation, hibernation, folding and compaction too, and the start. What
// comes back must be what was decided: every acknowledged command, and the unanswered one of each
// writer as a whole or not at all. One in three is a change set of two to five entities, half of
// which is a violation. What is repeated under its key has one effect.
//
//   runtime_kill [--kills N] [--seed S] [--plant earlyack | --plant splitset]
//
// Prints the seed, and one JSON object at the end. The plant tells of an acknowledgement before it
// comes, the other one makes the commands of a set one by one; both must be found.

#include <troupe/persistence/verify.hpp>
#include <troupe/runtime/runtime.hpp>
#include <troupe/state/codec.hpp>

#include "support/temp_directory.hpp"
#include "system/kill_writer.hpp"
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>

using namespace troupe;
using namespace troupe::testing;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t writers = 6;

/// What a child tells its parent, who has the same model and applies it there.
struct note {
  enum class what : char {
    opened,     ///< and all compared
    begun,      ///< the writer's next command is on its way
    answered,   ///< it was: acknowledged or refused, as it must be
    landed,     ///< the one that was on its way at the last kill had been made
    repeated,   ///< a command was sent again, and had one effect
    violation,  ///< said on standard error
  } is;
  unsigned char writer = 0;
};

enum class plant { none, early_ack, split_set };

/// The process that is killed. It knows from its parent's memory what must be there.
class child {
public:
  child(std::vector<kill_writer>& all, int out, plant lie)
      : all_{all},
        out_{out},
        early_{lie == plant::early_ack},
        split_{lie == plant::split_set} {}

  [[noreturn]] void run(const std::filesystem::path& data, bool write) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    auto opened = runtime::open({.data = data,
                                 .now = [] { return kill_writer::now; },
                                 .journal_tail_bytes = 48 << 10,
                                 .journal_kept_bytes = 32 << 10,
                                 .max_live = 5});
    if (!opened)
      violation("does not open: " + opened.error().message);
    runtime_ = std::move(*opened);
    std::vector<bool> landed;
    for (auto& one : all_)
      landed.push_back(compare(one));
    tell(note::what::opened, 0);
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < all_.size(); ++i)
      threads.emplace_back([&, i] {
        if (landed[i])
          take_over(all_[i]);
        while (write)
          step(all_[i]);
      });
    for (auto& one : threads)
      one.join();
    runtime_->close();
    std::_Exit(0);
  }

private:
  void tell(note::what what, std::size_t writer) {
    const note out{what, static_cast<unsigned char>(writer)};
    if (::write(out_, &out, sizeof out) != sizeof out)
      std::_Exit(3);
  }

  [[noreturn]] void violation(const std::string& what) {
    std::fprintf(stderr, "VIOLATION: %s\n", what.c_str());
    tell(note::what::violation, 0);
    std::_Exit(1);
  }

  /// Answers whether the command that was on its way is there.
  bool compare(const kill_writer& of) {
    const auto next = of.next();
    const auto decided = of.decide(next);
    std::size_t landed = 0, to_land = 0;
    for (const auto& [ref, state] : of.states()) {
      const auto found = runtime_->read(ref);
      if (!found)
        violation(to_string(ref) + " cannot be read: " + found.error().message);
      const auto* made = decided ? change_of(ref, next, *decided) : nullptr;
      to_land += made != nullptr ? 1 : 0;
      if (encode(**found) == encode(state))
        continue;
      if (!of.waits() || made == nullptr || encode(**found) != encode(made->next))
        violation(to_string(ref) + " has revision " + std::to_string((**found).revision)
                  + "; acknowledged was " + std::to_string(state.revision)
                  + (of.waits() ? ", one command is on its way" : ""));
      ++landed;
    }
    if (landed != 0 && landed != to_land)
      violation("of a change set of " + std::to_string(to_land) + " there are "
                + std::to_string(landed));
    return landed != 0;
  }

  /// What is to be made of an entity; null: nothing.
  static const decision* change_of(const entity_ref& ref, const kill_writer::asked& next,
                                   const std::vector<decision>& decided) {
    for (std::size_t i = 0; i < decided.size(); ++i)
      if (next.request[i].entity == ref && decided[i].answer.changed)
        return &decided[i];
    return nullptr;
  }

  /// What landed without an answer: sent again under its key, it changes nothing.
  void take_over(kill_writer& of) {
    const auto next = of.next();
    const auto decided = of.decide(next);
    if (next.sent.once)
      repeat(of, next, decided);
    tell(note::what::landed, of.number());
    of.become(next, decided);
  }

  expected<change_set_result> execute(const change_set& what, bool one_by_one = false) {
    if (what.commands.size() > 1 && !one_by_one)
      return runtime_->execute_all(what);
    change_set_result out;
    for (auto one : what.commands) {
      one.once = what.once;
      auto done = runtime_->execute(one);
      if (!done)
        return tl::unexpected(std::move(done.error()));
      out.repeated = done->repeated;
      out.answers.push_back(*std::move(done));
    }
    return out;
  }

  void step(kill_writer& of) {
    if (const auto* earlier = of.to_repeat())
      repeat(of, earlier->first, earlier->second);
    const auto next = of.next();
    const auto decided = of.decide(next);
    tell(note::what::begun, of.number());
    if (early_)
      tell(note::what::answered, of.number());
    const auto done = execute(next.sent, split_ && decided);
    const auto name =
        to_string(next.request.front().entity) + ", command " + std::to_string(of.count());
    if (done.has_value() != decided.has_value())
      violation(name
                + (done ? " was done; it had to be refused: " + decided.error().message
                        : " was refused: " + done.error().message));
    if (!done && done.error().code != decided.error().code)
      violation(name + " was refused as " + done.error().message + ", not as "
                + decided.error().message);
    if (done && done->repeated)
      violation(name + " was taken for a repeat");
    for (std::size_t i = 0; done && i < done->answers.size(); ++i)
      if (static_cast<const outcome&>(done->answers[i]) != (*decided)[i].answer
          || encode(*done->answers[i].state) != encode((*decided)[i].next))
        violation(name + " had another outcome than it must have");
    if (!early_)
      tell(note::what::answered, of.number());
    of.become(next, decided);
  }

  /// What was not changed the first time may have been changed since.
  void repeat(const kill_writer& of, const kill_writer::asked& what,
              const kill_writer::decisions& first) {
    const auto name = to_string(what.request.front().entity);
    const auto again = execute(what.sent);
    if (!again)
      violation(name + " refuses a repeat: " + again.error().message);
    for (std::size_t i = 0; i < again->answers.size(); ++i)
      if (!again->repeated
          || ((*first)[i].answer.changed
                  ? static_cast<const outcome&>(again->answers[i]) != (*first)[i].answer
                  : again->answers[i].changed))
        violation(name + " answers a repeat otherwise, or made it twice");
    tell(note::what::repeated, of.number());
  }

  std::vector<kill_writer>& all_;
  int out_;
  bool early_;
  bool split_;
  std::unique_ptr<runtime> runtime_;
};

struct counts {
  std::uint64_t kills = 0, during_start = 0, acknowledged = 0, landed = 0, repeated = 0;
};

struct fate {
  bool writes = true;                ///< else: opens, compares and closes
  bool during_start = false;         ///< the time counts from the start, not from when it is open
  std::chrono::microseconds life{};  ///< then: SIGKILL
};

/// One child. Answers its exit code, or 128 + signal.
int run_child(std::vector<kill_writer>& all, const std::filesystem::path& data, const fate& how,
              plant lie, counts& into) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0)
    throw std::runtime_error{"cannot make a pipe"};
  std::fflush(stdout);
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::close(ends[0]);
    child{all, ends[1], lie}.run(data, how.writes);
  }
  ::close(ends[1]);
  bool opened = false;
  const auto hear_one = [&] {
    note heard{};
    if (::read(ends[0], &heard, sizeof heard) != sizeof heard)
      return false;
    auto& one = all[heard.writer];
    switch (heard.is) {
      case note::what::opened: opened = true; break;
      case note::what::begun: one.begin(); break;
      case note::what::answered: ++into.acknowledged; [[fallthrough]];
      case note::what::landed: {
        into.landed += heard.is == note::what::landed ? 1 : 0;
        const auto next = one.next();
        one.become(next, one.decide(next));
        break;
      }
      case note::what::repeated: ++into.repeated; break;
      case note::what::violation: break;  // its exit code says so
    }
    return true;
  };
  if (how.writes) {
    if (!how.during_start)
      hear_one();
    std::this_thread::sleep_for(how.life);
    ::kill(pid, SIGKILL);
  }
  while (hear_one()) {
  }
  ::close(ends[0]);
  int status = 0;
  ::waitpid(pid, &status, 0);
  into.during_start += opened ? 0 : 1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int fail_campaign(const std::string& what) {
  std::fprintf(stderr, "VIOLATION: %s\n", what.c_str());
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  std::uint64_t kills = 100, seed = std::random_device{}();
  plant lie = plant::none;
  for (int i = 1; i + 1 < argc; i += 2) {
    if (std::strcmp(argv[i], "--kills") == 0)
      kills = std::strtoull(argv[i + 1], nullptr, 10);
    else if (std::strcmp(argv[i], "--seed") == 0)
      seed = std::strtoull(argv[i + 1], nullptr, 10);
    else
      lie = std::strcmp(argv[i + 1], "earlyack") == 0 ? plant::early_ack : plant::split_set;
  }
  std::printf("runtime_kill: %llu kills, seed %llu\n", static_cast<unsigned long long>(kills),
              static_cast<unsigned long long>(seed));

  const temp_directory directory;
  std::mt19937_64 random{seed};
  std::vector<kill_writer> all;
  for (std::size_t i = 0; i < writers; ++i)
    all.emplace_back(i, seed);
  counts found;
  for (; found.kills < kills; ++found.kills) {
    fate how{.during_start = found.kills % 8 == 7};
    how.life = std::chrono::microseconds{1 + random() % (how.during_start ? 60'000 : 150'000)};
    if (const auto code = run_child(all, directory.store(), how, lie, found); code != 128 + SIGKILL)
      return fail_campaign("the process ended with " + std::to_string(code));
  }
  const auto store = verify_store(directory.store());
  if (!store || !store->sound())
    return fail_campaign(store ? store->faults.front() : store.error().message);
  counts last;
  if (const auto code = run_child(all, directory.store(), {.writes = false}, lie, last); code != 0)
    return fail_campaign("the last start ended with " + std::to_string(code));
  if (found.acknowledged == 0 || found.repeated == 0)
    return fail_campaign("nothing was acknowledged or repeated, so nothing was tested");
  const auto number = [](std::uint64_t x) { return static_cast<unsigned long long>(x); };
  std::printf(
      "{\"kills\":%llu,\"during_start\":%llu,\"answered\":%llu,\"landed_unanswered\":%llu,"
      "\"repeated\":%llu,\"lost\":0}\n",
      number(found.kills), number(found.during_start), number(found.acknowledged),
      number(found.landed + last.landed), number(found.repeated));
}
