#pragma once

#include "api/access.hpp"
#include "api/admission.hpp"
#include "api/agent.hpp"
#include "api/body_rooms.hpp"
#include "api/live_streams.hpp"
#include "api/quotas.hpp"
#include "api/tokens.hpp"
#include "http/limits.hpp"
#include "http/message.hpp"

#include <cstddef>
#include <filesystem>
#include <memory>
#include <string_view>
#include <utility>

namespace troupe::api {

inline constexpr std::size_t longest_import = 16 << 20;  // bytes; then: 413, as any other body

/// How long a body may be: an import may be longer than what others send.
[[nodiscard]] std::size_t longest_body(std::string_view method, std::string_view target,
                                       const http::limits& bounds);

/// The HTTP API over a runtime: parses, hands typed requests on, shapes the answers. Knows no actor
/// and no socket. Called from any thread; never blocks.
class service {
public:
  /// `random` brings the bits of ids that the node makes. The runtime outlives the service, which
  /// outlives its requests: `responder::close` and `runtime::close` wait for them.
  service(runtime& backend, gate::random_bits random, agent_options agents = {},
          node_settings settings = {}, admission_limits limits = {}, quota_limits quota = {})
      : admission_{limits},
        quotas_{backend, quota},
        agents_{std::move(agents)},
        doors_{backend,  std::move(random), &tokens_,           &streams_,
               &agents_, &quotas_,          std::move(settings)} {}

  /// By which listener a request came. Where there is one for operators, what is theirs is not
  /// there on the other.
  enum class listener { only, clients, operators };
  void operator()(http::request request, http::responder respond, listener by = listener::only);

  // What a server asks by the head of a request, see `http::server_options`.

  /// Whose token it brings, if that holds; of nobody in particular where none is needed.
  [[nodiscard]] std::optional<std::string> peer_of(const http::request& head) const;
  /// Room for its body of so many bytes, or the refusal that the whole request would have been
  /// answered. Who brings no token sends no such body.
  tl::expected<std::shared_ptr<void>, http::response> admit(const http::request& head,
                                                            std::size_t bytes,
                                                            listener by = listener::only);

  /// Reads the access tokens anew and ends the streams of those that do not hold any more. A node
  /// calls it every half second. A file that cannot be read lets nobody in. Errors: `damaged`,
  /// `store_failed`.
  expected<void> reload_tokens(const std::filesystem::path& file);
  /// Once there was a file of tokens, nobody is let in without one.
  [[nodiscard]] bool needs_tokens() const { return tokens_.needed(); }

  /// Deletes the sessions of the agent API that nobody has used for as long as they may be kept. A
  /// node calls it now and then.
  void clean_up_agents();

  /// From now on /readyz answers 503, so that a load balancer looks elsewhere.
  void set_draining() { doors_.set_draining(); }

private:
  struct entrance;
  tl::expected<entrance, http::response> enter(const http::request& request, listener by);
  error why_not(const http::request& request);

  admission admission_;
  body_rooms rooms_;
  quotas quotas_;
  token_table tokens_;
  live_streams streams_;
  agent_desk agents_;
  gate doors_;
};

}  // namespace troupe::api
