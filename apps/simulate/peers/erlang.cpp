// Erlang/OTP: a gen_server for each session, in memory; the two modules are beside this file and
// travel inside the program. The node is ours: a Unix socket in its folder. The client is one
// connection that everybody shares, answers come in any order.

#include "simulate/metrics_text.hpp"
#include "simulate/peers/erlang_modules.hpp"
#include "simulate/peers/item_text.hpp"
#include "simulate/peers/peers.hpp"
#include "simulate/peers/server_process.hpp"
#include <sys/socket.h>
#include <unistd.h>

#include <condition_variable>
#include <fstream>
#include <future>
#include <mutex>
#include <thread>
#include <unordered_map>
#include <utility>

namespace troupe::simulate {

namespace {

void append_number(std::string& to, std::uint64_t number, int bytes) {
  for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8)
    to += static_cast<char>(number >> shift & 0xff);
}

void append_text(std::string& to, const std::string& text) {
  append_number(to, text.size(), 4);
  to += text;
}

/// Reads numbers and texts; what is not there is 0 and empty.
class frame_reader {
public:
  explicit frame_reader(std::string_view bytes) : rest_{bytes} {}
  std::uint64_t number(std::size_t bytes) {
    std::uint64_t out = 0;
    for (const char c : take(bytes))
      out = out << 8 | static_cast<unsigned char>(c);
    return out;
  }
  std::vector<std::string> texts() {
    std::vector<std::string> out;
    for (auto left = number(4); left > 0; --left)
      out.emplace_back(take(number(4)));
    return out;
  }
  [[nodiscard]] std::string_view rest() const { return rest_; }

private:
  std::string_view take(std::size_t bytes) {
    const auto out = rest_.substr(0, bytes);
    rest_.remove_prefix(out.size());
    return out;
  }
  std::string_view rest_;
};

/// What is asked and the rest of its frame; see `peer_node:request`.
struct question {
  char what;
  std::string rest{};
};

question question_of(const intent& what, const workload& of) {
  std::string rest;
  switch (what.what) {
    case action::seed:
    case action::create:
    case action::append:
      for (std::uint32_t i = 0; i < what.count && what.what != action::create; ++i)
        append_text(rest, json_item(what, i, of));
      return {what.what == action::append ? 'a' : 'c', rest};
    case action::read_all: append_number(rest, UINT32_MAX, 4); return {'h', rest};
    case action::read_history: append_number(rest, what.count, 4); return {'h', rest};
    case action::note:
      append_number(rest, what.first, 8);
      return {what.whom.kind == subject_kind::session ? 'n' : 'i', rest};
    case action::read_state: return {'s'};
    case action::record_usage:
      append_number(rest, what.count, 4);
      append_number(rest, what.count / 4, 4);
      return {'u', rest};
    case action::checkpoint: return {'k'};
    case action::fork: return {'f', name_of(what.whom)};
    case action::team_message:
      append_text(rest, text_of(what.whom, what.first, what.bytes));
      return {'m', rest};
    case action::workflow_step: {
      const auto at = (what.first - 1) % steps_in_round;
      for (std::uint32_t i = 0; at == 0 && i < workflow_nodes; ++i)
        append_text(rest, node_of_step(what.first + 1 + 2 * i));
      if (at == 0)
        return {'d', rest};
      append_text(rest, node_of_step(what.first));
      append_text(rest, at % 2 == 1 ? "running" : "done");
      append_text(rest, at % 2 == 1 ? "" : text_of(what.whom, what.first, what.bytes));
      return {'x', rest};
    }
    case action::cache_lookup: break;
  }
  return {'g'};
}

/// The shared connection. Any thread asks; answers come on its own.
class erlang_client {
public:
  enum class status : std::uint8_t { ok = 0, refused = 1, miss = 2, lost = 3 };
  using callback = std::function<void(status, std::string_view)>;

  explicit erlang_client(int socket)
      : socket_{socket},
        writer_{[this] { write_all(); }},
        reader_{[this] { read_all(); }} {}
  ~erlang_client() {
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

  void ask(const std::string& key, const question& what, callback done) {
    const std::lock_guard lock{mutex_};
    if (ended_)
      return done(status::lost, {});
    append_number(out_, 8 + 1 + 2 + key.size() + what.rest.size(), 4);
    append_number(out_, ++asked_, 8);
    out_ += what.what;
    append_number(out_, key.size(), 2);
    out_ += key + what.rest;
    waiting_.emplace(asked_, std::move(done));
    changed_.notify_one();
  }

private:
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
    std::string in;
    std::vector<char> bytes(1 << 16);
    for (ssize_t n = 0; (n = ::read(socket_, bytes.data(), bytes.size())) > 0;) {
      in.append(bytes.data(), static_cast<std::size_t>(n));
      std::size_t at = 0;
      while (in.size() - at >= 4) {
        const auto size = frame_reader{std::string_view{in}.substr(at)}.number(4);
        if (in.size() - at - 4 < size)
          break;
        take(frame_reader{std::string_view{in}.substr(at + 4, size)});
        at += 4 + size;
      }
      in.erase(0, at);
    }
    std::unique_lock lock{mutex_};
    ended_ = true;
    const auto all = std::exchange(waiting_, {});
    lock.unlock();
    for (const auto& [id, done] : all)
      done(status::lost, {});
  }

