#include "simulate/peers/server_process.hpp"

#include "simulate/metrics_text.hpp"
#include <fcntl.h>
#include <grp.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <map>
#include <sstream>
#include <thread>

namespace troupe::simulate {

std::string find_program(const std::vector<std::string>& names,
                         const std::vector<std::string>& directories) {
  auto places = directories;
  const char* path = std::getenv("PATH");
  std::istringstream in{path == nullptr ? "" : path};
  for (std::string one; std::getline(in, one, ':');)
    places.push_back(one);
  for (const auto& name : names)
    for (const auto& place : places)
      if (const auto program = place + '/' + name; ::access(program.c_str(), X_OK) == 0)
        return program;
  return {};
}

server_process::server_process(const std::vector<std::string>& command,
                               const std::filesystem::path& log, uid_t user_id, gid_t group_id) {
  std::vector<char*> words;
  for (const auto& word : command)
    words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);
  const auto parent = ::getpid();
  const int out = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  const int in = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  pid_ = ::fork();
  if (pid_ == 0) {  // only what may be called between fork and exec
    ::setpgid(0, 0);
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (group_id != 0 && (::setgroups(0, nullptr) != 0 || ::setgid(group_id) != 0))
      ::_exit(126);
    if (user_id != 0 && ::setuid(user_id) != 0)
      ::_exit(126);
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent)
      ::_exit(125);
    ::dup2(in, STDIN_FILENO);
    ::dup2(out, STDOUT_FILENO);
    ::dup2(out, STDERR_FILENO);
    ::execv(words[0], words.data());
    ::_exit(127);
  }
  ::close(out);
  ::close(in);
}

bool server_process::running() {
  if (pid_ > 0 && ::waitpid(pid_, &status_, WNOHANG) == pid_)
    pid_ = -1;
  return pid_ > 0;
}

int server_process::connect_to(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path)
    return -1;
  std::memcpy(address.sun_path, path.c_str(), path.size());
  for (int i = 0; i < 500 && running(); ++i) {
    const int out = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (::connect(out, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0)
      return out;
    ::close(out);
    std::this_thread::sleep_for(std::chrono::milliseconds{10});
  }
  return -1;
}

void server_process::stop(int signal) {
  if (!running())
    return;
  ::kill(pid_, signal);
  for (int i = 0; i < 500 && running(); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds{10});
  if (!running())
    return;
  ::kill(-pid_, SIGKILL);
  ::waitpid(pid_, &status_, 0);
  pid_ = -1;
}

double bytes_of_tree(pid_t root) {
  std::map<pid_t, pid_t> parents;
  std::error_code ec;
  for (const auto& entry : std::filesystem::directory_iterator{"/proc", ec}) {
    const auto pid = static_cast<pid_t>(std::atoi(entry.path().filename().c_str()));
    std::ifstream in{entry.path() / "stat"};
    std::string text;
    if (pid <= 0 || !std::getline(in, text))
      continue;
    std::istringstream rest{text.substr(text.rfind(')') + 1)};
    char state = 0;
    pid_t parent = 0;
    rest >> state >> parent;
    parents[pid] = parent;
  }
  double own = 0, shared = 0;
  for (const auto& [pid, parent] : parents) {
    auto at = pid;
    while (at != root && at > 1 && parents.contains(at))
      at = parents[at];
    if (at != root)
      continue;
    if (const auto memory = read_memory(pid)) {
      own += memory->own;
      shared = std::max(shared, memory->shared);
    }
  }
  return own + shared;
}

int run_command(const std::vector<std::string>& command, const std::filesystem::path& log,
                uid_t user_id, gid_t group_id) {
  server_process child{command, log, user_id, group_id};
  while (child.running())
    std::this_thread::sleep_for(std::chrono::milliseconds{10});
  return WIFEXITED(child.status()) ? WEXITSTATUS(child.status()) : 128;
}

}  // namespace troupe::simulate
