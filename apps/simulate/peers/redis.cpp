// Redis: of each session a list of items and a hash of the rest, each change one MULTI. The server
// is ours: a socket in its folder, appendonly, no snapshots. The client is one connection that
// everybody shares, as the asynchronous clients of Redis do it: requests go out as they come and
// answers come back in their order, so that one sync of the server's serves all that wait.

#include "simulate/metrics_text.hpp"
#include "simulate/peers/item_text.hpp"
#include "simulate/peers/peers.hpp"
#include "simulate/peers/server_process.hpp"
#include "simulate/troupe_commands.hpp"
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <condition_variable>
#include <cstdlib>
#include <deque>
#include <future>
#include <mutex>
#include <thread>
#include <utility>

namespace troupe::simulate {

namespace {

/// One answer of RESP2: a text, a number as text, nil, or several.
struct reply {
  bool is_error = false, is_nil = false;
  std::string text;
  std::vector<reply> parts;
};

using words = std::vector<std::string>;

void append_command(std::string& to, const words& command) {
  to += '*' + std::to_string(command.size()) + "\r\n";
  for (const auto& word : command)
    to += '$' + std::to_string(word.size()) + "\r\n" + word + "\r\n";
}

/// The shared connection. Any thread asks; answers come on its own.
class redis_client {
public:
  using callback = std::function<void(std::vector<reply>)>;

  explicit redis_client(int socket)
      : socket_{socket},
        writer_{[this] { write_all(); }},
        reader_{[this] { read_all(); }} {}
  ~redis_client() {
    {
      const std::lock_guard lock{mutex_};
      ended_ = true;
    }
    changed_.notify_all();
    ::shutdown(socket_, SHUT_RDWR);
    writer_.join();
    reader_.join();
    ::close(socket_);
  }

  /// All commands together; `done` gets an answer for each, or none when the connection broke.
  void ask(const std::vector<words>& commands, callback done) {
    const std::lock_guard lock{mutex_};
    for (const auto& one : commands)
      append_command(out_, one);
    waiting_.push_back({commands.size(), std::move(done)});
    changed_.notify_one();
  }

  std::vector<reply> ask(const std::vector<words>& commands) {
    auto promise = std::make_shared<std::promise<std::vector<reply>>>();
    auto later = promise->get_future();
    ask(commands, [promise](std::vector<reply> x) { promise->set_value(std::move(x)); });
    return later.get();
  }

private:
  struct asked {
    std::size_t replies;
    callback done;
  };

  void write_all() {
    std::string bytes;
    std::unique_lock lock{mutex_};
    while (true) {
      changed_.wait(lock, [this] { return ended_ || !out_.empty(); });
      if (ended_)
        return;
      std::swap(bytes, out_);
      lock.unlock();
      for (std::string_view rest{bytes}; !rest.empty();) {
        const auto n = ::send(socket_, rest.data(), rest.size(), MSG_NOSIGNAL);
        if (n <= 0)
          return;
        rest.remove_prefix(static_cast<std::size_t>(n));
      }
      bytes.clear();
      lock.lock();
    }
  }

  void read_all() {
    while (true) {
      reply first;
      if (!read_reply(first))
        break;
      std::unique_lock lock{mutex_};
      auto one = std::move(waiting_.front());
      waiting_.pop_front();
      lock.unlock();
      std::vector<reply> all{std::move(first)};
      while (all.size() < one.replies) {
        reply next;
        if (!read_reply(next))
          break;
        all.push_back(std::move(next));
      }
      if (all.size() < one.replies)
        all.clear();
      one.done(std::move(all));
    }
    const std::lock_guard lock{mutex_};
    for (auto& one : waiting_)
      one.done({});
    waiting_.clear();
  }

  bool fill() {
    if (at_ > 0) {
      in_.erase(0, at_);
      at_ = 0;
    }
    char bytes[1 << 16];
    const auto n = ::read(socket_, bytes, sizeof bytes);
    if (n > 0)
      in_.append(bytes, static_cast<std::size_t>(n));
    return n > 0;
  }

  bool read_line(std::string& to) {
    std::size_t end = 0;
    while ((end = in_.find("\r\n", at_)) == std::string::npos)
      if (!fill())
        return false;
    to.assign(in_, at_, end - at_);
    at_ = end + 2;
    return true;
  }

