#pragma once

// Internal: included by server.cpp alone, so that Asio is compiled in one translation unit. What is
// declared here and not defined here (the gate, the worker) is defined there.

#include "http/peer_counts.hpp"
#include "http/problem.hpp"
#include "http/server.hpp"
#include "http/transport.hpp"
#include "http/wire.hpp"
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <condition_variable>
#include <ctime>
#include <list>
#include <mutex>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

namespace troupe::http::detail {

using clock = std::chrono::steady_clock;

/// Of answers in the kernel that a peer has not taken; then: the next waits. Left to itself the
/// kernel takes megabytes for each peer that sends requests and does not read.
inline constexpr int send_buffer = 128 * 1024;

class connection;

/// Leaves nothing, and no room: assigning `{}` keeps that.
template <class Bytes>
void give_back(Bytes& what) noexcept {
  Bytes{}.swap(what);
}

/// What the workers of one server share. Outlives them.
struct common {
  common(server_options o, handler h) : options{std::move(o)}, handle{std::move(h)} {}

  const server_options options;
  const handler handle;
  std::atomic<bool> draining = false;
  std::atomic<bool> stopping = false;

  std::atomic<std::size_t> open = 0;    ///< connections, from accept to close
  std::atomic<std::size_t> bodies = 0;  ///< bytes of those beyond `limits::small_body`
  peer_counts strangers;                ///< by network
  peer_counts known;                    ///< by what `server_options::peer_of` says
  std::mutex mutex;
  std::condition_variable changed;
  bool accepting = true;  ///< under mutex

  /// Nobody's place where nobody has to prove anything.
  peer_counts::place enter_stranger(const std::string& address) {
    if (!options.peer_of || options.peer_of({}))
      return {};
    return strangers.enter(network_of(address));
  }

  void closed_one() {
    if (open.fetch_sub(1) == 1) {
      const std::lock_guard lock{mutex};
      changed.notify_all();
    }
  }
};

/// What comes to a connection from its handler.
struct begun_stream {
  response head;
  std::unique_ptr<body_stream> body;
};
struct more_to_stream {};
using delivery = std::variant<response, begun_stream, more_to_stream>;

/// The way of an answer from any thread to the thread of its connection. Outlives the server when a
/// responder does, and then leads nowhere.
class answer_gate : public std::enable_shared_from_this<answer_gate> {
public:
  explicit answer_gate(asio::io_context& io) noexcept : io_{&io} {}

  /// To be called on the worker's thread before anything else runs there.
  void enter_thread() noexcept { current_ = this; }

  /// Of a stream's source `more_to_stream`: always later, so that the source may hold its locks.
  void deliver(std::weak_ptr<connection> to, delivery what);

  /// After the worker's thread has ended.
  void close() {
    const std::lock_guard lock{mutex_};
    io_ = nullptr;
    ready_.clear();
  }

private:
  struct entry {
    std::weak_ptr<connection> to;
    delivery what;
  };

  static void hand(const std::weak_ptr<connection>& to, delivery what);
  void flush();

  inline static thread_local const answer_gate* current_ = nullptr;
  std::mutex mutex_;
  asio::io_context* io_;      ///< null once closed
  std::vector<entry> ready_;  ///< a post is on its way when this is not empty
  std::vector<entry> taken_;  ///< worker's thread only; keeps its memory
};

/// One thread, its event loop and its connections. Everything but `gate` is touched on that thread
/// only.
struct worker {
  explicit worker(common& c) : shared{c}, gate{std::make_shared<answer_gate>(io)} {}

  common& shared;
  asio::io_context io{1};
  asio::executor_work_guard<asio::io_context::executor_type> busy{io.get_executor()};
  std::shared_ptr<answer_gate> gate;
  std::list<std::shared_ptr<connection>> connections;
  std::thread thread;

  void run() noexcept;

  /// IMF-fixdate of the current second.
  std::string_view date();

private:
  std::time_t date_second_ = -1;
  std::array<char, 32> date_{};
};

/// One peer. Owned by its worker's list and by the operations under way; lives on the worker's
/// thread.
///
/// One timer per connection ticks at the pace of the shortest timeout; a change of phase only
/// writes `deadline_`. Each answer is written whole before the next request is looked at, so there
/// is at most one responder out.
class connection : public std::enable_shared_from_this<connection> {
public:
  connection(worker& w, tcp::socket socket, asio::ssl::context* tls, std::string remote_address,
             peer_counts::place counted)
      : worker_{w},
        limits_{w.shared.options.bounds},
        peer_{std::move(socket), tls},
        timer_{w.io},
        remote_address_{std::move(remote_address)},
        counted_{std::move(counted)},
        stranger_{static_cast<bool>(counted_)},
        parser_{limits_, w.shared.options.longest_body} {}

  /// Begins to serve, or (beyond a limit of connections) to say so.
  void start(const std::optional<protocol_error>& refused);

  /// The handler's answer, or more of it; ignored when the connection has gone meanwhile.
  void take(delivery what);

  /// Closes when nothing has arrived that must be answered.
  void drain();

