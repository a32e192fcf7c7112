#include "http/server.hpp"

#include "http/closing.hpp"
#include "http/connection.hpp"
#include <boost/asio/dispatch.hpp>

#include <cstdio>

namespace troupe::http {
namespace detail {

void answer_gate::deliver(std::weak_ptr<connection> to, delivery what) {
  if (current_ == this && !std::holds_alternative<more_to_stream>(what)) {
    hand(to, std::move(what));
    return;
  }
  const std::lock_guard lock{mutex_};
  if (io_ == nullptr)
    return;
  if (ready_.empty())  // one post wakes the worker for all that gather until it looks
    asio::post(*io_, [self = shared_from_this()] { self->flush(); });
  ready_.push_back({std::move(to), std::move(what)});
}

void answer_gate::hand(const std::weak_ptr<connection>& to, delivery what) {
  const auto c = to.lock();
  if (!c)
    return;
  try {
    c->take(std::move(what));
  } catch (...) {
    c->close();
  }
}

void answer_gate::flush() {
  {
    const std::lock_guard lock{mutex_};
    taken_.swap(ready_);
  }
  for (auto& e : taken_)
    hand(e.to, std::move(e.what));
  taken_.clear();
}

void worker::run() noexcept {
  gate->enter_thread();
  std::function<void()> beside;
  if (const auto& wanted = shared.options.beside)
    beside = wanted([this, &beside] { asio::post(io, [&beside] { beside(); }); });
  io.run();
}

std::string_view worker::date() {
  static constexpr std::array days{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  static constexpr std::array months{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const std::time_t now = std::time(nullptr);
  if (now != date_second_) {
    std::tm t{};
    gmtime_r(&now, &t);
    std::array<char, 64> format{};
    std::snprintf(format.data(), format.size(), "%s, %%d %s %%Y %%H:%%M:%%S GMT",
                  days.at(static_cast<std::size_t>(t.tm_wday)),
                  months.at(static_cast<std::size_t>(t.tm_mon)));
    std::strftime(date_.data(), date_.size(), format.data(), &t);
    date_second_ = now;
  }
  return date_.data();
}

}  // namespace detail

using detail::connection;
using detail::error_code;
using detail::worker;
using detail::asio::ip::tcp;
namespace asio = detail::asio;

/// The acceptor and its timer live on the first worker's thread.
struct server::impl {
  impl(server_options options, handler handle)
      : shared{std::move(options), std::move(handle)},
        workers{make_workers(shared)} {}

  static std::vector<std::unique_ptr<worker>> make_workers(detail::common& shared);
  expected<void> listen();
  void run();
  void accept();
  void on_accept(worker& target, error_code ec, tcp::socket socket);
  void stop_accepting();
  void begin_drain();
  void stop();

  asio::io_context& first() noexcept { return workers.front()->io; }

  detail::common shared;
  std::vector<std::unique_ptr<worker>> workers;
  tcp::acceptor acceptor{first()};
  asio::steady_timer retry{first()};
  tcp::endpoint endpoint;
  std::size_t next = 0;

  [[nodiscard]] std::shared_ptr<asio::ssl::context> tls() const {
    const std::lock_guard lock{tls_mutex};
    return secured;
  }
  expected<void> load();

  mutable std::mutex tls_mutex;
  std::shared_ptr<asio::ssl::context> secured;  // null: in the clear
};

std::vector<std::unique_ptr<worker>> server::impl::make_workers(detail::common& shared) {
  std::vector<std::unique_ptr<worker>> result;
  do
    result.push_back(std::make_unique<worker>(shared));
  while (result.size() < shared.options.io_threads);
  return result;
}

expected<void> server::impl::load() {
  if (!shared.options.tls)
    return {};
  auto read = load_tls(*shared.options.tls);
  if (!read)
    return tl::unexpected(std::move(read.error()));
  const std::lock_guard lock{tls_mutex};
  secured = *std::move(read);
  return {};
}

expected<void> server::impl::listen() {
  const auto& options = shared.options;
  error_code ec;
  tcp::resolver resolver{first()};
  const auto found =
      resolver.resolve(options.host, std::to_string(options.port), tcp::resolver::passive, ec);
  if (ec || found.empty())
    return fail(errc::invalid_value, "cannot resolve " + options.host + ": " + ec.message());
  const tcp::endpoint wanted = found.begin()->endpoint();
  acceptor.open(wanted.protocol(), ec);
  if (!ec)
    acceptor.set_option(tcp::acceptor::reuse_address{true}, ec);
  if (!ec)
    acceptor.bind(wanted, ec);
  if (!ec)
    acceptor.listen(tcp::acceptor::max_listen_connections, ec);
  if (!ec)
    endpoint = acceptor.local_endpoint(ec);
  if (ec)
    return fail(ec == asio::error::address_in_use ? errc::busy : errc::invalid_value,
                "cannot listen on " + options.host + " port " + std::to_string(options.port) + ": "
                    + ec.message());
  return {};
}

void server::impl::run() {
  asio::post(first(), [this] { accept(); });
  for (auto& w : workers)
    w->thread = std::thread{[&w = *w] { w.run(); }};
}

void server::impl::accept() {
  auto& target = *workers[next++ % workers.size()];
  acceptor.async_accept(target.io, [this, &target](error_code ec, tcp::socket socket) {
    on_accept(target, ec, std::move(socket));
  });
}

void server::impl::on_accept(worker& target, error_code ec, tcp::socket socket) {
  if (ec == asio::error::operation_aborted || !acceptor.is_open())
    return;
  if (ec) {  // no descriptor or no memory left: others must close first
    retry.expires_after(std::chrono::milliseconds{50});
    retry.async_wait([this](error_code e) {
      if (!e && acceptor.is_open())
        accept();
    });
    return;
  }
  const auto& bounds = shared.options.bounds;
  const std::size_t open = shared.open.load();
  if (open < bounds.connections + bounds.refusals) {
    const auto peer = socket.remote_endpoint(ec);
    auto address = ec ? std::string{} : peer.address().to_string();
    auto counted = shared.enter_stranger(address);
    const auto most = counted ? bounds.unknown_connections : 0;  // 0: any number
    if (most == 0 || counted.before() < most + bounds.refusals) {
      std::optional<protocol_error> refused;
      if (open >= bounds.connections)
        refused = {503, "busy", "too many connections"};
      else if (most != 0 && counted.before() >= most)
        refused = {429, "busy", "too many connections of this address that showed no access token"};
      shared.open.fetch_add(1);
      const auto context = tls();
      auto c = std::make_shared<connection>(target, std::move(socket), context.get(),
                                            std::move(address), std::move(counted));
      asio::dispatch(target.io, [c, refused] { c->start(refused); });
    }
  }
  accept();
}

void server::impl::stop_accepting() {
  error_code ec;
  acceptor.close(ec);
  retry.cancel();
  const std::lock_guard lock{shared.mutex};
  shared.accepting = false;
  shared.changed.notify_all();
}

void server::impl::begin_drain() {
  shared.draining = true;
  asio::post(first(), [this] {
    stop_accepting();
    for (auto& w : workers)
      asio::post(w->io, [&w = *w] {
        const auto all = w.connections;  // closing changes the list
        for (const auto& c : all)
          c->drain();
      });
  });
}

void server::impl::stop() {
  shared.draining = shared.stopping = true;
  asio::post(first(), [this] { stop_accepting(); });
  for (auto& w : workers)
    asio::post(w->io, [&w = *w] {
      const auto all = w.connections;
      for (const auto& c : all)
        c->close();
      w.busy.reset();
    });
  for (auto& w : workers)
    if (w->thread.joinable())
      w->thread.join();
  for (auto& w : workers)
    w->gate->close();
}

server::server(std::unique_ptr<impl> inside) noexcept : impl_{std::move(inside)} {}

server::~server() {
  impl_->stop();
}

expected<std::unique_ptr<server>> server::start(server_options options, handler handle) {
  auto inside = std::make_unique<impl>(std::move(options), std::move(handle));
  if (auto ready = inside->load(); !ready)
    return tl::make_unexpected(std::move(ready.error()));
  if (auto listening = inside->listen(); !listening)
    return tl::make_unexpected(std::move(listening.error()));
  inside->run();
  return std::unique_ptr<server>{new server{std::move(inside)}};
}

expected<void> server::reload_tls() {
  return impl_->load();
}

std::uint16_t server::port() const noexcept {
  return impl_->endpoint.port();
}

std::string server::address() const {
  const auto& at = impl_->endpoint;
  const auto host = at.address().to_string();
  return (at.address().is_v6() ? "[" + host + "]" : host) + ":" + std::to_string(at.port());
}

bool server::drain(std::chrono::steady_clock::time_point deadline) {
  impl_->begin_drain();
  auto& shared = impl_->shared;
  std::unique_lock lock{shared.mutex};
  return shared.changed.wait_until(lock, deadline,
                                   [&] { return !shared.accepting && shared.open == 0; });
}

}  // namespace troupe::http
