#include "http/client.hpp"
#include "support/raw_socket.hpp"
#include <malloc.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <future>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

using namespace troupe;
using namespace troupe::http;
using namespace troupe::testing;
using namespace std::chrono_literals;

TEST_CASE("a request reaches the handler whole and its answer reaches the peer") {
  request seen;
  const auto s = serve([&](request asked, responder answer) {
    seen = asked;
    answer({.status = 201, .headers = {{"ETag", "\"1\""}}, .body = "{}"});
  });
  raw_peer peer{s->port()};
  const auto answer = peer.send(post("Content-Length: 3\r\nX-Y: z\r\n", "abc")).answer();
  CHECK(answer.starts_with("HTTP/1.1 201 Created\r\n"));
  CHECK(has(answer, "\r\nContent-Type: application/json\r\n"));
  CHECK(has(answer, "\r\nETag: \"1\"\r\n"));
  CHECK(has(answer, " GMT\r\n"));
  CHECK(body_of(answer) == "{}");
  CHECK(seen.method == "POST");
  CHECK(seen.target == "/a");
  CHECK(seen.body == "abc");
  CHECK(*seen.find_header("x-y") == "z");
  CHECK(seen.remote_address == "127.0.0.1");
  CHECK(s->address() == "127.0.0.1:" + std::to_string(s->port()));
}