  bool read_reply(reply& to) {
    std::string line;
    if (!read_line(line) || line.empty())
      return false;
    const auto kind = line.front();
    to.text = line.substr(1);
    to.is_error = kind == '-';
    if (kind != '$' && kind != '*')
      return true;
    const auto size = std::atoll(to.text.c_str());
    to.text.clear();
    to.is_nil = size < 0;
    if (size < 0)
      return true;
    if (kind == '*') {
      to.parts.resize(static_cast<std::size_t>(size));
      for (auto& part : to.parts)
        if (!read_reply(part))
          return false;
      return true;
    }
    const auto bytes = static_cast<std::size_t>(size);
    while (in_.size() - at_ < bytes + 2)
      if (!fill())
        return false;
    to.text.assign(in_, at_, bytes);
    at_ += bytes + 2;
    return true;
  }

  int socket_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::string out_;
  std::deque<asked> waiting_;
  bool ended_ = false;
  std::string in_;
  std::size_t at_ = 0;
  std::thread writer_, reader_;
};

std::string list_of(const subject& whom) {
  return name_of(whom) + ":items";
}

/// What a client of Redis sends for an intent. Several commands are one MULTI.
std::vector<words> commands_of(const intent& what, const workload& of) {
  const auto id = name_of(what.whom);
  const auto list = list_of(what.whom);
  const auto n = std::to_string(what.first);
  const auto now = std::to_string(what.at_us);
  const auto push = [&] {
    words out{"RPUSH", list};
    for (std::uint32_t i = 0; i < what.count; ++i)
      out.push_back(json_item(what, i, of));
    return out;
  };
  switch (what.what) {
    case action::seed:
      if (what.count == 0)
        return {{"HSET", id, "user", std::to_string(what.other), "updated", now}};
      return {{"HSET", id, "user", std::to_string(what.other), "updated", now}, push()};
    case action::create: return {{"HSET", id, "user", std::to_string(what.other), "updated", now}};
    case action::append: return {push(), {"HSET", id, "updated", now}};
    case action::read_history: return {{"LRANGE", list, '-' + std::to_string(what.count), "-1"}};
    case action::read_all: return {{"LRANGE", list, "0", "-1"}};
    case action::note:
      return {{"HSET", id, "last", n, "updated", now}, {"HINCRBY", id, "count", "1"}};
    case action::read_state: return {{"HGETALL", id}};
    case action::record_usage:
      return {{"HINCRBY", id, "prompt_tokens", std::to_string(what.count)},
              {"HINCRBY", id, "completion_tokens", std::to_string(what.count / 4)}};
    case action::checkpoint:
      return {{"COPY", id, id + ":c" + n},
              {"COPY", list, list + ":c" + n},
              {"HINCRBY", id, "checkpoints", "1"}};
    case action::fork: {
      const subject parent{subject_kind::session, what.other};
      return {{"COPY", name_of(parent), id},
              {"COPY", list_of(parent), list},
              {"HSET", id, "checkpoints", "0"}};
    }
    case action::team_message:
      return {{"RPUSH", list, text_of(what.whom, what.first, what.bytes)},
              {"HSET", id, "updated", now}};
    case action::workflow_step: {
      const auto at = (what.first - 1) % steps_in_round;
      if (at > 0)
        return {{"HSET", id, node_of_step(what.first),
                 at % 2 == 1 ? "running" : text_of(what.whom, what.first, what.bytes)}};
      words define{"HSET", id};
      for (std::uint32_t i = 0; i < workflow_nodes; ++i) {
        define.push_back(node_of_step(what.first + 1 + 2 * i));
        define.emplace_back("pending");
      }
      return {{"DEL", id}, define};
    }
    case action::cache_lookup: return {{"GET", "cache:" + id}};
  }
  return {};
}

class redis final : public driver {
public:
  redis(const workload& what, const peer_options& options, const std::string& program)
      : what_{what},
        data_{options.data},
        server_{command(what, options, program), options.data / "redis.log"} {}

  expected<void> connect() {
    const auto path = (data_ / "redis.sock").string();
    const int socket = server_.connect_to(path);
    if (socket < 0)
      return fail(errc::not_supported, "Redis did not start; its words are in " + data_.string());
    client_ = std::make_unique<redis_client>(socket);
    const auto told = client_->ask({{"CONFIG", "GET", "appendfsync"}, {"INFO", "server"}});
    if (told.size() != 2 || told[0].parts.size() != 2 || told[0].parts[1].text != sync_of(what_))
      return fail(errc::not_supported, "Redis does not sync as it was told");
    const auto at = told[1].text.find("redis_version:");
    version_ = at == std::string::npos ? "?" : told[1].text.substr(at + 14, 6);
    return {};
  }

