#pragma once

#include <troupe/state/value.hpp>

#include <concepts>
#include <cstddef>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

/// How a type of yours says what its members are called; binding.hpp reads and writes it by that.
/// All of it is constant data: no registration, no macro.
namespace troupe {

/// A member that must be there, unless it is a std::optional: one without a value is not written,
/// and absent or null is read as one. (A std::optional<value> tells null from absent.)
template <class T, class Member>
struct field {
  std::string_view name;
  Member T::*member;
};
template <class T, class Member>
field(const char*, Member T::*) -> field<T, Member>;

/// A member that keeps what `T{}` gives it when it is absent; always written.
template <class T, class Member>
struct defaulted {
  std::string_view name;
  Member T::*member;
};
template <class T, class Member>
defaulted(const char*, Member T::*) -> defaulted<T, Member>;

/// Holds all members that no field names, as a map, and writes them again; also the null that stood
/// where a std::optional field has no value, written as long as it has none. Without it they are
/// not part of T, and writing a T in place of what was read drops them.
template <class T>
struct other_members {
  value T::*member;
};
template <class T>
other_members(value T::*) -> other_members<T>;

/// The fields of T: its own `T::fields`, or a specialisation for types that are not yours:
///
///     template <>
///     struct troupe::fields_of<point> {
///       static constexpr auto value = std::tuple{troupe::field{"x", &point::x}};
///     };
template <class T>
struct fields_of {};
template <class T>
  requires requires { T::fields; }
struct fields_of<T> {
  static constexpr const auto& value = T::fields;
};

/// An enum's names, by specialisation; each value and each name once.
///
///     template <>
///     struct troupe::names_of<colour> {
///       static constexpr std::pair<colour, std::string_view> value[] = {{colour::red, "red"}};
///     };
template <class Enum>
struct names_of {};

template <class T>
concept described = std::default_initializable<T> && requires { fields_of<T>::value; };
template <class T>
concept named_enum = std::is_enum_v<T> && requires { names_of<T>::value; };

namespace internal {

template <class Field>
inline constexpr bool holds_others = false;
template <class T>
inline constexpr bool holds_others<other_members<T>> = true;
template <class Field>
inline constexpr bool has_default = false;
template <class T, class Member>
inline constexpr bool has_default<defaulted<T, Member>> = true;

/// Calls `visit(field)` for each, as long as it answers true.
template <class T, class F>
constexpr bool for_fields(F&& visit) {
  return std::apply([&](const auto&... fields) { return (visit(fields) && ...); },
                    fields_of<T>::value);
}

template <class T>
[[nodiscard]] constexpr bool is_field(std::string_view name) {
  return !for_fields<T>([&](const auto& one) {
    if constexpr (holds_others<std::remove_cvref_t<decltype(one)>>)
      return true;
    else
      return one.name != name;
  });
}

/// Each name once, and one place at most for the others.
template <class T>
[[nodiscard]] consteval bool fields_are_distinct() {
  std::size_t others = 0, pairs = 0, names = 0;
  for_fields<T>([&](const auto& one) {
    if constexpr (holds_others<std::remove_cvref_t<decltype(one)>>) {
      ++others;
    } else {
      ++names;
      for_fields<T>([&](const auto& two) {
        if constexpr (!holds_others<std::remove_cvref_t<decltype(two)>>)
          pairs += one.name == two.name ? 1u : 0u;
        return true;
      });
    }
    return true;
  });
  return others <= 1 && pairs == names;
}

}  // namespace internal

}  // namespace troupe
