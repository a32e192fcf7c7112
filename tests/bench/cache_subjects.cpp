#include "cache_subjects.hpp"

#include "../support/caches.hpp"
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <list>
#include <mutex>
#include <stdexcept>
#include <string_view>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

namespace troupe::bench {

namespace {

using testing::key_of;

std::string key_text(std::uint64_t n) {
  return to_hex(key_of(n).digest);
}

const std::string& payload() {
  static const std::string out(value_bytes, 'x');
  return out;
}

// The mutex ---------------------------------------------------------------------------------------

class mutex_lru_subject : public subject {
public:
  [[nodiscard]] std::string name() const override { return "mutex_lru"; }
  bool start(std::size_t capacity) override {
    stop();
    capacity_ = capacity;
    index_.reserve(capacity);
    return true;
  }
  void stop() override {
    index_.clear();
    order_.clear();
  }
  std::unique_ptr<session> connect() override { return std::make_unique<user>(*this); }

private:
  struct entry {
    cache_key key;
    std::shared_ptr<const std::string> output;
  };
  struct hash {
    std::size_t operator()(const cache_key& key) const noexcept {
      std::size_t out;
      std::memcpy(&out, key.digest.bytes.data(), sizeof out);
      return out;
    }
  };
  struct user : session {
    explicit user(mutex_lru_subject& of) : lru{of} {}
    bool get(std::uint64_t n) override { return lru.get(key_of(n)) != nullptr; }
    void set(std::uint64_t n) override { lru.set(key_of(n)); }
    mutex_lru_subject& lru;
  };

  std::shared_ptr<const std::string> get(const cache_key& key) {
    const std::lock_guard lock{mutex_};
    const auto at = index_.find(key);
    if (at == index_.end())
      return nullptr;
    order_.splice(order_.begin(), order_, at->second);
    return at->second->output;
  }
  void set(const cache_key& key) {
    auto output = std::make_shared<const std::string>(payload());
    const std::lock_guard lock{mutex_};
    if (const auto at = index_.find(key); at != index_.end()) {
      at->second->output = std::move(output);
      order_.splice(order_.begin(), order_, at->second);
      return;
    }
    if (index_.size() == capacity_) {
      index_.erase(order_.back().key);
      order_.pop_back();
    }
    order_.push_front({key, std::move(output)});
    index_.emplace(key, order_.begin());
  }

  std::mutex mutex_;
  std::size_t capacity_ = 0;
  std::list<entry> order_;
  std::unordered_map<cache_key, std::list<entry>::iterator, hash> index_;
};

// Servers -----------------------------------------------------------------------------------------

/// A connection that reads by lines and lengths.
class connection {
public:
  explicit connection(const std::string& path) : fd_{::socket(AF_UNIX, SOCK_STREAM, 0)} {
    sockaddr_un to{};
    to.sun_family = AF_UNIX;
    std::memcpy(to.sun_path, path.c_str(), path.size() + 1);
    connected_ = ::connect(fd_, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0;
  }
  connection(const connection&) = delete;
  ~connection() { ::close(fd_); }
  explicit operator bool() const { return connected_; }

  void send(std::string_view bytes) {
    while (!bytes.empty()) {
      const auto sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0)
        throw std::runtime_error{"the server closed the connection"};
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
  }
  /// Valid until the next read.
  std::string_view line() {
    std::size_t end;
    while ((end = buffer_.find("\r\n", at_)) == buffer_.npos)
      fill();
    const std::string_view out{buffer_.data() + at_, end - at_};
    at_ = end + 2;
    return out;
  }
  void skip(std::size_t bytes) {
    while (buffer_.size() - at_ < bytes)
      fill();
    at_ += bytes;
  }

private:
  void fill() {
    if (at_ > 0)
      buffer_.erase(0, std::exchange(at_, 0));
    const auto before = buffer_.size();
    buffer_.resize(before + (16 << 10));
    const auto got = ::recv(fd_, buffer_.data() + before, 16 << 10, 0);
    if (got <= 0)
      throw std::runtime_error{"the server closed the connection"};
    buffer_.resize(before + static_cast<std::size_t>(got));
  }

  int fd_;
  bool connected_ = false;
  std::string buffer_;
  std::size_t at_ = 0;
};

class server : public subject {
public:
  explicit server(std::filesystem::path directory) : directory_{std::move(directory)} {}
  ~server() override { server::stop(); }