  void send(const intent& what, callback done) override {
    auto commands = commands_of(what, what_);
    if (what.what == action::cache_lookup)
      return look_up(what, std::move(commands), std::move(done));
    const bool several = commands.size() > 1;
    if (several) {
      commands.insert(commands.begin(), words{"MULTI"});
      commands.push_back({"EXEC"});
    }
    client_->ask(commands, [done = std::move(done)](const std::vector<reply>& all) {
      if (all.empty())
        return done({.what = outcome::unknown, .why = "the connection ended"});
      for (const auto& one : all)
        if (one.is_error)
          return done({.what = outcome::refused, .why = one.text});
      done({});
    });
  }

  expected<contents> read_back(const subject& whom) override {
    const auto id = name_of(whom);
    const auto told = client_->ask(
        {{"HGETALL", id}, {"LRANGE", list_of(whom), "0", "-1"}, {"LLEN", list_of(whom)}});
    if (told.size() != 3)
      return fail(errc::outcome_unknown, "Redis does not answer");
    contents out;
    out.exists = !told[0].parts.empty() || !told[1].parts.empty();
    out.checkpoints = 0;
    for (const auto& item : told[1].parts)
      out.items.push_back(whom.kind == subject_kind::session ? text_of_json_item(item.text)
                                                             : item.text);
    for (std::size_t i = 0; i + 1 < told[0].parts.size(); i += 2) {
      const auto& held = told[0].parts[i + 1].text;
      const auto number = static_cast<std::uint64_t>(std::atoll(held.c_str()));
      const auto& key = told[0].parts[i].text;
      if (whom.kind == subject_kind::workflow && key.starts_with('r'))
        out.nodes.push_back(held == "pending" || held == "running" ? node_found{key, held, {}}
                                                                   : node_found{key, "done", held});
      else if (key == "last")
        out.last = number;
      else if (key == "count")
        out.count = number;
      else if (key == "checkpoints")
        out.checkpoints = number;
    }
    std::ranges::sort(out.nodes, {}, &node_found::id);
    return out;
  }

  target_state state() override {
    return {.memory_bytes = bytes_of_tree(server_.pid()),
            .store_bytes = bytes_below(data_.string())};
  }

  facts settings() const override {
    return {{"target", "Redis " + version_ + " on a Unix socket"},
            {"durability", std::string{"appendfsync "} + sync_of(what_)},
            {"settings",
             "appendonly yes, save \"\", auto-aof-rewrite-percentage 0, one pipelined "
             "connection, MULTI for each change of several keys"}};
  }

private:
  static const char* sync_of(const workload& what) {
    return what.level == durability::durable   ? "always"
           : what.level == durability::relaxed ? "everysec"
                                               : "no";
  }
  static words command(const workload& what, const peer_options& options,
                       const std::string& program) {
    const auto yes = what.level == durability::memory ? "no" : "yes";
    return {program,
            "--port",
            "0",
            "--unixsocket",
            (options.data / "redis.sock").string(),
            "--dir",
            options.data.string(),
            "--appendonly",
            yes,
            "--appendfsync",
            sync_of(what),
            "--save",
            "",
            "--auto-aof-rewrite-percentage",
            "0"};
  }

  void look_up(const intent& what, std::vector<words> commands, callback done) {
    client_->ask(commands, [this, what, done = std::move(done)](const std::vector<reply>& all) {
      if (all.empty())
        return done({.what = outcome::unknown, .why = "the connection ended"});
      if (!all.front().is_nil)
        return done({.hit = true});
      client_->ask({{"SET", "cache:" + name_of(what.whom), text_of(what.whom, 1, what.bytes)}},
                   [done](const std::vector<reply>& set) {
                     done(set.empty() ? answer{.what = outcome::unknown} : answer{});
                   });
    });
  }

  const workload what_;
  const std::filesystem::path data_;
  server_process server_;
  std::string version_ = "?";
  std::unique_ptr<redis_client> client_;
};

}  // namespace

expected<std::unique_ptr<driver>> open_redis(const workload& what, const peer_options& options) {
  // redis-check-rdb is the server itself under another name, and all of it that Debian's
  // redis-tools has; the package redis-server adds a service that would run from then on.
  const char* named = std::getenv("TROUPE_REDIS_SERVER");
  auto program = named != nullptr ? std::string{named} : find_program({"redis-server"});
  if (program.empty()) {
    const auto twin = find_program({"redis-check-rdb"});
    if (twin.empty())
      return fail(errc::not_supported,
                  "no redis-server on PATH: install Debian's redis-tools or redis-server");
    const auto link = options.data / "redis-server";
    std::error_code ec;
    std::filesystem::create_symlink(twin, link, ec);
    program = link.string();
  }
  auto out = std::make_unique<redis>(what, options, program);
  if (auto ok = out->connect(); !ok)
    return unexpected{ok.error()};
  return out;
}

}  // namespace troupe::simulate
