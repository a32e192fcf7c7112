// A Redis of our own on a Unix socket: appendonly, appendfsync always, no snapshots and no rewrites
// of its log. One client thread drives all connections; each has at most `pipeline` requests out
// and sends the next when all were answered.

#include "peer.hpp"
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>

namespace troupe::bench {

namespace {

/// The server as a child process; ends with the object.
class server {
public:
  server(const std::string& program, const std::filesystem::path& dir)
      : socket_{(dir / "redis.sock").string()} {
    const auto parent = ::getpid();
    pid_ = ::fork();
    if (pid_ == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      if (::getppid() != parent)
        ::_exit(1);
      const int log = ::open((dir / "redis.log").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
      ::dup2(log, STDOUT_FILENO);
      ::dup2(log, STDERR_FILENO);
      ::execl(program.c_str(), "redis-server", "--port", "0", "--unixsocket", socket_.c_str(),
              "--dir", dir.c_str(), "--appendonly", "yes", "--appendfsync", "always", "--save", "",
              "--auto-aof-rewrite-percentage", "0", nullptr);
      ::_exit(127);
    }
  }
  server(const server&) = delete;
  server& operator=(const server&) = delete;
  ~server() { stop(); }

  void stop() {
    if (pid_ <= 0)
      return;
    ::kill(pid_, SIGTERM);
    int status = 0;
    ::waitpid(pid_, &status, 0);
    pid_ = -1;
  }

  /// A connection, when the server is up; -1 when it has ended.
  int connect() {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (socket_.size() >= sizeof address.sun_path)
      throw std::runtime_error{"the path of Redis' socket is too long: " + socket_};
    std::memcpy(address.sun_path, socket_.c_str(), socket_.size());
    for (int attempt = 0; attempt < 500; ++attempt) {
      const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
      if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0)
        return fd;
      ::close(fd);
      int status = 0;
      if (::waitpid(pid_, &status, WNOHANG) == pid_) {
        pid_ = -1;
        return -1;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds{10});
    }
    return -1;
  }

private:
  std::string socket_;
  pid_t pid_ = -1;
};

/// `redis-check-rdb` is the server itself under another name, and all of it that Debian's
/// redis-tools has; the package redis-server adds a service that would run from then on.
std::string find_program() {
  if (const char* named = std::getenv("TROUPE_REDIS_SERVER"))
    return named;
  const char* path = std::getenv("PATH");
  for (const char* name : {"/redis-server", "/redis-check-rdb"})
    for (std::string_view rest{path == nullptr ? "" : path}; !rest.empty();) {
      const auto end = std::min(rest.find(':'), rest.size());
      auto program = std::string{rest.substr(0, end)} + name;
      if (::access(program.c_str(), X_OK) == 0)
        return program;
      rest.remove_prefix(std::min(end + 1, rest.size()));
    }
  return {};
}

void write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const auto size = ::write(fd, bytes.data(), bytes.size());
    if (size <= 0)
      throw std::runtime_error{"Redis closed the connection"};
    bytes.remove_prefix(static_cast<std::size_t>(size));
  }
}

/// RPUSH session turn, as RESP.
std::string request_of(const std::string& id, const std::string& payload) {
  return "*3\r\n$5\r\nRPUSH\r\n$" + std::to_string(id.size()) + "\r\n" + id + "\r\n$"
         + std::to_string(payload.size()) + "\r\n" + payload + "\r\n";
}