  void close();

private:
  enum class phase {
    handshake,  // of TLS
    idle,       // waits for the first byte of a request
    head,       // until the head is complete
    body,       // until the body is complete
    handling,   // a responder is out
    delayed,    // an answer waits until it may be told
    writing,    // an answer is on its way
    streaming,  // an answer that goes on has nothing to say now
    part,       // a part of it is on its way
    lingering,  // the last answer is written; reads on so that the peer gets it
    closed,
  };

  bool reading() const noexcept { return phase_ >= phase::idle && phase_ <= phase::body; }
  void enter(phase p, clock::duration timeout);
  void tick();
  void on_deadline();
  void serve();
  void read();
  void on_read(error_code ec, std::size_t n);
  void process();
  bool meet(const request& head);
  bool admit_body();
  void leave_body() noexcept;
  void begin_body();
  void send_continue();
  void handle();
  void refuse(const protocol_error& why);
  void turn_away(response answered);
  void answer(response answered);
  void begin(begun_stream what);
  void watch_peer();
  void read_in_vain();
  void pump();
  void write_part(std::string part);
  void write_stream(std::string_view before, std::string_view after);
  void end_stream();
  void write(response answered);
  void write_out();
  void on_written(error_code ec);
  void next_request();
  void finish();
  void finish_secure();
  void linger();

  /// Runs `f` on this object when an operation ends; an exception (only memory can be the reason)
  /// closes.
  template <class F>
  auto then(F f) {
    return [self = shared_from_this(), f](auto... xs) {
      try {
        f(*self, xs...);
      } catch (...) {
        self->close();
      }
    };
  }

  worker& worker_;
  const limits& limits_;
  transport peer_;
  tcp::socket& socket_ = peer_.socket();
  asio::steady_timer timer_;
  const std::string remote_address_;
  std::list<std::shared_ptr<connection>>::iterator place_{};  ///< in the worker's list
  peer_counts::place counted_;                                ///< with its network, or its peer
  bool stranger_;  ///< until a request proves who sent it

  phase phase_ = phase::idle;
  clock::time_point deadline_{};
  request_parser parser_;
  std::vector<char> buffer_;
  std::size_t begin_ = 0;  ///< of what was read behind the end of a request
  std::size_t end_ = 0;
  std::size_t window_bytes_ = 0;     ///< of body since the window began
  std::size_t body_bytes_ = 0;       ///< that the server counts, and what its owner keeps for them,
  std::shared_ptr<void> body_room_;  ///< until the request is answered

