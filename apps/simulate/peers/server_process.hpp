#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <vector>

namespace troupe::simulate {

/// A program by its name on PATH, or by one of these paths; empty: there is none.
[[nodiscard]] std::string find_program(const std::vector<std::string>& names,
                                       const std::vector<std::string>& directories = {});

/// A server of a peer, started by us: its output goes to a file, it dies with this process, and its
/// group is ended with the object.
class server_process {
public:
  /// `user_id`, `group_id`: whom it runs as; 0 as we do.
  server_process(const std::vector<std::string>& command, const std::filesystem::path& log,
                 uid_t user_id = 0, gid_t group_id = 0);
  ~server_process() { stop(); }
  server_process(const server_process&) = delete;
  server_process& operator=(const server_process&) = delete;

  [[nodiscard]] pid_t pid() const noexcept { return pid_; }
  /// False: it has ended.
  [[nodiscard]] bool running();
  /// A socket that is connected to its Unix socket, once there is one; -1: there was none for five
  /// seconds, or it ended.
  [[nodiscard]] int connect_to(const std::string& path);
  /// SIGTERM (a server's own way to end) and, five seconds later, SIGKILL.
  void stop(int signal = 15);
  /// As waitpid told it. REQUIRES: not running.
  [[nodiscard]] int status() const noexcept { return status_; }

private:
  pid_t pid_ = -1;
  int status_ = 0;
};

/// Bytes of memory (`read_memory`) of a process and all below it: what is each one's own, and once
/// the most that one of them shares with others.
[[nodiscard]] double bytes_of_tree(pid_t root);

/// Runs a command to its end; its exit status. Output goes to `log`.
int run_command(const std::vector<std::string>& command, const std::filesystem::path& log,
                uid_t user_id = 0, gid_t group_id = 0);

}  // namespace troupe::simulate
