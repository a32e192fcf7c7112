#include "troupe/serve.hpp"

#include <troupe/runtime/runtime.hpp>

#include "api/api.hpp"
#include "http/server.hpp"
#include <spdlog/spdlog.h>
#include <sys/random.h>

#include <array>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <stdexcept>

namespace troupe {

namespace {

constexpr std::chrono::seconds drain_deadline{
    10};  // then: connections are cut; what is in flight is still committed

/// Ids must not be guessable, so their bits come from the kernel.
std::array<std::uint64_t, 2> kernel_random() {
  std::array<std::uint64_t, 2> out{};
  if (getrandom(out.data(), sizeof out, 0) != static_cast<ssize_t>(sizeof out))
    throw std::runtime_error{"the kernel gives no random bits"};
  return out;
}

bool is_loopback(std::string_view host) {
  return host == "localhost" || host == "::1" || host.starts_with("127.");
}

int report(std::string_view what, const error& why) {
  std::fprintf(stderr, "error: %.*s: %s\n", static_cast<int>(what.size()), what.data(),
               why.message.c_str());
  return exit_code(why.code);
}

}  // namespace

int exit_code(errc code) noexcept {
  switch (code) {
    case errc::busy: return 73;
    case errc::damaged:
    case errc::newer_format: return 65;
    case errc::store_full:
    case errc::store_failed: return 75;
    default: return 1;
  }
}

int serve(const serve_options& options) {
  if (!is_loopback(options.host)) {
    std::fprintf(stderr,
                 "error: without access tokens a node listens on a loopback address only, not on "
                 "%s; use 127.0.0.1 or [::1]\n",
                 options.host.c_str());
    return 2;
  }
  sigset_t stop_signals;
  sigemptyset(&stop_signals);
  sigaddset(&stop_signals, SIGTERM);
  sigaddset(&stop_signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &stop_signals, nullptr);

  auto backend = runtime::open({.data = options.data, .now = {}});
  if (!backend)
    return report("cannot open " + options.data.string(), backend.error());
  api::service service{**backend, kernel_random};
  auto server = http::server::start({.host = options.host, .port = options.port},
                                    [&service](http::request request, http::responder respond) {
                                      service(std::move(request), std::move(respond));
                                    });
  if (!server)
    return report("cannot listen", server.error());
  std::printf("listening on http://%s\n", (*server)->address().c_str());
  std::fflush(stdout);

  int signal = 0;
  sigwait(&stop_signals, &signal);
  spdlog::info("stopping on {}: finishing what is in flight",
               signal == SIGTERM ? "SIGTERM" : "SIGINT");
  service.set_draining();
  if (!(*server)->drain(std::chrono::steady_clock::now() + drain_deadline))
    spdlog::warn("some connections did not finish within {} s and are cut", drain_deadline.count());
  (*backend)->close();
  return 0;
}

}  // namespace troupe
