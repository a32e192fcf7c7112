#pragma once

#include <troupe/state/binding.hpp>
#include <troupe/state/session.hpp>

#include <cstdint>
#include <tuple>

namespace troupe::api {

/// Tokens used, as usage and earlier revisions tell them.
struct tokens_body {
  std::uint64_t prompt_tokens = 0, completion_tokens = 0, total_tokens = 0;
  static constexpr auto fields =
      std::tuple{field{"prompt_tokens", &tokens_body::prompt_tokens},
                 field{"completion_tokens", &tokens_body::completion_tokens},
                 field{"total_tokens", &tokens_body::total_tokens}};
};

inline tokens_body tokens_of(const usage_counters& x) {
  return {x.prompt_tokens, x.completion_tokens, x.total()};
}

}  // namespace troupe::api
