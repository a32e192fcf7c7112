#pragma once

#include <troupe/state/fields.hpp>
#include <troupe/state/time.hpp>
#include <troupe/state/value.hpp>

#include <array>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

/// C++ types as values: `to_value(x)` and `from_value<T>(v)`, pure and without macros.
///
/// Bindable are bool, every integer type (but not the character types), double, std::string,
/// `value` itself, `timestamp` and `sys_time<milliseconds>` (RFC 3339 text), `milliseconds` (an
/// integer), enums with names, std::optional, std::vector, std::map<std::string, T>, and types of
/// your own, which say what their members are called:
///
///     struct turn {
///       std::string text;
///       std::optional<int> score;
///       static constexpr auto fields =
///           std::tuple{troupe::field{"text", &turn::text}, troupe::field{"score", &turn::score}};
///     };
///
/// What goes out comes back: `from_value<T>(to_value(x)) == x`. Nothing is converted on the way in:
/// a real is no integer and 1 no real, since a program that writes it back would turn one into the
/// other for everybody else. (A member that others write as either is a `value`.) `float` and
/// coarser or finer times are no fields, because they would lose digits.
namespace troupe {

/// How a T is written and read. Specialise it only for what `fields_of` and `names_of` cannot say.
template <class T>
struct binding;

/// What a reader does with a member that T does not have: skip it, or answer `unknown_field`.
enum class unknown_members : std::uint8_t { ignored, refused };

template <class T>
concept bindable = requires(value_writer& out, const T& x, value_view v) {
  binding<T>::write(out, x);
  { binding<T>::read(v, unknown_members::ignored) } -> std::same_as<expected<T>>;
};

// Using it
// ------------------------------------------------------------------------------------------------

/// Total. What cannot be kept (text that is not UTF-8, a NaN) is refused by the command that is to
/// keep it. An enumerator without a name is written as null.
template <bindable T>
[[nodiscard]] value to_value(const T& x) {
  value_writer out;
  binding<T>::write(out, x);
  return out.finish();
}

/// Errors, each with the path below `x` ("/turns/3/text") and what was expected and found:
/// `wrong_type` (of another type, or a member is absent), `invalid_value` (an integer out of the
/// type's range, a name that the enum does not have, text that is no time), `unknown_field`.
template <bindable T>
[[nodiscard]] expected<T> from_value(value_view x,
                                     unknown_members unknown = unknown_members::ignored) {
  return binding<T>::read(x, unknown);
}

// How it is done
// ------------------------------------------------------------------------------------------------

namespace internal {

/// "an integer is expected, found a real"
[[nodiscard]] unexpected wrong_type(std::string_view wanted, value_view found);
[[nodiscard]] unexpected out_of_range(std::int64_t least, std::uint64_t most, value_view found);
[[nodiscard]] unexpected unknown_name(const std::vector<std::string_view>& names, value_view found);
/// Puts a step before the path of an error from below.
[[nodiscard]] unexpected inside(error below, std::string_view member);
[[nodiscard]] unexpected absent(std::string_view member);
[[nodiscard]] unexpected unknown_member(std::string_view member);
[[nodiscard]] unexpected no_key(std::string_view name);
[[nodiscard]] expected<timestamp> time_from(value_view x);

template <class T>
inline constexpr bool is_optional = false;
template <class T>
inline constexpr bool is_optional<std::optional<T>> = true;

template <class T, class... Us>
inline constexpr bool is_one_of = (std::same_as<T, Us> || ...);

/// Of at most 64 bits; characters are no numbers.
template <class T>
concept integer = (std::integral<T> && sizeof(T) <= 8)
                  && !is_one_of<T, bool, char, wchar_t, char8_t, char16_t, char32_t>;

}  // namespace internal

template <>
struct binding<bool> {
  static void write(value_writer& out, bool x) { out.boolean(x); }
  static expected<bool> read(value_view x, unknown_members) {
    if (const auto held = x.as_bool())
      return *held;
    return internal::wrong_type("a boolean", x);
  }
};

template <internal::integer T>
struct binding<T> {
  static void write(value_writer& out, T x) {
    if (x < T{})
      out.integer(static_cast<std::int64_t>(x));
    else
      out.unsigned_integer(static_cast<std::uint64_t>(x));
  }
  static expected<T> read(value_view x, unknown_members) {
    if (x.type() != value_type::integer)
      return internal::wrong_type("an integer", x);
    if (const auto held = x.as_int64(); held && std::in_range<T>(*held))
      return static_cast<T>(*held);
    if (const auto held = x.as_uint64(); held && std::in_range<T>(*held))
      return static_cast<T>(*held);
    return internal::out_of_range(static_cast<std::int64_t>(std::numeric_limits<T>::min()),
                                  static_cast<std::uint64_t>(std::numeric_limits<T>::max()), x);
  }
};

template <>
struct binding<double> {
  static void write(value_writer& out, double x) { out.real(x); }
  static expected<double> read(value_view x, unknown_members) {
    if (const auto held = x.as_real())
      return *held;
    return internal::wrong_type("a real", x);
  }
};

template <>
struct binding<std::string> {
  static void write(value_writer& out, const std::string& x) { out.string(x); }
  static expected<std::string> read(value_view x, unknown_members) {
    if (const auto held = x.as_string())
      return std::string{*held};
    return internal::wrong_type("a string", x);
  }
};

template <>
struct binding<value> {
  static void write(value_writer& out, const value& x) { out.raw(x); }
  static expected<value> read(value_view x, unknown_members) { return value{x}; }
};

template <>
struct binding<timestamp> {
  static void write(value_writer& out, timestamp x) { out.string(rfc3339_text{x}); }
  static expected<timestamp> read(value_view x, unknown_members) { return internal::time_from(x); }
};

template <>
struct binding<std::chrono::sys_time<std::chrono::milliseconds>> {
  using time = std::chrono::sys_time<std::chrono::milliseconds>;
  static void write(value_writer& out, time x) {
    out.string(rfc3339_text{timestamp{x.time_since_epoch().count()}});
  }
  static expected<time> read(value_view x, unknown_members) {
    return internal::time_from(x).map(
        [](timestamp at) { return time{std::chrono::milliseconds{at.ms}}; });
  }
};

template <>
struct binding<std::chrono::milliseconds> {
  static void write(value_writer& out, std::chrono::milliseconds x) {
    binding<std::int64_t>::write(out, x.count());
  }
  static expected<std::chrono::milliseconds> read(value_view x, unknown_members unknown) {
    return binding<std::int64_t>::read(x, unknown).map([](std::int64_t ms) {
      return std::chrono::milliseconds{ms};
    });
  }
};

template <named_enum T>
struct binding<T> {
  static void write(value_writer& out, T x) {
    for (const auto& [held, name] : names_of<T>::value) {
      if (held == x) {
        out.string(name);
        return;
      }
    }
    out.null();
  }
  static expected<T> read(value_view x, unknown_members) {
    const auto text = x.as_string();
    if (!text)
      return internal::wrong_type("a string", x);
    std::vector<std::string_view> names;
    for (const auto& [held, name] : names_of<T>::value) {
      if (name == *text)
        return held;
      names.push_back(name);
    }
    return internal::unknown_name(names, x);
  }
};

template <bindable T>
  requires(!internal::is_optional<T>)  // null could be either
struct binding<std::optional<T>> {
  static void write(value_writer& out, const std::optional<T>& x) {
    if (x)
      binding<T>::write(out, *x);
    else
      out.null();
  }
  static expected<std::optional<T>> read(value_view x, unknown_members unknown) {
    if (x.is_null())
      return std::optional<T>{};
    return binding<T>::read(x, unknown).map([](T held) { return std::optional{std::move(held)}; });
  }
};

template <bindable T>
struct binding<std::vector<T>> {
  static void write(value_writer& out, const std::vector<T>& x) {
    out.begin_array(x.size());
    for (const auto& item : x)
      binding<T>::write(out, item);
  }
  static expected<std::vector<T>> read(value_view x, unknown_members unknown) {
    if (x.type() != value_type::array)
      return internal::wrong_type("an array", x);
    std::vector<T> out;
    for (auto at = x.children(); at.next();) {
      auto item = binding<T>::read(at.item(), unknown);
      if (!item)
        return internal::inside(std::move(item.error()), std::to_string(out.size()));
      out.push_back(*std::move(item));
    }
    return out;
  }
};

template <bindable T, class Less>
struct binding<std::map<std::string, T, Less>> {
  using map = std::map<std::string, T, Less>;
  static void write(value_writer& out, const map& x) {
    out.begin_map(x.size());
    for (const auto& [name, item] : x) {
      out.string(name);
      binding<T>::write(out, item);
    }
  }
  static expected<map> read(value_view x, unknown_members unknown) {
    if (x.type() != value_type::map)
      return internal::wrong_type("an object", x);
    map out;
    for (auto at = x.children(); at.next();) {
      auto item = binding<T>::read(at.item(), unknown);
      if (!item)
        return internal::inside(std::move(item.error()), at.key());
      out.emplace(at.key(), *std::move(item));
    }
    return out;
  }
};

namespace internal {

/// A described type from and to anything that has members by name: a map, or a scope's keys.
/// `find(name)` answers std::optional<value_view>.
template <described T, class Find>
expected<T> read_fields(Find&& find, unknown_members unknown) {
  static_assert(fields_are_distinct<T>(), "two fields have the same name");
  T out{};
  std::optional<error> failed;
  const auto read = [&](const auto& one) {
    using kind = std::remove_cvref_t<decltype(one)>;
    if constexpr (!holds_others<kind>) {
      auto& place = out.*one.member;
      using member = std::remove_reference_t<decltype(place)>;
      static_assert(bindable<member>, "this member's type has no binding");
      const std::optional<value_view> found = find(one.name);
      if (!found) {
        if constexpr (!is_optional<member> && !has_default<kind>)
          failed = absent(one.name).value();
      } else if constexpr (std::same_as<member, std::optional<value>>) {
        place = value{*found};
      } else if (auto held = binding<member>::read(*found, unknown)) {
        place = *std::move(held);
      } else {
        failed = inside(std::move(held.error()), one.name).value();
      }
    }
    return !failed;
  };
  if (!for_fields<T>(read))
    return tl::unexpected(*std::move(failed));
  return out;
}

/// A std::optional field without a value; one of `value` tells null from absent by itself.
template <described T>
[[nodiscard]] bool is_empty_optional(const T& x, std::string_view name) {
  bool empty = false;
  for_fields<T>([&](const auto& one) {
    if constexpr (!holds_others<std::remove_cvref_t<decltype(one)>>) {
      if constexpr (is_optional<std::remove_cvref_t<decltype(x.*one.member)>>)
        empty = empty || (one.name == name && !(x.*one.member).has_value());
    }
    return true;
  });
  return empty;
}

template <described T>
[[nodiscard]] consteval bool keeps_others() {
  return !for_fields<T>(
      [](const auto& one) { return !holds_others<std::remove_cvref_t<decltype(one)>>; });
}

/// What `other_members` holds: what no field names, and the null of an optional that has no value.
template <described T>
[[nodiscard]] bool is_other(const T& x, std::string_view name, value_view item) {
  return !is_field<T>(name) || (keeps_others<T>() && item.is_null() && is_empty_optional(x, name));
}

/// Calls `write(name, value_view)` for each other member.
template <described T, class F>
void for_others(const T& x, F&& write) {
  for_fields<T>([&](const auto& one) {
    if constexpr (holds_others<std::remove_cvref_t<decltype(one)>>) {
      if ((x.*one.member).type() == value_type::map) {
        for (auto at = (x.*one.member).view().children(); at.next();) {
          if (is_other(x, at.key(), at.item()))
            write(at.key(), at.item());
        }
      }
    }
    return true;
  });
}

/// Takes up what no field names, or refuses it. `visit_all(f)` calls `f(name, value_view)` for each
/// member there is.
template <described T, class VisitAll>
expected<void> read_others(T& out, VisitAll&& visit_all, unknown_members unknown) {
  std::vector<std::pair<std::string_view, value_view>> others;
  visit_all([&](std::string_view name, value_view item) {
    if (is_other(out, name, item))
      others.emplace_back(name, item);
  });
  for_fields<T>([&](const auto& one) {
    if constexpr (holds_others<std::remove_cvref_t<decltype(one)>>) {
      value_writer map;
      map.begin_map(others.size());
      for (const auto& [name, item] : others)
        map.string(name).raw(item);
      out.*one.member = map.finish();
    }
    return true;
  });
  if (!keeps_others<T>() && unknown == unknown_members::refused && !others.empty())
    return unknown_member(others.front().first);
  return {};
}

template <described T>
void write_members(value_writer& out, const T& x) {
  static_assert(fields_are_distinct<T>(), "two fields have the same name");
  const auto is_there = [&](const auto& one) {
    using kind = std::remove_cvref_t<decltype(one)>;
    if constexpr (holds_others<kind>)
      return false;
    else if constexpr (is_optional<std::remove_cvref_t<decltype(x.*one.member)>>)
      return (x.*one.member).has_value();
    else
      return true;
  };
  std::size_t size = 0;
  for_fields<T>([&](const auto& one) {
    size += is_there(one) ? 1u : 0u;
    return true;
  });
  for_others(x, [&](std::string_view, value_view) { ++size; });
  out.begin_map(size);
  for_fields<T>([&](const auto& one) {
    if constexpr (!holds_others<std::remove_cvref_t<decltype(one)>>) {
      if (is_there(one)) {
        out.string(one.name);
        binding<std::remove_cvref_t<decltype(x.*one.member)>>::write(out, x.*one.member);
      }
    }
    return true;
  });
  for_others(x, [&](std::string_view name, value_view item) { out.string(name).raw(item); });
}

/// As `read_fields`, with what else the map has.
template <described T, class Find>
expected<T> read_members(value_view x, unknown_members unknown, Find&& find) {
  if (x.type() != value_type::map)
    return wrong_type("an object", x);
  auto out = read_fields<T>(find, unknown);
  if (!out)
    return out;
  const auto all = [&](auto&& visit) {
    for (auto at = x.children(); at.next();)
      visit(at.key(), at.item());
  };
  if (auto ok = read_others(*out, all, unknown); !ok)
    return tl::unexpected(std::move(ok.error()));
  return out;
}

}  // namespace internal

template <described T>
struct binding<T> {
  static void write(value_writer& out, const T& x) { internal::write_members(out, x); }
  static expected<T> read(value_view x, unknown_members unknown) {
    return internal::read_members<T>(x, unknown,
                                     [&](std::string_view name) { return x.find(name); });
  }
};

}  // namespace troupe