  std::string head_out_;
  std::string body_out_;
  std::unique_ptr<body_stream> stream_;  ///< in the phases `streaming` and `part`
  bool close_after_ = false;
  bool head_only_ = false;  ///< the request was HEAD
  bool http10_ = false;
  bool refused_ = false;  ///< the peer may be sending still
};

// -------------------------------------------------------------------------------------------

inline void connection::start(const std::optional<protocol_error>& refused) {
  place_ = worker_.connections.insert(worker_.connections.end(), shared_from_this());
  error_code ec;
  socket_.set_option(tcp::no_delay{true}, ec);
  socket_.set_option(tcp::socket::send_buffer_size{send_buffer}, ec);
  enter(phase::idle, limits_.head_timeout);
  tick();
  if (worker_.shared.stopping) {
    close();
  } else if (refused && peer_.is_secure()) {
    close();  // a handshake costs more than the word is worth
  } else if (refused) {
    refuse(*refused);
  } else if (peer_.is_secure()) {
    phase_ = phase::handshake;
    peer_.async_handshake(then([](connection& self, error_code failed) {
      if (self.phase_ != phase::handshake)
        return;
      if (failed)
        return self.close();
      self.enter(phase::idle, self.limits_.head_timeout);
      self.serve();
    }));
  } else {
    serve();
  }
}

inline void connection::serve() {
  read();
  if (worker_.shared.draining)
    drain();
}

inline void connection::drain() {
  error_code ec;
  if (phase_ == phase::idle)
    socket_.cancel(ec);  // the read decides: it may hold a request already
  else if (phase_ == phase::handshake)
    close();
  else if (phase_ == phase::delayed)
    write_out();
  else if (phase_ == phase::streaming && !stream_->ends())
    end_stream();
}

inline void connection::close() {
  if (phase_ == phase::closed)
    return;
  const auto self = shared_from_this();
  phase_ = phase::closed;
  stream_.reset();
  counted_.leave();
  leave_body();
  timer_.cancel();
  error_code ec;
  socket_.close(ec);
  worker_.connections.erase(place_);
  worker_.shared.closed_one();
}

inline void connection::enter(phase p, clock::duration timeout) {
  phase_ = p;
  deadline_ = clock::now() + timeout;
}

/// The tick is never longer than a timeout, so a deadline written later than the last tick is met
/// exactly.
inline void connection::tick() {
  if (phase_ == phase::closed)
    return;
  const auto now = clock::now();
  if (now >= deadline_) {
    on_deadline();
    if (phase_ == phase::closed)
      return;
  }
  const auto period = std::min({limits_.head_timeout, limits_.body_window, limits_.answer_timeout,
                                limits_.write_timeout, limits_.stream_heartbeat,
                                limits_.idle_timeout, limits_.linger_timeout});
  timer_.expires_at(
      std::min(now + period, std::max(deadline_, now + std::chrono::milliseconds{1})));
  timer_.async_wait(then([](connection& self, error_code) { self.tick(); }));
}

inline void connection::on_deadline() {
  switch (phase_) {
    case phase::head:
      refuse({408, "request_timeout", "the head of the request did not arrive in time"});
      break;
    case phase::body: {
      const auto wanted =
          limits_.body_rate * static_cast<std::size_t>(limits_.body_window.count()) / 1000;
      if (window_bytes_ < wanted)
        refuse({408, "request_timeout", "the body of the request arrives too slowly"});
      else
        begin_body();
      break;
    }
    case phase::handshake:
    case phase::idle:
    case phase::writing:
    case phase::part:
    case phase::lingering: close(); break;
    case phase::streaming: write_part(stream_->heartbeat()); break;
    case phase::delayed: write_out(); break;
    case phase::handling:  // an answer that comes later finds the connection closed
      close_after_ = true;
      write(problem(504, "outcome_unknown",
                    "no answer within the deadline; a change may still be made"));
      break;
    case phase::closed: break;
  }
}

/// The parser keeps what is not complete, so nothing waits here by now. An idle connection holds
/// 2 KiB.
inline void connection::read() {
  constexpr std::size_t smallest = 2 * 1024;
  constexpr std::size_t largest = 16 * 1024;
  if (buffer_.empty() || (phase_ == phase::body && buffer_.size() < largest))
    buffer_.resize(std::clamp(buffer_.size() * 2, smallest, largest));
  peer_.async_read_some(asio::buffer(buffer_), then([](connection& self, error_code ec,
                                                       std::size_t n) { self.on_read(ec, n); }));
}

inline void connection::on_read(error_code ec, std::size_t n) {
  if (!reading())
    return;  // a timeout was faster
  if (ec) {
    error_code ignored;
    if (ec == asio::error::operation_aborted && socket_.available(ignored) > 0)
      read();
    else
      close();
    return;
  }
  begin_ = 0;
  end_ = n;
  if (phase_ == phase::body)
    window_bytes_ += n;
  if (phase_ == phase::idle)
    enter(phase::head, limits_.head_timeout);
  process();
}

inline void connection::process() {
  begin_ += parser_.feed({buffer_.data() + begin_, end_ - begin_});
  if (parser_.failed()) {
    refuse(parser_.error());
  } else if (parser_.done()) {
    handle();
  } else {
    if (phase_ == phase::head && parser_.head_done()) {
      if (!admit_body())
        return;
      begin_body();
      if (parser_.expects_continue()) {
        send_continue();
        return;
      }
    }
    read();
  }
}

inline void connection::begin_body() {
  window_bytes_ = 0;
  enter(phase::body, limits_.body_window);
}

inline void connection::send_continue() {
  static constexpr std::string_view go_on = "HTTP/1.1 100 Continue\r\n\r\n";
  asio::async_write(peer_, asio::buffer(go_on.data(), go_on.size()),
                    then([](connection& self, error_code ec, std::size_t) {
                      if (!self.reading())
                        return;
                      if (ec)
                        self.close();
                      else
                        self.read();
                    }));
}

/// The sink of one request: knows where its connection lives, and keeps neither it nor the server
/// alive.
class connection_sink final : public response_sink {
public:
  connection_sink(std::shared_ptr<answer_gate> gate, std::weak_ptr<connection> to) noexcept
      : gate_{std::move(gate)},
        to_{std::move(to)} {}

  void answer(response answered) override { gate_->deliver(std::move(to_), std::move(answered)); }
  void stream(response answered, std::unique_ptr<body_stream> body) override {
    gate_->deliver(std::move(to_), begun_stream{std::move(answered), std::move(body)});
  }
  std::function<void()> waker() override {
    return [gate = gate_, to = to_] { gate->deliver(to, more_to_stream{}); };
  }

private:
  std::shared_ptr<answer_gate> gate_;
  std::weak_ptr<connection> to_;
};

inline void connection::handle() {
  head_only_ = parser_.is_head();
  http10_ = parser_.http10();
  close_after_ = !parser_.keep_alive();
  request next = parser_.take();
  next.remote_address = remote_address_;
  if (!meet(next))
    return;
  const auto& longest = worker_.shared.options.longest_wait;
  enter(phase::handling, longest ? longest(next.method, next.target) : limits_.answer_timeout);
  responder owed{std::make_unique<connection_sink>(worker_.gate, weak_from_this())};
  try {
    worker_.shared.handle(std::move(next), std::move(owed));
  } catch (...) {
    // The responder was dropped on the way out, which is an answer.
  }
}

}  // namespace troupe::http::detail

#include "http/admitting.hpp"
#include "http/answering.hpp"
#include "http/streaming.hpp"
