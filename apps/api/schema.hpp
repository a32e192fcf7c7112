#pragma once

#include <troupe/state/binding.hpp>

#include <string>
#include <type_traits>

/// JSON Schema of the types that bodies and answers are read from and written by, so that what
/// `/openapi.json` says of a body is what the code does with it.
namespace troupe::api {

template <class T>
[[nodiscard]] std::string schema_of();

/// How a row of the route table names a schema; null: there is no body.
using schema_function = std::string (*)();

/// Text, or null where there is none: a member that is always written.
struct nullable_text {
  std::optional<std::string> text{};
};

namespace internal {

template <class T>
inline constexpr bool is_vector = false;
template <class T>
inline constexpr bool is_vector<std::vector<T>> = true;
template <class T>
inline constexpr bool is_text_map = false;
template <class T, class Less>
inline constexpr bool is_text_map<std::map<std::string, T, Less>> = true;

/// {"type":"object","properties":{...},"required":[...],"additionalProperties":false}
template <described T>
std::string object_schema() {
  std::string members, required;
  bool open = false;
  troupe::internal::for_fields<T>([&](const auto& one) {
    using kind = std::remove_cvref_t<decltype(one)>;
    if constexpr (troupe::internal::holds_others<kind>) {
      open = true;
    } else {
      using member = std::remove_cvref_t<decltype(std::declval<T&>().*one.member)>;
      const auto name = '"' + std::string{one.name} + '"';
      members += (members.empty() ? "" : ",") + name + ':' + schema_of<member>();
      if constexpr (!troupe::internal::is_optional<member> && !troupe::internal::has_default<kind>)
        required += (required.empty() ? "" : ",") + name;
    }
    return true;
  });
  std::string out = R"({"type":"object","properties":{)" + members + '}';
  if (!required.empty())
    out += R"(,"required":[)" + required + ']';
  return out + (open ? "}" : R"(,"additionalProperties":false})");
}

template <named_enum T>
std::string enum_schema() {
  std::string names;
  for (const auto& [held, name] : names_of<T>::value)
    names += (names.empty() ? "\"" : ",\"") + std::string{name} + '"';
  return R"({"type":"string","enum":[)" + names + "]}";
}

}  // namespace internal

template <class T>
std::string schema_of() {
  using namespace troupe::internal;
  if constexpr (std::same_as<T, bool>)
    return R"({"type":"boolean"})";
  else if constexpr (integer<T>)
    return std::is_unsigned_v<T> ? R"({"type":"integer","minimum":0})" : R"({"type":"integer"})";
  else if constexpr (std::same_as<T, double>)
    return R"({"type":"number"})";
  else if constexpr (std::same_as<T, std::string>)
    return R"({"type":"string"})";
  else if constexpr (std::same_as<T, nullable_text>)
    return R"({"type":["string","null"]})";
  else if constexpr (std::same_as<T, timestamp>)
    return R"({"type":"string","format":"date-time"})";
  else if constexpr (std::same_as<T, value>)
    return "{}";
  else if constexpr (is_optional<T>)
    return schema_of<typename T::value_type>();
  else if constexpr (internal::is_vector<T>)
    return R"({"type":"array","items":)" + schema_of<typename T::value_type>() + '}';
  else if constexpr (internal::is_text_map<T>)
    return R"({"type":"object","additionalProperties":)" + schema_of<typename T::mapped_type>()
           + '}';
  else if constexpr (named_enum<T>)
    return internal::enum_schema<T>();
  else
    return internal::object_schema<T>();
}

/// A JSON object with any members.
struct any_object {
  value members = value::map({});
  static constexpr auto fields = std::tuple{other_members{&any_object::members}};
};

}  // namespace troupe::api

template <>
struct troupe::binding<troupe::api::nullable_text> {
  static void write(value_writer& out, const api::nullable_text& x) {
    if (x.text)
      out.string(*x.text);
    else
      out.null();
  }
  static expected<api::nullable_text> read(value_view x, unknown_members) {
    if (x.is_null())
      return api::nullable_text{};
    if (const auto text = x.as_string())
      return api::nullable_text{std::string{*text}};
    return internal::wrong_type("a string or null", x);
  }
};
