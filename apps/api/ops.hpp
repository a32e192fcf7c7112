#pragma once

#include <troupe/state/binding.hpp>
#include <troupe/state/commands.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

/// Operations on the key-value state as a body has them: {"op":"add","key":"seats","by":-1}.
namespace troupe::api {

inline constexpr std::uint64_t max_ttl_s = max_number / 1000;  // then: invalid_value
[[nodiscard]] error ttl_beyond(std::string path);

struct op_body {
  std::string op{}, key{};
  std::optional<value> data{}, expected{}, by{};
  std::optional<std::vector<value>> values{};
  std::optional<std::uint64_t> ttl_s{};
  static constexpr auto fields =
      std::tuple{field{"op", &op_body::op},      field{"key", &op_body::key},
                 field{"value", &op_body::data}, field{"expected", &op_body::expected},
                 field{"by", &op_body::by},      field{"values", &op_body::values},
                 field{"ttl_s", &op_body::ttl_s}};
};

/// `path` is where they stand in the body. Errors: `invalid_value`, `unknown_field`, `wrong_type`.
expected<std::vector<state_op>> to_ops(std::vector<op_body> given, const std::string& path);

}  // namespace troupe::api
