#include <troupe/persistence/internal/child.hpp>

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <exception>
#include <system_error>

namespace troupe::internal {

namespace {

void write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const auto done = ::write(fd, bytes.data(), bytes.size());
    if (done < 0 && errno == EINTR)
      continue;
    if (done <= 0)
      return;  // the parent is gone
    bytes.remove_prefix(static_cast<std::size_t>(done));
  }
}

std::string read_all(int fd) {
  std::string out;
  std::array<char, 4096> part{};
  while (true) {
    const auto size = ::read(fd, part.data(), part.size());
    if (size < 0 && errno == EINTR)
      continue;
    if (size <= 0)
      return out;
    out.append(part.data(), static_cast<std::size_t>(size));
  }
}

/// The answer: the number of the error, 0 for none, then its message or the text.
[[noreturn]] void answer(int to, pid_t parent, const std::function<expected<std::string>()>& work) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent)  // which was killed before it could be said
    ::_exit(1);
  const rlimit no_core{0, 0};
  ::setrlimit(RLIMIT_CORE, &no_core);
  for (const int signal : {SIGBUS, SIGSEGV, SIGABRT})
    std::signal(signal, SIG_DFL);
  ::dup2(::open("/dev/null", O_WRONLY | O_CLOEXEC), STDERR_FILENO);  // LMDB's assertions
  expected<std::string> out;
  try {
    out = work();
  } catch (const std::exception& what) {
    out = fail(errc::store_failed, what.what());
  }
  std::uint16_t code = out ? 0 : static_cast<std::uint16_t>(out.error().code);
  std::string bytes(sizeof code, '\0');
  std::memcpy(bytes.data(), &code, sizeof code);
  write_all(to, bytes + (out ? *out : out.error().message));
  ::_exit(0);
}

}  // namespace

expected<std::string> run_in_child(const std::function<expected<std::string>()>& work) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0)
    return fail(errc::store_failed,
                "cannot make a pipe: " + std::generic_category().message(errno));
  const pid_t parent = ::getpid();
  const pid_t child = ::fork();
  if (child == 0)
    answer(ends[1], parent, work);
  const int why = errno;
  ::close(ends[1]);
  std::string heard;
  int status = 0;
  if (child > 0) {
    heard = read_all(ends[0]);
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
  }
  ::close(ends[0]);
  if (child < 0)
    return fail(errc::store_failed,
                "cannot start a process that checks it: " + std::generic_category().message(why));
  std::uint16_t code = 0;
  if (WIFSIGNALED(status)
      && WTERMSIG(status) == SIGKILL)  // by somebody: it says nothing of the file
    return fail(errc::store_failed, "the process that checked it was killed; start again");
  if (WIFSIGNALED(status))
    return fail(errc::damaged, std::string{"it is damaged: the process that checked it died of SIG"}
                                   + ::sigabbrev_np(WTERMSIG(status)));
  if (heard.size() < sizeof code)
    return fail(errc::damaged, "it is damaged: the process that checked it ended with exit code "
                                   + std::to_string(WEXITSTATUS(status)));
  std::memcpy(&code, heard.data(), sizeof code);
  heard.erase(0, sizeof code);
  if (code != 0)
    return fail(static_cast<errc>(code), std::move(heard));
  return heard;
}

}  // namespace troupe::internal