std::string ask(int fd, const std::string& request) {
  write_all(fd, request);
  std::string out(4'096, '\0');
  const auto size = ::read(fd, out.data(), out.size());
  out.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
  return out;
}

struct connection {
  int fd = -1;
  std::size_t outstanding = 0;
  clock_type::time_point sent;
};

class client {
public:
  client(server& to, const workload& work, std::size_t pipeline)
      : work_{work},
        pipeline_{std::min(pipeline, work.in_flight)},
        epoll_{::epoll_create1(EPOLL_CLOEXEC)},
        connections_(work.in_flight / pipeline_),
        requests_{} {
    const auto payload = payload_of(work);
    for (const auto& id : session_ids(work))
      requests_.push_back(request_of(id, payload));
    for (auto& one : connections_) {
      one.fd = to.connect();
      epoll_event event{.events = EPOLLIN, .data = {.ptr = &one}};
      if (one.fd < 0 || ::epoll_ctl(epoll_, EPOLL_CTL_ADD, one.fd, &event) != 0)
        throw std::runtime_error{"cannot connect to Redis"};
    }
  }
  client(const client&) = delete;
  client& operator=(const client&) = delete;
  ~client() {
    for (const auto& one : connections_)
      ::close(one.fd);
    ::close(epoll_);
  }

  result run() {
    result out;
    out.latencies_us.reserve(1 << 20);
    const auto start = clock_type::now();
    for (auto& one : connections_)
      send(one);
    auto busy = connections_.size();
    std::vector<epoll_event> events(connections_.size());
    while (busy > 0) {
      const int count = ::epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), -1);
      const auto now = clock_type::now();
      for (int i = 0; i < count; ++i) {
        auto& one = *static_cast<connection*>(events[static_cast<std::size_t>(i)].data.ptr);
        const auto answers = read_answers(one);
        out.latencies_us.insert(out.latencies_us.end(), answers,
                                std::chrono::duration<float, std::micro>(now - one.sent).count());
        if ((one.outstanding -= answers) > 0)
          continue;
        if (std::chrono::duration<double>(now - start).count() < work_.seconds)
          send(one);
        else
          --busy;
      }
    }
    out.seconds = seconds_since(start);
    return out;
  }

private:
  void send(connection& to) {
    buffer_.clear();
    for (std::size_t i = 0; i < pipeline_; ++i)
      buffer_ += requests_[next_++ % requests_.size()];
    to.outstanding = pipeline_;
    to.sent = clock_type::now();
    write_all(to.fd, buffer_);
  }

  /// Answers are ":<length>\r\n"; anything else is a refusal.
  std::size_t read_answers(connection& from) {
    char bytes[4'096];
    const auto size = ::read(from.fd, bytes, sizeof bytes);
    if (size <= 0)
      throw std::runtime_error{"Redis closed the connection"};
    const std::string_view text{bytes, static_cast<std::size_t>(size)};
    if (text.find('-') != text.npos)
      throw std::runtime_error{"Redis: " + std::string{text}};
    return static_cast<std::size_t>(std::ranges::count(text, '\n'));
  }

  const workload& work_;
  std::size_t pipeline_;
  int epoll_;
  std::vector<connection> connections_;
  std::vector<std::string> requests_;
  std::string buffer_;
  std::size_t next_ = 0;
};

result with_redis(const workload& work, std::size_t pipeline) {
  const auto program = find_program();
  if (program.empty())
    return unavailable("no Redis on PATH");
  const auto cpu_before = cpu_seconds();
  server redis{program, work.dir};
  const int fd = redis.connect();
  if (fd < 0)
    return unavailable(program + " did not start; its last words were in redis.log");
  const auto set = ask(fd, "CONFIG GET appendfsync\r\n") + ask(fd, "CONFIG GET appendonly\r\n");
  ::close(fd);
  if (set.find("always") == set.npos || set.find("yes") == set.npos)
    throw std::runtime_error{"Redis does not sync each append: " + set};
  auto out = client{redis, work, pipeline}.run();
  redis.stop();
  out.cpu_seconds = cpu_seconds() - cpu_before;
  return out;
}

}  // namespace

result redis(const workload& work) {
  return with_redis(work, 1);
}

result redis_pipelined(const workload& work) {
  constexpr std::size_t pipeline = 16;
  if (work.in_flight < pipeline)
    return unavailable("fewer requests in flight than one pipeline of 16");
  return with_redis(work, pipeline);
}

}  // namespace troupe::bench
