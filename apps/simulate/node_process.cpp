#include "simulate/node_process.hpp"

#include <sys/resource.h>
#include <sys/stat.h>

#include <cerrno>
#include <csignal>
#include <system_error>
#include <thread>
#include <utility>

namespace troupe::simulate {

expected<std::unique_ptr<node_process>> node_process::start(const std::filesystem::path& data,
                                                            std::size_t max_live,
                                                            std::uint64_t idle_s) {
  std::unique_ptr<node_process> out{new node_process{
      {"--log-level", "off", "serve", "--data", data.string(), "--listen", "127.0.0.1:0",
       "--max-live", std::to_string(max_live), "--idle", std::to_string(idle_s)}}};
  if (auto ok = out->run(); !ok)
    return unexpected{ok.error()};
  return out;
}

expected<void> node_process::run() {
  auto child = cli::child_process::start(arguments_);
  if (!child)
    return unexpected{child.error()};
  const std::string prefix = "listening on ";
  const auto line = child->read_line();
  if (!line.starts_with(prefix))
    return fail(errc::store_failed, "the node did not start: " + line);
  const auto at = http::parse_url(line.substr(prefix.size()));
  if (!at)
    return unexpected{at.error()};
  const std::lock_guard lock{mutex_};
  child_ = std::make_unique<cli::child_process>(*std::move(child));
  address_ = *at;
  return {};
}

http::endpoint node_process::address() const {
  const std::lock_guard lock{mutex_};
  return address_;
}

std::optional<int> node_process::pid() const {
  const std::lock_guard lock{mutex_};
  return child_ ? std::optional<int>{child_->pid()} : std::nullopt;
}

expected<double> node_process::kill_and_restart() {
  std::unique_ptr<cli::child_process> old;
  {
    const std::lock_guard lock{mutex_};
    old = std::move(child_);
  }
  if (old) {
    old->kill();
    old->wait();
  }
  const auto begun = std::chrono::steady_clock::now();
  if (auto ok = run(); !ok)
    return unexpected{ok.error()};
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
}

void node_process::pause(std::chrono::milliseconds how_long) {
  const auto who = pid();
  if (!who)
    return;
  ::kill(*who, SIGSTOP);
  std::this_thread::sleep_for(how_long);
  ::kill(*who, SIGCONT);
}

expected<void> node_process::fill_disk(std::chrono::milliseconds how_long) {
  const auto who = pid();
  const auto refused = [] {
    return fail(errc::store_failed,
                "cannot bound the node's files: " + std::generic_category().message(errno));
  };
  if (!who)
    return fail(errc::busy, "the node is away");
  rlimit before{};
  if (::prlimit(*who, RLIMIT_FSIZE, nullptr, &before) != 0)
    return refused();
  const rlimit none{.rlim_cur = 4'096, .rlim_max = before.rlim_max};
  if (::prlimit(*who, RLIMIT_FSIZE, &none, nullptr) != 0)
    return refused();
  std::this_thread::sleep_for(how_long);
  return ::prlimit(*who, RLIMIT_FSIZE, &before, nullptr) == 0 ? expected<void>{} : refused();
}

}  // namespace troupe::simulate
