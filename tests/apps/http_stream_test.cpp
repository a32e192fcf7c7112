#include "support/raw_socket.hpp"
#include <doctest/doctest.h>

#include <atomic>
#include <deque>
#include <functional>
#include <future>
#include <stdexcept>

/// Answers that go on being written, over a socket.

using namespace troupe;
using namespace troupe::testing;
using namespace std::chrono_literals;

namespace {

/// A stream that a test feeds.
class fed_stream {
public:
  http::handler handler() {
    return [this](http::request, http::responder answer) {
      {
        const std::lock_guard lock{mutex_};
        wake_ = answer.waker();
      }
      http::response head;
      head.content_type = "text/plain";
      answer.stream(std::move(head), std::make_unique<body>(*this));
    };
  }

  void say(std::string text) {
    std::function<void()> wake;
    {
      const std::lock_guard lock{mutex_};
      parts_.push_back(std::move(text));
      wake = wake_;
    }
    if (wake)
      wake();
  }
  void end() {
    ended_ = true;
    say({});
  }
  void fail() { fails_ = true; }
  void will_end() { will_end_ = true; }
  /// Waits until the connection has let go of the stream.
  bool gone() { return gone_.get_future().wait_for(5s) == std::future_status::ready; }
  [[nodiscard]] std::size_t taken() const { return taken_; }

private:
  struct body final : http::body_stream {
    explicit body(fed_stream& from) : all{from} {}
    ~body() override { all.gone_.set_value(); }
    std::optional<std::string> next() override {
      if (all.fails_)
        throw std::runtime_error{"planted"};
      const std::lock_guard lock{all.mutex_};
      if (all.parts_.empty())
        return std::string{};
      auto out = std::move(all.parts_.front());
      all.parts_.pop_front();
      ++all.taken_;
      if (out.empty() && all.ended_)
        return std::nullopt;
      return out;
    }
    std::string heartbeat() override { return "still here\n"; }
    [[nodiscard]] bool ends() const override { return all.will_end_; }
    fed_stream& all;
  };

  std::mutex mutex_;
  std::deque<std::string> parts_;
  std::function<void()> wake_;
  std::atomic<bool> ended_ = false;
  std::atomic<bool> fails_ = false;
  std::atomic<bool> will_end_ = false;
  std::atomic<std::size_t> taken_ = 0;
  std::promise<void> gone_;
};

}  // namespace

TEST_CASE("a stream arrives in chunks when its source wakes it and ends with the last chunk") {
  fed_stream source;
  source.say("first");
  const auto s = serve(source.handler());
  raw_peer peer{s->port()};
  peer.send(plain_get);
  const auto head = peer.until("\r\n\r\n");
  CHECK(status_of(head) == 200);
  CHECK(has(head, "\r\nTransfer-Encoding: chunked\r\n"));
  CHECK(has(head, "\r\nConnection: close\r\n"));
  CHECK(!has(head, "Content-Length"));
  CHECK(peer.until("first\r\n") == "5\r\nfirst\r\n");
  source.say("the second part");
  CHECK(peer.until("part\r\n") == "f\r\nthe second part\r\n");
  source.end();
  CHECK(peer.until("0\r\n\r\n") == "0\r\n\r\n");
  CHECK(peer.closed());
  CHECK(source.gone());
}

TEST_CASE("HEAD of a stream is its head and the stream is let go") {
  fed_stream source;
  source.say("never sent");
  const auto s = serve(source.handler());
  raw_peer peer{s->port()};
  peer.send("HEAD /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  const auto head = peer.answer(false);
  CHECK(status_of(head) == 200);
  CHECK(peer.closed());
  CHECK(source.gone());
  CHECK(source.taken() == 0);
}

TEST_CASE("a stream to HTTP/1.0 has no chunks and ends with the connection") {
  fed_stream source;
  source.say("one");
  const auto s = serve(source.handler());
  raw_peer peer{s->port()};
  peer.send("GET /a HTTP/1.0\r\n\r\n");
  CHECK(!has(peer.until("\r\n\r\n"), "Transfer-Encoding"));
  CHECK(peer.until("one") == "one");
  source.end();
  CHECK(peer.closed());
}

TEST_CASE("a stream with nothing to say beats") {
  fed_stream source;
  const auto s = serve(source.handler(), {.stream_heartbeat = 5ms});
  raw_peer peer{s->port()};
  peer.send(plain_get);
  peer.until("\r\n\r\n");
  for (int i = 0; i < 3; ++i)
    CHECK(peer.until("here\n\r\n") == "b\r\nstill here\n\r\n");
}

TEST_CASE("a stream ends when its peer leaves") {
  fed_stream source;
  source.say("one");
  const auto s = serve(source.handler());
  {
    raw_peer peer{s->port()};
    peer.send(plain_get);
    peer.until("one");
  }
  CHECK(source.gone());
}

TEST_CASE("a peer that does not read is asked for no more and closed after the write timeout") {
  fed_stream source;
  for (int i = 0; i < 200; ++i)
    source.say(std::string(100'000, 'x'));
  const auto s = serve(source.handler(), {.write_timeout = 50ms});
  raw_peer peer{s->port(), 4096};
  peer.send(plain_get);
  CHECK(source.gone());
  CHECK(source.taken() < 150);
}

TEST_CASE("draining ends streams with their last chunk") {
  fed_stream source;
  source.say("one");
  const auto s = serve(source.handler());
  raw_peer peer{s->port()};
  peer.send(plain_get);
  peer.until("one\r\n");
  CHECK(s->drain(in(5s)));
  CHECK(peer.until("0\r\n\r\n") == "0\r\n\r\n");
  CHECK(peer.closed());
}

TEST_CASE("draining waits for a stream that ends of its own") {
  fed_stream source;
  source.will_end();
  source.say("one");
  const auto s = serve(source.handler());
  raw_peer peer{s->port()};
  peer.send(plain_get);
  peer.until("one\r\n");
  CHECK_FALSE(s->drain(in(50ms)));
  source.say("two");
  CHECK(peer.until("two\r\n") == "3\r\ntwo\r\n");
  source.end();
  CHECK(s->drain(in(5s)));
  CHECK(peer.until("0\r\n\r\n") == "0\r\n\r\n");
}

TEST_CASE("a stream whose source fails is cut without a last chunk") {
  fed_stream source;
  source.fail();
  const auto s = serve(source.handler());
  raw_peer peer{s->port()};
  peer.send(plain_get);
  CHECK(!has(peer.until("0\r\n\r\n"), "0\r\n\r\n"));
  CHECK(source.gone());
}
