#pragma once

#include "api/tokens.hpp"

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

namespace troupe::cli {

struct token_create {
  std::string user{};
  std::string name_space = "default";
  api::role held = api::role::writer;
  std::optional<std::string> expires{};  ///< as `expiry_of` reads it; absent: never
};
struct token_list {};
struct token_revoke {
  std::string id{};
};

/// `troupe token`: access tokens of a store, whether a node runs over it or not.
struct token_command {
  std::filesystem::path data;
  std::variant<token_create, token_list, token_revoke> what{};
};

/// Prints a new token on standard output, once; or the tokens there are, without their secrets.
int token(const token_command& options);

/// "90d", "12h", "30m" from `now` on, or a time as of RFC 3339. Errors: `invalid_value`, in words.
expected<timestamp> expiry_of(std::string_view text, timestamp now);

}  // namespace troupe::cli
