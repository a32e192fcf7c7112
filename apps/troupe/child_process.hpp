#pragma once

#include <troupe/state/expected.hpp>

#include <sys/types.h>

#include <string>
#include <utility>
#include <vector>

namespace troupe::cli {

/// A process of this same executable. Its standard output is ours to read, its standard error is
/// ours, its standard input empty. It is killed and waited for at the latest when its owner ends.
class child_process {
public:
  /// Errors: `store_failed`, with the system's reason.
  static expected<child_process> start(const std::vector<std::string>& arguments);

  child_process(child_process&& other) noexcept
      : pid_{std::exchange(other.pid_, -1)},
        output_{std::exchange(other.output_, -1)} {}
  child_process& operator=(child_process&&) = delete;
  ~child_process();

  [[nodiscard]] pid_t pid() const noexcept { return pid_; }

  /// The next line without its end; what is there when the child ends or a signal comes.
  [[nodiscard]] std::string read_line();

  /// SIGKILL. The process is not waited for.
  void kill() noexcept;

  /// Waits for its end; answers as waitpid does.
  int wait() noexcept;

private:
  child_process(pid_t pid, int output) noexcept : pid_{pid}, output_{output} {}

  pid_t pid_;
  int output_;
};

/// In the child: dies when the parent does, whatever the reason. False when that has happened
/// already.
[[nodiscard]] bool die_with_parent(pid_t parent);

}  // namespace troupe::cli
