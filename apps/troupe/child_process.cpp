#include "troupe/child_process.hpp"

#include <fcntl.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <system_error>

extern char** environ;

namespace troupe::cli {

namespace {

/// What a child starts with; freed by its owner.
class file_actions {
public:
  file_actions() { ::posix_spawn_file_actions_init(&raw_); }
  ~file_actions() { ::posix_spawn_file_actions_destroy(&raw_); }
  file_actions(const file_actions&) = delete;
  file_actions& operator=(const file_actions&) = delete;

  posix_spawn_file_actions_t* get() noexcept { return &raw_; }

private:
  posix_spawn_file_actions_t raw_{};
};

}  // namespace

expected<child_process> child_process::start(const std::vector<std::string>& arguments) {
  std::array<int, 2> pipe{};
  if (::pipe2(pipe.data(), O_CLOEXEC) != 0)
    return fail(errc::store_failed,
                "cannot make a pipe: " + std::generic_category().message(errno));
  file_actions actions;
  ::posix_spawn_file_actions_addopen(actions.get(), STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_adddup2(actions.get(), pipe[1], STDOUT_FILENO);
  std::vector<std::string> words{"troupe"};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  argv.reserve(words.size() + 1);
  for (auto& word : words)
    argv.push_back(word.data());
  argv.push_back(nullptr);
  pid_t pid = -1;
  const int code =
      ::posix_spawn(&pid, "/proc/self/exe", actions.get(), nullptr, argv.data(), environ);
  ::close(pipe[1]);
  if (code == 0)
    return child_process{pid, pipe[0]};
  ::close(pipe[0]);
  return fail(errc::store_failed,
              "cannot start another process: " + std::generic_category().message(code));
}

child_process::~child_process() {
  if (pid_ > 0) {
    kill();
    wait();
  }
  if (output_ >= 0)
    ::close(output_);
}

std::string child_process::read_line() {
  std::string out;
  for (char c = 0; ::read(output_, &c, 1) == 1 && c != '\n';)
    out += c;
  return out;
}

void child_process::kill() noexcept {
  if (pid_ > 0)
    ::kill(pid_, SIGKILL);
}

int child_process::wait() noexcept {
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
  return status;
}

bool die_with_parent(pid_t parent) {
  return ::prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && ::getppid() == parent;
}

}  // namespace troupe::cli
