#include "troupe/serve.hpp"

#include <troupe/runtime/runtime.hpp>

#include "api/api.hpp"
#include "http/server.hpp"
#include "troupe/exit_status.hpp"
#include "troupe/stop_signals.hpp"
#include "troupe/text.hpp"
#include <spdlog/spdlog.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace troupe {

namespace {

constexpr std::chrono::minutes between_sweeps{10};       // of old sessions of the agent API
constexpr std::chrono::milliseconds between_looks{500};  // at the tokens
constexpr std::chrono::seconds answer_slack{5};  // between a responder's timeout and the server's
constexpr std::chrono::milliseconds last_words{500};  // for answers to leave; then: they are cut

/// Ids must not be guessable, so their bits come from the kernel: for sixteen of them at a time, as
/// every request has one.
std::array<std::uint64_t, 2> kernel_random() {
  thread_local std::array<std::array<std::uint64_t, 2>, 16> ready{};
  thread_local std::size_t left = 0;
  if (left == 0) {  // up to 256 bytes come whole, or not at all
    if (getrandom(ready.data(), sizeof ready, 0) != static_cast<ssize_t>(sizeof ready))
      throw std::runtime_error{"the kernel gives no random bits"};
    left = ready.size();
  }
  return std::exchange(ready.at(--left), {});
}

/// As many descriptors as the system lets a process have; a service manager's soft limit is often
/// 1,024. Answers how many connections that leaves room for.
std::size_t raise_descriptor_limit() {
  constexpr rlim_t own_files = 64;  // the store, the sockets of the server itself, logs
  rlimit descriptors{};
  if (getrlimit(RLIMIT_NOFILE, &descriptors) != 0)
    return 256;
  descriptors.rlim_cur = descriptors.rlim_max;
  setrlimit(RLIMIT_NOFILE, &descriptors);
  getrlimit(RLIMIT_NOFILE, &descriptors);
  return static_cast<std::size_t>(std::max<rlim_t>(descriptors.rlim_cur, 2 * own_files)
                                  - own_files);
}

/// What is stored is nobody's business but the store's: no core dump has it, and no other process
/// of the same user reads it here.
void keep_memory_private() {
  constexpr rlimit none{0, 0};
  setrlimit(RLIMIT_CORE, &none);
  prctl(PR_SET_DUMPABLE, 0);
}

int report(std::string_view what, const error& why, int exit_code) {
  std::fprintf(stderr, "error: %s\n",
               cli::escape_controls(std::string{what} + ": " + why.message).c_str());
  return exit_code;
}

/// Without access tokens nobody else may reach it.
bool may_listen(const std::string& host, bool with_tokens) {
  if (http::is_loopback(host) || with_tokens)
    return true;
  std::fprintf(stderr,
               "error: without access tokens a node listens on a loopback address only, not on "
               "%s; use 127.0.0.1 or [::1], or make one: troupe token create\n",
               cli::escape_controls(host).c_str());
  return false;
}

std::string host_name() {
  std::array<char, 256> name{};
  return gethostname(name.data(), name.size() - 1) == 0 && name.front() != '\0' ? name.data()
                                                                                : "node";
}

/// Whoever waits for a responder waits longer than others.
http::answer_limit longest_wait(const serve_options& options, const http::limits& bounds) {
  const auto wait = std::max<std::chrono::milliseconds>(
      bounds.answer_timeout, std::chrono::seconds{options.agents.timeout_s} + answer_slack);
  return [wait, other = bounds.answer_timeout](std::string_view, std::string_view target) {
    return target.starts_with("/api/agent/") ? wait : other;
  };
}

/// A node's one or two listeners. The service outlives them.
class listeners {
public:
  /// Prints where it listens, for who starts it, once it does.
  static expected<listeners> start(const serve_options& options, runtime& backend,
                                   api::service& service) {
    using listener = api::service::listener;
    http::limits bounds;
    bounds.connections = std::min(bounds.connections, raise_descriptor_limit());
    bounds.unknown_connections = options.unknown_connections;
    bounds.peer_connections = options.user_connections;
    listeners out;
    const auto open = [&](const std::string& host, std::uint16_t port,
                          listener by) -> expected<void> {
      auto server = http::server::start(
          {.host = host,
           .port = port,
           .io_threads = std::clamp<std::size_t>(std::thread::hardware_concurrency(), 1, 8),
           .bounds = bounds,
           .tls = options.tls,
           .longest_wait = longest_wait(options, bounds),
           .beside = [&backend](auto wake) { return backend.run_here(std::move(wake)); },
           .longest_body = [bounds](
                               auto method,
                               auto target) { return api::longest_body(method, target, bounds); },
           .peer_of = [&service](const auto& head) { return service.peer_of(head); },
           .admit = [&service, by](const auto& head,
                                   std::size_t bytes) { return service.admit(head, bytes, by); }},
          [&service, by](http::request request, http::responder respond) {
            service(std::move(request), std::move(respond), by);
          });
      if (!server)
        return tl::unexpected(std::move(server.error()));
      out.all_.push_back(*std::move(server));
      return {};
    };
    auto opened =
        open(options.host, options.port, options.admin ? listener::clients : listener::only);
    if (opened && options.admin)
      opened = open(options.admin->host, options.admin->port, listener::operators);
    if (!opened)
      return tl::unexpected(std::move(opened.error()));
    const char* scheme = options.tls ? "https" : "http";
    if (options.admin)
      std::printf("operators: %s://%s\n", scheme, out.all_.back()->address().c_str());
    std::printf("listening on %s://%s\n", scheme, out.all_.front()->address().c_str());
    std::fflush(stdout);
    return out;
  }

