#pragma once

#include <troupe/state/value.hpp>

#include "http/client.hpp"
#include "simulate/http_driver.hpp"

#include <string>
#include <unordered_map>

namespace troupe::simulate {

/// One kept-alive connection that speaks Troupe's HTTP API. One thread.
class http_connection final : public connection {
public:
  http_connection(const workload& what, node_address& address, const http_options& options);

  answer perform(const intent& what) override;
  /// Errors: what the node refuses, or that it does not answer.
  expected<contents> read_back(const subject& whom);
  expected<std::string> get(const std::string& target);
  /// As `driver::look`; asks each question once.
  expected<void> look();

private:
  struct step {
    std::string method, target, body;
    int missing_is_fine = 0;  ///< a status that is no refusal
  };

  [[nodiscard]] std::string path(const subject& whom, std::string_view rest = {}) const;
  [[nodiscard]] std::vector<step> steps_of(const intent& what) const;
  [[nodiscard]] std::string items_body(const intent& what) const;
  answer make(const step& what, const intent& of, std::size_t index);
  answer look_up(const intent& what);
  expected<http::response> ask(const step& what, const std::string& key);
  void connect();

  const workload& what_;
  node_address& address_;
  const http_options& options_;
  http::endpoint at_;
  http::client client_;
  std::unordered_map<std::uint64_t, std::string> cache_keys_;
};

}  // namespace troupe::simulate