  bool start(std::size_t capacity) override {
    stop();
    std::vector<std::string> words = command(capacity);
    pid_ = ::fork();
    if (pid_ == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      std::vector<char*> arguments;
      for (auto& word : words)
        arguments.push_back(word.data());
      arguments.push_back(nullptr);
      const int quiet = ::open("/dev/null", O_WRONLY);
      ::dup2(quiet, STDOUT_FILENO);
      ::dup2(quiet, STDERR_FILENO);
      ::execvp(arguments[0], arguments.data());
      ::_exit(127);
    }
    for (int i = 0; i < 300; ++i) {
      if (connection{socket()})
        return true;
      if (::waitpid(pid_, nullptr, WNOHANG) == pid_) {
        pid_ = -1;
        return false;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds{10});
    }
    return false;
  }
  void stop() override {
    if (pid_ <= 0)
      return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = -1;
    std::error_code ec;
    std::filesystem::remove(socket(), ec);
  }

protected:
  [[nodiscard]] std::string socket() const { return (directory_ / (name() + ".sock")).string(); }
  [[nodiscard]] std::string directory() const { return directory_.string(); }
  virtual std::vector<std::string> command(std::size_t capacity) = 0;

private:
  std::filesystem::path directory_;
  pid_t pid_ = -1;
};

template <class Protocol>
class client : public session {
public:
  explicit client(const std::string& path) : to_{path} {}
  bool get(std::uint64_t n) override {
    finish();
    to_.send(Protocol::get(key_text(n)));
    return Protocol::read_get(to_);
  }
  void set(std::uint64_t n) override {
    set_64(n);
    finish();
  }
  void set_64(std::uint64_t n) override {
    to_.send(Protocol::set(key_text(n)));
    if (++waiting_ == 64)
      finish();
  }
  void finish() override {
    for (; waiting_ > 0; --waiting_)
      to_.line();
  }

private:
  connection to_;
  int waiting_ = 0;
};

struct redis_protocol {
  static std::string get(const std::string& key) {
    return "*2\r\n$3\r\nGET\r\n$64\r\n" + key + "\r\n";
  }
  static std::string set(const std::string& key) {
    return "*3\r\n$3\r\nSET\r\n$64\r\n" + key + "\r\n$" + std::to_string(value_bytes) + "\r\n"
           + payload() + "\r\n";
  }
  static bool read_get(connection& from) {
    const auto head = from.line();
    if (head == "$-1")
      return false;
    from.skip(static_cast<std::size_t>(std::atoll(head.data() + 1)) + 2);
    return true;
  }
};

struct memcached_protocol {
  static std::string get(const std::string& key) { return "get " + key + "\r\n"; }
  static std::string set(const std::string& key) {
    return "set " + key + " 0 0 " + std::to_string(value_bytes) + "\r\n" + payload() + "\r\n";
  }
  static bool read_get(connection& from) {
    if (from.line() == "END")
      return false;
    from.skip(value_bytes + 2);
    from.line();
    return true;
  }
};

class redis_subject : public server {
public:
  using server::server;
  [[nodiscard]] std::string name() const override { return "redis"; }
  std::unique_ptr<session> connect() override {
    return std::make_unique<client<redis_protocol>>(socket());
  }

protected:
  std::vector<std::string> command(std::size_t capacity) override {
    return {"redis-server",
            "--port",
            "0",
            "--unixsocket",
            socket(),
            "--save",
            "",
            "--appendonly",
            "no",
            "--dir",
            directory(),
            "--maxmemory",
            std::to_string(capacity * (value_bytes + 250) + (2 << 20)),
            "--maxmemory-policy",
            "allkeys-lru"};
  }
};

class memcached_subject : public server {
public:
  using server::server;
  [[nodiscard]] std::string name() const override { return "memcached"; }
  std::unique_ptr<session> connect() override {
    return std::make_unique<client<memcached_protocol>>(socket());
  }

protected:
  std::vector<std::string> command(std::size_t capacity) override {
    return {"memcached",
            "-s",
            socket(),
            "-a",
            "0700",
            "-t",
            "2",
            "-u",
            "root",
            "-m",
            std::to_string((capacity * (value_bytes + 400) >> 20) + 4)};
  }
};

}  // namespace

std::unique_ptr<subject> mutex_lru() {
  return std::make_unique<mutex_lru_subject>();
}
std::unique_ptr<subject> redis(const std::filesystem::path& directory) {
  return std::make_unique<redis_subject>(directory);
}
std::unique_ptr<subject> memcached(const std::filesystem::path& directory) {
  return std::make_unique<memcached_subject>(directory);
}

}  // namespace troupe::bench