  void take(frame_reader frame) {
    const auto id = frame.number(8);
    const auto said = static_cast<status>(frame.number(1));
    std::unique_lock lock{mutex_};
    auto found = waiting_.extract(id);
    lock.unlock();
    if (found)
      found.mapped()(said, frame.rest());
  }

  int socket_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::string out_;
  std::uint64_t asked_ = 0;
  std::unordered_map<std::uint64_t, callback> waiting_;
  bool ended_ = false;
  std::thread writer_, reader_;
};

class erlang final : public driver {
public:
  using status = erlang_client::status;

  erlang(const workload& what, const peer_options& options, const std::string& program)
      : what_{what},
        data_{options.data},
        server_{command(options, program), options.data / "erlang.log"} {}

  expected<void> connect() {
    const int socket = server_.connect_to((data_ / "erlang.sock").string());
    if (socket < 0)
      return fail(errc::not_supported, "Erlang did not start; its words are in " + data_.string());
    client_ = std::make_unique<erlang_client>(socket);
    return {};
  }

  void send(const intent& what, callback done) override {
    // A fork is made by its parent, of what that is now.
    const auto asked =
        what.what == action::fork ? subject{subject_kind::session, what.other} : what.whom;
    client_->ask(name_of(asked), question_of(what, what_),
                 [this, what, done = std::move(done)](status said, std::string_view) {
                   if (said == status::miss)
                     return keep_result(what, done);
                   done({.what = said == status::ok     ? outcome::acknowledged
                                 : said == status::lost ? outcome::unknown
                                                        : outcome::refused,
                         .hit = what.what == action::cache_lookup,
                         .why = said == status::lost ? "the connection ended" : "not found"});
                 });
  }

  expected<contents> read_back(const subject& whom) override {
    auto promise = std::make_shared<std::promise<expected<contents>>>();
    client_->ask(name_of(whom), {'e'}, [whom, promise](status said, std::string_view rest) {
      if (said == status::lost)
        return promise->set_value(fail(errc::outcome_unknown, "Erlang does not answer"));
      contents out;
      out.exists = said == status::ok;
      frame_reader from{rest};
      out.last = from.number(8);
      out.count = from.number(8);
      out.checkpoints = from.number(8);
      for (auto& item : from.texts())
        out.items.push_back(whom.kind == subject_kind::session ? text_of_json_item(item)
                                                               : std::move(item));
      const auto nodes = from.texts();
      for (std::size_t i = 0; i + 2 < nodes.size(); i += 3)
        out.nodes.push_back({nodes[i], nodes[i + 1], nodes[i + 2]});
      promise->set_value(std::move(out));
    });
    return promise->get_future().get();
  }

  target_state state() override { return {.memory_bytes = bytes_of_tree(server_.pid())}; }

  facts settings() const override {
    return {{"target", "Erlang/OTP, a gen_server for each session, on a Unix socket"},
            {"durability", "none: in memory"},
            {"settings",
             "+sbwt none +sbwtdcpu none +sbwtdio none (schedulers share the cores with the load), "
             "an ETS table of processes, one pipelined connection"}};
  }

private:
  static std::vector<std::string> command(const peer_options& options, const std::string& program) {
    return {program,
            "-noshell",
            "-noinput",
            "+sbwt",
            "none",
            "+sbwtdcpu",
            "none",
            "+sbwtdio",
            "none",
            "-pa",
            options.data.string(),
            "-s",
            "peer_node",
            "start",
            (options.data / "erlang.sock").string()};
  }

  void keep_result(const intent& what, const callback& done) {
    client_->ask(name_of(what.whom), {'p', text_of(what.whom, 1, what.bytes)},
                 [done](status said, std::string_view) {
                   done({.what = said == status::ok ? outcome::acknowledged : outcome::unknown});
                 });
  }

  const workload what_;
  const std::filesystem::path data_;
  server_process server_;
  std::unique_ptr<erlang_client> client_;
};

}  // namespace

expected<std::unique_ptr<driver>> open_erlang(const workload& what, const peer_options& options) {
  if (what.level != durability::memory)
    return fail(errc::not_supported,
                "Erlang keeps its sessions in memory: compare it at --durability memory");
  const auto program = find_program({"erl"}), compiler = find_program({"erlc"});
  if (program.empty() || compiler.empty())
    return fail(errc::not_supported, "no erl on PATH: install Debian's erlang-base");
  std::vector<std::string> compile{compiler, "-o", options.data.string()};
  for (const auto& [name, text] : {std::pair{"peer_node.erl", erlang_node_module},
                                   std::pair{"peer_session.erl", erlang_session_module}}) {
    const auto file = options.data / name;
    std::ofstream{file, std::ios::binary} << text;
    compile.push_back(file.string());
  }
  if (run_command(compile, options.data / "erlang.log") != 0)
    return fail(errc::not_supported,
                "the modules do not compile; erlc's words are in " + options.data.string());
  auto out = std::make_unique<erlang>(what, options, program);
  if (auto ok = out->connect(); !ok)
    return unexpected{ok.error()};
  return out;
}

}  // namespace troupe::simulate
