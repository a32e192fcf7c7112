#include "child.hpp"

#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <exception>
#include <stdexcept>

namespace troupe::power {

namespace {

constexpr int patience_ms = 30'000;  // a check takes milliseconds; then: the child hangs

}  // namespace

expected<std::uint64_t> checking_child::check(const std::filesystem::path& store,
                                              const bounds& within, bool go_on) {
  if (pid_ < 0)
    start(store);
  const question ask{within, go_on};
  answer heard{};
  const auto wrong = [](const std::string& what) { return fail(errc::damaged, what); };
  if (::write(ask_, &ask, sizeof ask) != static_cast<ssize_t>(sizeof ask))
    return wrong("the check died: " + end());
  pollfd wait{hear_, POLLIN, 0};
  if (::poll(&wait, 1, patience_ms) == 0) {
    ::kill(pid_, SIGKILL);
    end();
    return wrong("the check hangs");
  }
  if (::read(hear_, &heard, sizeof heard) != static_cast<ssize_t>(sizeof heard))
    return wrong("the check died: " + end());
  if (heard.wrong[0] != '\0')
    return wrong(heard.wrong);
  return heard.commits;
}

void checking_child::start(const std::filesystem::path& store) {
  int questions[2], answers[2];
  if (::pipe2(questions, O_CLOEXEC) != 0 || ::pipe2(answers, O_CLOEXEC) != 0)
    throw std::runtime_error{"cannot make a pipe"};
  std::signal(SIGPIPE, SIG_IGN);
  pid_ = ::fork();
  if (pid_ < 0)
    throw std::runtime_error{"cannot fork"};
  if (pid_ == 0) {
    ::close(questions[1]);
    ::close(answers[0]);
    serve(questions[0], answers[1], store);
  }
  ::close(questions[0]);
  ::close(answers[1]);
  ask_ = questions[1];
  hear_ = answers[0];
}

void checking_child::serve(int from, int to, const std::filesystem::path& store) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  const rlimit no_core{0, 0};
  ::setrlimit(RLIMIT_CORE, &no_core);
  const int nowhere = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
  ::dup2(nowhere, STDERR_FILENO);  // LMDB's assertions
  ::dup2(nowhere, STDOUT_FILENO);  // the store's log: no image was closed
  // LMDB clears some MiB at each opening: from a fresh map they come as zeros for nothing.
  ::mallopt(M_MMAP_THRESHOLD, 128 << 10);
  question ask{};
  while (::read(from, &ask, sizeof ask) == static_cast<ssize_t>(sizeof ask)) {
    answer out{};
    std::string wrong;
    try {
      const auto commits = checker_.check(store, ask.within, ask.go_on);
      out.commits = commits.value_or(0);
      wrong = commits ? "" : commits.error().message;
    } catch (const std::exception& what) {
      wrong = std::string{"the check threw: "} + what.what();
    }
    std::strncpy(out.wrong, wrong.c_str(), sizeof out.wrong - 1);
    if (::write(to, &out, sizeof out) != static_cast<ssize_t>(sizeof out))
      break;
  }
  ::_exit(0);
}

std::string checking_child::end() {
  if (pid_ < 0)
    return {};
  ::close(ask_);
  ::close(hear_);
  int status = 0;
  ::waitpid(pid_, &status, 0);
  pid_ = -1;
  if (WIFSIGNALED(status))
    return std::string{"SIG"} + ::sigabbrev_np(WTERMSIG(status));
  return "exit code " + std::to_string(WEXITSTATUS(status));
}

}  // namespace troupe::power