  void reload_tls() const {
    for (const auto& one : all_)
      if (const auto done = one->reload_tls(); !done)
        spdlog::error("the certificate stays as it was: {}", done.error().message);
  }

  [[nodiscard]] bool drain(std::chrono::milliseconds timeout) const {
    const auto deadline = std::chrono::steady_clock::now() + timeout;
    bool done = true;
    for (const auto& one : all_)
      done = one->drain(deadline) && done;
    return done;
  }

private:
  std::vector<std::unique_ptr<http::server>> all_;
};

/// What of the settings may change while the node runs; says what may not.
void reload_settings(const serve_options& options) {
  if (!options.settings_again)
    return;
  const auto now = options.settings_again();
  if (!now)
    return spdlog::error("the settings stay: {}", now.error().message);
  spdlog::set_level(spdlog::level::from_str(now->log_level));
  std::string names;
  for (const auto& name : now->changed)
    names += (names.empty() ? "" : ", ") + name;
  if (names.empty())
    spdlog::info("read again: log level {}", now->log_level);
  else
    spdlog::warn("read again: log level {}; changed, and in use after a restart: {}",
                 now->log_level, names);
}

/// Until SIGTERM or SIGINT; looks for other tokens meanwhile, and at once on SIGHUP.
int wait_to_stop(cli::stop_signals& signals, api::service& service, const listeners& servers,
                 const serve_options& options, const std::filesystem::path& tokens) {
  std::string told;
  auto next_sweep = std::chrono::steady_clock::now();
  while (true) {
    const int signal = signals.wait(between_looks);
    if (signal == SIGTERM || signal == SIGINT)
      return signal;
    if (signal == SIGHUP) {
      reload_settings(options);
      servers.reload_tls();
    }
    if (const auto now = std::chrono::steady_clock::now(); now >= next_sweep) {
      next_sweep = now + between_sweeps;
      service.clean_up_agents();
    }
    const auto known = service.reload_tokens(tokens);
    if (!known && told != known.error().message)
      spdlog::error("nobody is let in: {}", known.error().message);
    told = known ? std::string{} : known.error().message;
  }
}

/// Load balancers see /readyz; a second signal ends the notice.
void give_notice(cli::stop_signals& signals, std::chrono::milliseconds notice) {
  const auto until = std::chrono::steady_clock::now() + notice;
  const auto left = [&] {
    return std::chrono::ceil<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
  };
  while (left().count() > 0)
    if (const int signal = signals.wait(left()); signal == SIGTERM || signal == SIGINT)
      return;
}

}  // namespace

expected<void> check_files(const serve_options& options) {
  if (options.tls) {
    for (const auto& file : {options.tls->certificate, options.tls->key})
      if (!std::ifstream{file})
        return fail(errc::invalid_value,
                    "cannot read " + file.string() + ": " + std::generic_category().message(errno));
    if (const auto loaded = http::load_tls(*options.tls); !loaded)
      return tl::unexpected(loaded.error());
  }
  return check_files(options.agents);
}

int serve(const serve_options& options) {
  const auto tokens = api::tokens_path(options.data);
  std::error_code ec;
  const bool with_tokens = std::filesystem::exists(tokens, ec);
  if (!may_listen(options.host, with_tokens)
      || (options.admin && !may_listen(options.admin->host, with_tokens)))
    return cli::exit_status::usage;
  if (const auto fine = check_files(options); !fine)
    return report("cannot start", fine.error(), cli::exit_status::usage);
  keep_memory_private();
  cli::stop_signals stop_signals;
  std::signal(SIGXFSZ, SIG_IGN);  // a file beyond the process's limit is an error of its write

  responders::init_messages();
  auto backend = runtime::open({.data = options.data,
                                .now = {},
                                .journal_tail_bytes = options.journal_tail_bytes,
                                .journal_kept_bytes = options.journal_kept_bytes,
                                .quota_bytes = options.quota_bytes,
                                .reserve_bytes = options.reserve_bytes,
                                .allow_remote_fs = options.allow_remote_fs,
                                .max_live = options.max_live,
                                .idle = options.idle});
  if (!backend)
    return report("cannot open " + options.data.string(), backend.error(),
                  cli::exit_status::of_open(backend.error().code));
  auto agents = make_agents(**backend, options.agents);
  if (!agents)
    return report("cannot start the responder", agents.error(), cli::exit_status::usage);
  const auto responder = agents->answers;
  api::service service{**backend,
                       kernel_random,
                       *std::move(agents),
                       {.name = host_name(),
                        .backups = options.backups,
                        .kept_bytes = options.journal_kept_bytes,
                        .tls = options.tls.has_value()},
                       options.limits,
                       options.quota};
  if (const auto known = service.reload_tokens(tokens); !known)
    return report("cannot read the access tokens", known.error(),
                  cli::exit_status::of_open(known.error().code));
  const auto servers = listeners::start(options, **backend, service);
  if (!servers)
    return report("cannot listen", servers.error(), cli::exit_status::io_failure);

  const int signal = wait_to_stop(stop_signals, service, *servers, options, tokens);
  spdlog::info("stopping on {}: finishing what is in flight",
               signal == SIGTERM ? "SIGTERM" : "SIGINT");
  service.set_draining();
  give_notice(stop_signals, options.drain_notice);
  stop_signals.end_at_next();
  if (!servers->drain(options.drain_timeout))
    spdlog::warn("some connections did not finish within {} ms and are cut",
                 options.drain_timeout.count());
  responder.close();
  (*backend)->close();
  static_cast<void>(servers->drain(last_words));  // what these two refused
  return 0;
}

}  // namespace troupe
