#include "api/ops.hpp"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

namespace troupe::api {

namespace {

/// Which members an operation has beside "op" and "key".
struct op_shape {
  std::string_view name;
  bool data, expected, by, values, ttl;
};
constexpr op_shape op_shapes[] = {
    {"set", true, false, false, false, true},     {"delete", false, false, false, false, false},
    {"add", false, false, true, false, false},    {"union", false, false, false, true, false},
    {"append", false, false, false, true, false}, {"cas", true, true, false, false, false},
};

expected<state_op> to_op(op_body x, const std::string& path) {
  const auto* shape = std::ranges::find(op_shapes, std::string_view{x.op}, &op_shape::name);
  if (shape == std::end(op_shapes))
    return fail(errc::invalid_value, "one of set, delete, add, union, append and cas is expected",
                path + "/op");
  const std::pair<const char*, std::array<bool, 3>> members[] = {
      // what the operation has, whether it must be there, whether it is
      {"value", {shape->data, shape->data, x.data.has_value()}},
      {"expected", {shape->expected, false, x.expected.has_value()}},
      {"by", {shape->by, shape->by, x.by.has_value()}},
      {"values", {shape->values, shape->values, x.values.has_value()}},
      {"ttl_s", {shape->ttl, false, x.ttl_s.has_value()}}};
  for (const auto& [name, is] : members) {
    if (is[2] && !is[0])
      return fail(errc::unknown_field, '`' + x.op + "` has no such field",
                  path + '/' + std::string{name});
    if (is[1] && !is[2])
      return fail(errc::wrong_type, '`' + std::string{name} + "` is missing",
                  path + '/' + std::string{name});
  }
  if (x.ttl_s.value_or(0) > max_ttl_s)
    return tl::unexpected(ttl_beyond(path + "/ttl_s"));
  auto key = std::move(x.key);
  if (x.op == "set")
    return set_key{.key = std::move(key),
                   .data = *std::move(x.data),
                   .ttl_ms = x.ttl_s ? std::optional{*x.ttl_s * 1000} : std::nullopt};
  if (x.op == "delete")
    return delete_key{.key = std::move(key)};
  if (x.op == "add")
    return add_to{std::move(key), *std::move(x.by)};
  if (x.op == "union")
    return union_with{std::move(key), *std::move(x.values)};
  if (x.op == "append")
    return append_to{std::move(key), *std::move(x.values)};
  return compare_and_set{std::move(key), std::move(x.expected), *std::move(x.data)};
}

}  // namespace

error ttl_beyond(std::string path) {
  return {.code = errc::invalid_value,
          .message = "a time to live is longer than what a time holds",
          .path = std::move(path),
          .limit = max_ttl_s};
}

expected<std::vector<state_op>> to_ops(std::vector<op_body> given, const std::string& path) {
  std::vector<state_op> out;
  for (auto& op : given) {
    auto decoded = to_op(std::move(op), path + '/' + std::to_string(out.size()));
    if (!decoded)
      return tl::unexpected(std::move(decoded.error()));
    out.push_back(*std::move(decoded));
  }
  return out;
}

}  // namespace troupe::api
