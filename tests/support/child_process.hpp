#pragma once

/// A program of ours as a process of its own: started, read from, killed. Ends with the object.

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace troupe::testing {

class child_process {
public:
  explicit child_process(const std::vector<std::string>& command) {
    int pipe_ends[2];
    if (::pipe2(pipe_ends, O_CLOEXEC) != 0)
      throw std::runtime_error{"pipe"};
    std::vector<char*> arguments;
    for (const auto& word : command)
      arguments.push_back(const_cast<char*>(word.c_str()));
    arguments.push_back(nullptr);
    pid_ = ::fork();
    if (pid_ == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // a test that gives up leaves nothing running
      ::dup2(pipe_ends[1], STDOUT_FILENO);
      ::execv(arguments[0], arguments.data());
      ::_exit(127);
    }
    ::close(pipe_ends[1]);
    out_ = ::fdopen(pipe_ends[0], "r");
  }
  child_process(child_process&& other) noexcept
      : pid_{std::exchange(other.pid_, -1)},
        out_{std::exchange(other.out_, nullptr)} {}
  child_process& operator=(child_process&&) = delete;
  ~child_process() {
    if (pid_ > 0)
      kill(SIGKILL);
    if (out_)
      std::fclose(out_);
  }

  /// The next line of standard output without its end; nothing when the process closed it.
  std::optional<std::string> read_line() {
    char* line = nullptr;
    std::size_t capacity = 0;
    const auto size = ::getline(&line, &capacity, out_);
    std::optional<std::string> out;
    if (size > 0)
      out.emplace(line, static_cast<std::size_t>(line[size - 1] == '\n' ? size - 1 : size));
    std::free(line);
    return out;
  }

  /// Sends the signal and waits for the end. The exit code, or 128 + signal.
  int kill(int signal) {
    ::kill(pid_, signal);
    return wait();
  }

  int wait() {
    int status = 0;
    while (::waitpid(pid_, &status, 0) < 0) {
    }
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }

  [[nodiscard]] pid_t pid() const { return pid_; }

private:
  pid_t pid_ = -1;
  std::FILE* out_ = nullptr;
};

}  // namespace troupe::testing
