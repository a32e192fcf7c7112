#include "troupe/serve_flags.hpp"

#include "troupe/number_range.hpp"
#include "troupe/options.hpp"
#include <CLI/CLI.hpp>

namespace troupe::cli {

namespace {

std::string not_empty(const std::string& text) {
  return text.empty() ? std::string{"a file has a name"} : std::string{};
}

}  // namespace

void serve_flags::add_to(CLI::App* sub) {
  add_store(sub);
  add_addresses(sub);
  add_limits(sub);
  add_drain(sub);
  add_agent_flags(sub, agents_);
}

void serve_flags::add_store(CLI::App* sub) {
  constexpr std::uint64_t terabyte = 1ULL << 40;
  sub->add_option("--journal-tail", journal_tail_,
                  "Bytes of journal that a start may have to replay; beyond: folded into snapshots")
      ->type_name("BYTES")
      ->check(number_range{64 << 10, 16ULL << 30, "bytes"})
      ->capture_default_str();
  sub->add_option("--journal-kept", journal_kept_,
                  "Bytes of journal kept behind the snapshots; beyond: the oldest is freed")
      ->type_name("BYTES")
      ->check(number_range{0, 1ULL << 50, "bytes"})
      ->capture_default_str();
  sub->add_option("--quota", quota_bytes_,
                  "Bytes the store may take; beyond: 507 to what adds, while reads and deletions "
                  "go on. 0: as many as the disk has")
      ->type_name("BYTES")
      ->check(number_range{8 << 20, terabyte, "bytes", true})
      ->capture_default_str();
  sub->add_option("--reserve", reserve_,
                  "Bytes of quota and disk that are kept for deletions, at most an eighth")
      ->type_name("BYTES")
      ->check(number_range{0, terabyte, "bytes"})
      ->capture_default_str();
  sub->add_option("--max-live", max_live_,
                  "Sessions in memory; beyond: the least lately used hibernate")
      ->type_name("N")
      ->check(number_range{1, 100'000'000, "sessions"})
      ->capture_default_str();
  sub->add_option(
         "--idle", idle_,
         "Seconds, or a time as 10m, without use: then a session hibernates. 0: never for that")
      ->type_name("TIME")
      ->transform(number_range{0, 1'000'000'000, "seconds"})
      ->capture_default_str();
}

void serve_flags::add_addresses(CLI::App* sub) {
  sub->add_option("--admin-listen", admin_listen_,
                  "A second address, for operators: /metrics and /v1/admin answer there only")
      ->type_name("HOST:PORT")
      ->check([](const std::string& text) {
        const auto read = parse_listen_address(text);
        return read ? std::string{} : read.error().message;
      });
  sub->add_option("--backups", backups_,
                  "Directory where POST /v1/admin/backup puts its copies; without: it is refused")
      ->type_name("DIR")
      ->check(not_empty);
  auto* certificate = sub->add_option("--tls-cert", certificate_,
                                      "Certificate chain in PEM: serve over TLS (1.2 or 1.3) only. "
                                      "Read anew on SIGHUP")
                          ->type_name("FILE")
                          ->check(not_empty);
  auto* key = sub->add_option("--tls-key", key_, "Its private key in PEM, with mode 0600")
                  ->type_name("FILE")
                  ->check(not_empty);
  certificate->needs(key);
  key->needs(certificate);
}

void serve_flags::add_limits(CLI::App* sub) {
  const auto add = [sub](const char* name, auto& to, const char* unit, const char* what) {
    sub->add_option(name, to, what)
        ->type_name("N")
        ->check(number_range{0, 1ULL << 50, unit})
        ->capture_default_str();
  };
  add("--namespace-in-flight", limits_.name_space_in_flight, "requests",
      "Requests of one namespace that wait for answers; beyond: 429");
  add("--user-in-flight", limits_.user_in_flight, "requests", "Likewise, of one user's tokens");
  add("--namespace-rate", limits_.name_space_rate, "requests",
      "Requests a second of one namespace; beyond: 429. 0: any number");
  add("--user-rate", limits_.user_rate, "requests", "Likewise, of one user's tokens");
  add("--address-connections", unknown_connections_, "connections",
      "Connections of one address that showed no access token yet; beyond: 429. 0: any number");
  add("--user-connections", user_connections_, "connections",
      "Connections of one user's tokens; beyond: 429. 0: any number");
  add("--user-sessions", quota_.user_sessions, "sessions",
      "Sessions of one user; beyond: 429 to what makes another. 0: any number. Counts with access "
      "tokens only");
  add("--namespace-bytes", quota_.name_space_bytes, "bytes",
      "Bytes of keys, values and items in one namespace; beyond: 409 to what adds. 0: any number");
}

void serve_flags::add_drain(CLI::App* sub) {
  sub->add_option("--drain-notice", drain_notice_,
                  "Seconds that a stopping node goes on while /readyz says 503, so that load "
                  "balancers look elsewhere; a second signal ends them")
      ->type_name("TIME")
      ->transform(number_range{0, 3'600, "seconds"})
      ->capture_default_str();
  sub->add_option("--drain-timeout", drain_timeout_,
                  "Seconds that it then waits for requests in flight; beyond: they are cut. One "
                  "more signal ends the process at once; a repeat within a second is none")
      ->type_name("TIME")
      ->transform(number_range{1, 3'600, "seconds"})
      ->capture_default_str();
}

void serve_flags::apply(serve_options& to) const {
  require_responder(agents_);
  to.journal_tail_bytes = journal_tail_;
  to.journal_kept_bytes = journal_kept_;
  to.quota_bytes = quota_bytes_;
  to.reserve_bytes = reserve_;
  to.max_live = max_live_;
  to.idle = std::chrono::seconds{idle_};
  to.drain_notice = std::chrono::seconds{drain_notice_};
  to.drain_timeout = std::chrono::seconds{drain_timeout_};
  to.agents = agents_;
  if (!admin_listen_.empty()) {
    const auto at = *parse_listen_address(admin_listen_);
    to.admin = {at.host, at.port};
  }
  to.backups = backups_;
  if (!certificate_.empty())
    to.tls = http::tls_files{certificate_, key_};
  to.unknown_connections = unknown_connections_;
  to.user_connections = user_connections_;
  to.limits = limits_;
  to.quota = quota_;
}

}  // namespace troupe::cli