TEST_CASE("an idle connection keeps no room of the answers that it sent") {
  // A line at a time, so that the peers keep none either. A sanitizer's malloc tells nothing here.
  const auto line = std::string(4'095, 'x') + '\n';
  constexpr int lines = 256;
  const auto in_use = [] {
    const auto told = ::mallinfo2();
    return told.uordblks + told.hblkhd;
  };
  const auto s = serve([&](request asked, responder answer) {
    std::string body;
    for (int i = 0; i < (asked.target == "/large" ? lines : 1); ++i)
      body += line;
    answer({.body = std::move(body)});
  });
  const auto before = in_use();
  std::vector<std::unique_ptr<raw_peer>> peers;
  for (const char* target : {"/large", "/large", "/large", "/large", "/small"}) {
    peers.push_back(std::make_unique<raw_peer>(s->port()));
    peers.back()->send("GET " + std::string{target} + " HTTP/1.1\r\nHost: x\r\n\r\n");
    CHECK(status_of(peers.back()->until("\r\n\r\n")) == 200);
    for (int i = 0; i < (target == std::string_view{"/large"} ? lines : 1); ++i)
      REQUIRE(peers.back()->until("\n") == line);
  }
  // Behind the last answer the one thread is done with those before.
  CHECK(in_use() < before + lines * line.size());
}

TEST_CASE("pipelined requests are answered in their order on one connection") {
  const auto s = serve();
  raw_peer peer{s->port()};
  std::string all;
  for (int i = 0; i < 100; ++i)
    all += "PUT /" + std::to_string(i) + " HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n"
           + std::to_string(i % 10);
  peer.send(all);
  for (int i = 0; i < 100; ++i)
    CHECK(body_of(peer.answer()) == "PUT /" + std::to_string(i) + " " + std::to_string(i % 10));
}

TEST_CASE("a pipelined request waits until the one before it is answered") {
  held_responders held;
  const auto s = serve(held.keep());
  raw_peer peer{s->port()};
  peer.send(plain_get + plain_get);
  auto first = held.next();
  first({.body = "one"});
  auto second = held.next();
  second({.body = "two"});
  CHECK(body_of(peer.answer()) == "one");
  CHECK(body_of(peer.answer()) == "two");
}

TEST_CASE("a thread of its own answers and the connection goes on") {
  std::vector<std::jthread> threads;
  const auto s = serve([&](request asked, responder answer) {
    threads.emplace_back([answer = std::move(answer), asked = std::move(asked)]() mutable {
      answer({.body = asked.target});
    });
  });
  raw_peer peer{s->port()};
  for (int i = 0; i < 20; ++i)
    CHECK(body_of(peer.send(plain_get).answer()) == "/a");
}

TEST_CASE("what an IO thread does beside is done there for any thread that wakes it") {
  std::vector<responder> left;  // the IO thread's, as what follows
  std::thread::id thread;
  std::function<void()> wake_it;
  std::jthread other;
  int ended = 0;
  {
    const auto started = server::start({.beside =
                                            [&](std::function<void()> wake) {
                                              thread = std::this_thread::get_id();
                                              wake_it = std::move(wake);
                                              const std::shared_ptr<void> end{
                                                  nullptr, [&](void*) {
                                                    CHECK(std::this_thread::get_id() == thread);
                                                    ++ended;
                                                  }};
                                              return [&left, &thread, end] {
                                                CHECK(std::this_thread::get_id() == thread);
                                                for (auto& one : std::exchange(left, {}))
                                                  one({.body = "beside"});
                                              };
                                            }},
                                       [&](request asked, responder answer) {
                                         if (asked.method == "POST")
                                           return answer({.body = "at once"});
                                         left.push_back(std::move(answer));
                                         if (asked.target == "/here")
                                           wake_it();
                                         else
                                           other = std::jthread{wake_it};
                                       });
    REQUIRE(started);
    raw_peer peer{(*started)->port()};
    CHECK(body_of(peer.send("GET /here HTTP/1.1\r\nHost: x\r\n\r\n").answer()) == "beside");
    CHECK(body_of(peer.send(post("Content-Length: 0\r\n")).answer()) == "at once");
    CHECK(body_of(peer.send(plain_get).answer()) == "beside");
    other.join();
  }
  CHECK(ended == 1);
}

TEST_CASE("an answer that is delayed does not leave before its time and the connection goes on") {
  const auto s = serve(
      [](request asked, responder answer) {
        answer({.body = asked.method, .delay = asked.method == "POST" ? 30ms : 0ms});
      },
      {.head_timeout = 1h,  // no other deadline comes sooner
       .body_window = 1h,
       .answer_timeout = 1h,
       .write_timeout = 1h,
       .stream_heartbeat = 1h,
       .idle_timeout = 1h,
       .linger_timeout = 1h});
  raw_peer peer{s->port()};
  for (int i = 0; i < 2; ++i) {
    const auto begun = std::chrono::steady_clock::now();
    peer.send(post("Content-Length: 0\r\n") + plain_get);
    CHECK(body_of(peer.answer()) == "POST");
    CHECK(std::chrono::steady_clock::now() - begun >= 30ms);
    CHECK(body_of(peer.answer()) == "GET");
  }
}

TEST_CASE(
    "an answer that is delayed keeps no other peer waiting and leaves when the server drains") {
  const auto s = serve([](request asked, responder answer) {
    answer({.body = asked.method, .delay = asked.method == "POST" ? 1h : 0h});
  });
  raw_peer late{s->port()}, other{s->port()};
  late.send(post("Content-Length: 0\r\n"));
  for (int i = 0; i < 3; ++i)
    CHECK(body_of(other.send(plain_get).answer()) == "GET");
  CHECK(s->drain(in(5s)));
  CHECK(body_of(late.answer()) == "POST");
  CHECK(late.closed());
}

TEST_CASE("a server that drains delays no answer") {
  held_responders held;
  const auto s = serve(held.keep());
  raw_peer peer{s->port()};
  peer.send(plain_get);
  auto owed = held.next();
  CHECK_FALSE(s->drain(in(20ms)));
  owed({.body = "late", .delay = 1h});
  CHECK(body_of(peer.answer()) == "late");
  CHECK(s->drain(in(5s)));
}

TEST_CASE("a dropped responder and a throwing handler answer 500 and keep the connection") {
  const auto s = serve([](request asked, responder) {
    if (asked.method == "POST")
      throw std::runtime_error{"secret"};
  });
  raw_peer peer{s->port()};
  for (const auto& bytes : {plain_get, post("Content-Length: 0\r\n"), plain_get}) {
    const auto answer = peer.send(bytes).answer();
    CHECK(status_of(answer) == 500);
    CHECK(has(answer, "application/problem+json"));
    CHECK(has(answer, "\"code\":\"internal\""));
    CHECK_FALSE(has(answer, "secret"));
    CHECK_FALSE(has(answer, "Connection: close"));
  }
}

TEST_CASE("a responder that outlives its server does nothing") {
  held_responders held;
  auto s = serve(held.keep());
  raw_peer peer{s->port()};
  peer.send(plain_get);
  auto late = held.next();
  s.reset();
  late({.body = "late"});
  CHECK(peer.answer().empty());
}

TEST_CASE("a responder whose peer has gone does nothing") {
  held_responders held;
  const auto s = serve(held.keep());
  {
    raw_peer peer{s->port()};
    peer.send(plain_get);
    held.next()({.body = std::string(1 << 20, 'x')});
  }
  raw_peer other{s->port()};
  other.send(plain_get);
  held.next()({.body = "fine"});
  CHECK(body_of(other.answer()) == "fine");
}

TEST_CASE(
    "a handler that does not answer in time is answered 504 and its late answer goes nowhere") {
  held_responders held;
  limits bounds;
  bounds.answer_timeout = 30ms;
  const auto s = serve(held.keep(), bounds);
  raw_peer peer{s->port()};
  peer.send(plain_get);
  auto late = held.next();
  const auto answer = peer.answer();
  CHECK(answer.starts_with("HTTP/1.1 504 "));
  CHECK(has(body_of(answer), "\"code\":\"outcome_unknown\""));
  late({.body = "late"});
  CHECK(peer.closed());
}

TEST_CASE("a handler has as long as its method and target are given and others no longer") {
  held_responders held;
  limits bounds;
  bounds.answer_timeout = 30ms;
  const auto started =
      server::start({.bounds = bounds,
                     .longest_wait =
                         [](std::string_view method, std::string_view target) {
                           return method == "GET" && target == "/slow" ? 10'000ms : 30ms;
                         }},
                    held.keep());
  REQUIRE(started);
  raw_peer slow{(*started)->port()}, other{(*started)->port()};
  slow.send("GET /slow HTTP/1.1\r\nHost: x\r\n\r\n");
  auto patient = held.next();
  other.send(plain_get);
  const auto cut = held.next();
  CHECK(status_of(other.answer()) == 504);  // and so 30 ms have passed
  patient({.body = "late"});
  CHECK(body_of(slow.answer()) == "late");
}

TEST_CASE("an answer that cannot be written as HTTP becomes 500") {
  const auto s = serve([](request, responder answer) {
    answer({.headers = {{"X", "a\r\nSet-Cookie: b"}}, .body = "x"});
  });
  raw_peer peer{s->port()};
  const auto answer = peer.send(plain_get).answer();
  CHECK(status_of(answer) == 500);
  CHECK_FALSE(has(answer, "Set-Cookie"));
}

TEST_CASE("HEAD has the length of the body and not the body") {
  const auto s = serve();
  raw_peer peer{s->port()};
  const auto answer = peer.send("HEAD /a HTTP/1.1\r\nHost: x\r\n\r\n").answer(false);
  CHECK(has(answer, "\r\nContent-Length: 8\r\n"));
  CHECK(body_of(answer).empty());
  const auto next = peer.send(plain_get).answer();
  CHECK(status_of(next) == 200);  // nothing of a body stood before it
  CHECK(body_of(next) == "GET /a ");
}

TEST_CASE("204 and 304 have neither body nor length") {
  for (const int status : {204, 304}) {
    const auto s =
        serve([&](request, responder answer) { answer({.status = status, .body = "x"}); });
    raw_peer peer{s->port()};
    for (int i = 0; i < 2; ++i) {
      const auto answer = peer.send(plain_get).answer();
      CHECK(status_of(answer) == status);
      CHECK_FALSE(has(answer, "Content-Length"));
      CHECK(body_of(answer).empty());
    }
  }
}

TEST_CASE("the peer decides with Connection close and with HTTP/1.0 that its answer is the last") {
  const auto s = serve();
  for (const auto& bytes : {get("Connection: close\r\n"), std::string{"GET /a HTTP/1.0\r\n\r\n"}}) {
    raw_peer peer{s->port()};
    const auto answer = peer.send(bytes).answer();
    CHECK(status_of(answer) == 200);
    CHECK(has(answer, "Connection: close"));
    CHECK(peer.closed());
  }
  raw_peer old{s->port()};
  for (int i = 0; i < 2; ++i)
    CHECK(has(old.send("GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").answer(),
              "Connection: keep-alive"));
}

TEST_CASE("the last answer arrives whole although the peer sent more than was read") {
  const auto s =
      serve([](request, responder answer) { answer({.body = std::string(1 << 20, 'x')}); },
            {.linger_timeout = 5s});
  raw_peer peer{s->port(), 32 * 1024};
  peer.send(get("Connection: close\r\n") + std::string(64 * 1024, 'x'));
  CHECK(body_of(peer.answer()).size() == 1U << 20U);
}

TEST_CASE("drain answers what is in flight and closes what is idle and accepts nothing") {
  held_responders held;
  const auto s = serve(held.keep(), {.linger_timeout = 20ms});
  raw_peer idle{s->port()};
  idle.send(plain_get);
  held.next()({});
  CHECK(status_of(idle.answer()) == 200);
  raw_peer busy{s->port()};
  busy.send(plain_get + plain_get);
  auto owed = held.next();
  CHECK_FALSE(s->drain(in(0ms)));
  CHECK(idle.closed());
  CHECK_THROWS(raw_peer{s->port()});
  auto drained = std::async(std::launch::async, [&] { return s->drain(in(5s)); });
  owed({.body = "last"});
  const auto answer = busy.answer();
  CHECK(body_of(answer) == "last");
  CHECK(has(answer, "Connection: close"));
  CHECK(busy.closed());
  CHECK(drained.get());
}

TEST_CASE("a request that nobody had read yet when the drain began is answered") {
  std::promise<void> entered;
  std::promise<void> go_on;
  const auto s = serve([&](request asked, responder answer) {
    if (asked.method == "POST") {  // holds the one IO thread
      entered.set_value();
      go_on.get_future().wait();
    }
    answer({.body = asked.method});
  });
  raw_peer idle{s->port()};
  CHECK(body_of(idle.send(plain_get).answer()) == "GET");
  raw_peer blocking{s->port()};
  blocking.send(post("Content-Length: 0\r\n"));
  entered.get_future().wait();
  idle.send(plain_get);
  CHECK_FALSE(s->drain(in(0ms)));
  go_on.set_value();
  CHECK(body_of(idle.answer()) == "GET");
  CHECK(body_of(blocking.answer()) == "POST");
  CHECK(s->drain(in(5s)));
}

TEST_CASE("a request that had begun to arrive when the drain began is answered") {
  const auto s = serve();
  raw_peer peer{s->port()};
  CHECK(peer.send(post("Content-Length: 2\r\nExpect: 100-continue\r\n")).answer()
        == "HTTP/1.1 100 Continue\r\n\r\n");
  CHECK_FALSE(s->drain(in(0ms)));
  const auto answer = peer.send("ab").answer();
  CHECK(body_of(answer) == "POST /a ab");
  CHECK(has(answer, "Connection: close"));
  CHECK(s->drain(in(5s)));
}

TEST_CASE("drain says when its deadline passed and can be asked again") {
  held_responders held;
  const auto s = serve(held.keep());
  raw_peer peer{s->port()};
  peer.send(plain_get);
  auto owed = held.next();
  CHECK_FALSE(s->drain(in(20ms)));
  owed({});
  CHECK(s->drain(in(5s)));
  CHECK(s->drain(in(0ms)));
}

TEST_CASE("64 connections at once get each their own answers from other threads") {
  for (const std::size_t io_threads : {1U, 2U}) {
    std::vector<std::jthread> workers;
    std::mutex mutex;
    std::condition_variable changed;
    std::vector<std::pair<request, responder>> queue;
    bool end = false;
    const auto answer_all = [&] {
      std::unique_lock lock{mutex};
      for (;;) {
        changed.wait(lock, [&] { return end || !queue.empty(); });
        if (queue.empty())
          return;
        auto [asked, answer] = std::move(queue.back());
        queue.pop_back();
        lock.unlock();
        answer({.body = asked.body});
        lock.lock();
      }
    };
    workers.emplace_back(answer_all);
    workers.emplace_back(answer_all);
    auto started = server::start({.io_threads = io_threads}, [&](request asked, responder answer) {
      const std::lock_guard lock{mutex};
      queue.emplace_back(std::move(asked), std::move(answer));
      changed.notify_one();
    });
    REQUIRE(started);
    std::atomic<int> right = 0;
    {
      std::vector<std::jthread> clients;
      for (int c = 0; c < 64; ++c)
        clients.emplace_back([&, c] {
          client to{"127.0.0.1", (*started)->port(), 10s};
          for (int i = 0; i < 20; ++i) {
            const auto body = std::to_string(c) + "/" + std::to_string(i);
            const auto answer = to.send({.method = "POST", .target = "/", .body = body});
            right += answer && answer->body == body ? 1 : 0;
          }
        });
    }
    CHECK(right == 64 * 20);
    CHECK((*started)->drain(in(5s)));
    {
      const std::lock_guard lock{mutex};
      end = true;
    }
    changed.notify_all();
  }
}

TEST_CASE("start fails with what is wrong with the address") {
  const auto s = serve();
  const auto taken = server::start({.port = s->port()}, echo);
  REQUIRE_FALSE(taken);
  CHECK(taken.error().code == errc::busy);
  for (const auto* host : {"203.0.113.7", "no such host"}) {
    const auto wrong = server::start({.host = host}, echo);
    REQUIRE_FALSE(wrong);
    CHECK(wrong.error().code == errc::invalid_value);
  }
}
