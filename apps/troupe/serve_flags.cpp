#include "troupe/serve_flags.hpp"

#include "troupe/options.hpp"
#include <CLI/CLI.hpp>

namespace troupe::cli {

namespace {

std::string not_empty(const std::string& text) {
  return text.empty() ? std::string{"a file has a name"} : std::string{};
}

}  // namespace

void serve_flags::add_to(CLI::App* sub) {
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
  add_limits(sub);
}

void serve_flags::add_limits(CLI::App* sub) {
  const auto add = [sub](const char* name, auto& to, const char* what) {
    sub->add_option(name, to, what)
        ->type_name("N")
        ->check(CLI::Range(std::size_t{0}, std::size_t{1} << 50))
        ->capture_default_str();
  };
  add("--namespace-in-flight", limits_.name_space_in_flight,
      "Requests of one namespace that wait for answers; beyond: 429");
  add("--user-in-flight", limits_.user_in_flight, "Likewise, of one user's tokens");
  add("--namespace-rate", limits_.name_space_rate,
      "Requests a second of one namespace; beyond: 429. 0: any number");
  add("--user-rate", limits_.user_rate, "Likewise, of one user's tokens");
  add("--address-connections", unknown_connections_,
      "Connections of one address that showed no access token yet; beyond: 429. 0: any number");
  add("--user-sessions", quota_.user_sessions,
      "Sessions of one user; beyond: 429 to what makes another. 0: any number");
  add("--namespace-bytes", quota_.name_space_bytes,
      "Bytes of keys, values and items in one namespace; beyond: 409 to what adds. 0: any number");
}

void serve_flags::apply(serve_options& to) const {
  if (!admin_listen_.empty()) {
    const auto at = *parse_listen_address(admin_listen_);
    to.admin = {at.host, at.port};
  }
  to.backups = backups_;
  if (!certificate_.empty())
    to.tls = http::tls_files{certificate_, key_};
  to.unknown_connections = unknown_connections_;
  to.limits = limits_;
  to.quota = quota_;
}

}  // namespace troupe::cli
