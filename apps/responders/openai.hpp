#pragma once

#include "responders/responder.hpp"

#include <chrono>
#include <cstddef>
#include <string>

namespace troupe::responders {

struct openai_options {
  std::string url{};      ///< of the API, without "/chat/completions": "https://api.openai.com/v1"
  std::string model{};    ///< as the endpoint names it
  std::string key{};      ///< sent as a bearer token; empty: none is
  std::string ca_file{};  ///< certificates to trust; empty: the system's
  std::chrono::milliseconds timeout{120'000};  ///< for one answer, repeats and all; then:
                                               ///< `responder_timeout`
  std::chrono::milliseconds connect_timeout{10'000};
  unsigned attempts = 4;                       ///< then: `responder_failed`
  std::chrono::milliseconds first_pause{500};  ///< doubled each time, unless the endpoint says how
                                               ///< long; a pause that ends beyond the timeout is
                                               ///< not waited for
  std::size_t parallel = 1'024;                ///< answers under way; then: `busy`
};

/// Asks any OpenAI-compatible chat completions endpoint, streamed. Repeats after 429 and 503, and
/// where no connection was made; never once it has heard a part of an answer.
responder spawn_openai(const runtime& of, openai_options options);

}  // namespace troupe::responders
