#pragma once

#include <troupe/state/binding.hpp>
#include <troupe/state/commands.hpp>
#include <troupe/state/inherit.hpp>
#include <troupe/state/schema.hpp>

#include <concepts>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

/// Key-value state by type. A key says once what stands under it; reads answer that type or say
/// what is wrong, writes are operations for a command:
///
///     inline constexpr troupe::key<int> attempts{"attempts"};
///     auto n = troupe::get_or(state, attempts, now, 0);
///     command{ref, {patch_state{{troupe::set(attempts, *n + 1)}}}};
///
/// Reads are pure and cost a look-up. What another program wrote may be of any type, unless the
/// entity follows a schema made with `schema_keys`. Expired keys are absent.
///
/// `find` (entity.hpp), `get` and `get_all` read what is stored, in the version it was written in.
/// Only `schema_registry::read` applies migrations and refuses schemas that this host does not
/// know; the overloads of `get` and `get_all` that take a registry read through it.
namespace troupe {

/// A name in the key-value state and the type of what it holds.
template <bindable T>
struct key {
  std::string_view name;
};

namespace internal {

template <class T>
inline constexpr bool is_vector = false;
template <class T>
inline constexpr bool is_vector<std::vector<T>> = true;

template <class To, class From>
inline constexpr bool takes = [] {
  using from = std::remove_cvref_t<From>;
  if constexpr (std::same_as<from, To>)
    return true;
  else if constexpr (std::same_as<To, bool> || named_enum<To>)
    return false;
  else if constexpr (integer<To>)
    return integer<from>;
  else if constexpr (std::floating_point<To>)
    return std::same_as<from, float>;
  else if constexpr (std::same_as<To, std::string>)
    return std::convertible_to<From, std::string_view> && !std::same_as<from, std::nullptr_t>;
  else if constexpr (is_optional<To>)
    return std::same_as<from, std::nullopt_t> || takes<typename To::value_type, From>;
  else
    return std::convertible_to<From, To>;
}();

/// An integer as it is, whatever its type; all else by way of a T.
template <class T, class X>
[[nodiscard]] value value_of(X&& x) {
  using from = std::remove_cvref_t<X>;
  if constexpr (integer<from>)
    return to_value(x);
  else if constexpr (std::same_as<from, T>)
    return to_value(x);
  else if constexpr (std::same_as<T, std::string>)
    return value{std::string_view{x}};
  else
    return to_value(T(std::forward<X>(x)));
}

}  // namespace internal

/// What may be given for a key of T without loss or surprise: a T; any integer for an integer;
/// anything like a string for a string; never a real or a bool for an integer.
template <class X, class T>
concept settable_as = internal::takes<T, X>;

// One key
// ------------------------------------------------------------------------------------------------

/// As stored. Errors: `not_found` (absent or expired; a key of std::optional answers an empty one
/// instead), those of `from_value` with the key at the front of the path.
template <class T>
[[nodiscard]] expected<T> get(const entity_state& state, const key<T>& which, timestamp now,
                              unknown_members unknown = unknown_members::ignored) {
  const auto* held = find(state, section::state, which.name, now);
  if (!held) {
    if constexpr (internal::is_optional<T>)
      return T{};
    else
      return internal::no_key(which.name);
  }
  auto out = from_value<T>(held->data, unknown);
  if (!out)
    return internal::inside(std::move(out.error()), which.name);
  return out;
}

/// As `get`, in the newest version of the schema that the entity follows. Costs a pass over the
/// whole state. Errors: also those of `schema_registry::read`; `unknown_schema` hides every key.
template <class T>
[[nodiscard]] expected<T> get(const schema_registry& schemas, const entity_state& state,
                              const key<T>& which, timestamp now,
                              unknown_members unknown = unknown_members::ignored) {
  const auto migrated = schemas.read(state, now);
  if (!migrated)
    return tl::unexpected(migrated.error());
  const auto held = migrated->view().find(which.name);
  if (!held) {
    if constexpr (internal::is_optional<T>)
      return T{};
    else
      return internal::no_key(which.name);
  }
  auto out = from_value<T>(*held, unknown);
  if (!out)
    return internal::inside(std::move(out.error()), which.name);
  return out;
}

/// From the nearest scope that has the key, as stored; see inherit.hpp.
template <class T>
[[nodiscard]] expected<T> get(std::span<const scope_view> chain, const key<T>& which,
                              timestamp now) {
  for (const auto& scope : chain) {
    if (scope.state && find(*scope.state, section::state, which.name, now))
      return get(*scope.state, which, now);
  }
  return get(entity_state{}, which, now);
}

/// The fallback only where the key is absent: a value of the wrong type stays an error, since
/// writing over it would destroy it.
template <class T>
[[nodiscard]] expected<T> get_or(const entity_state& state, const key<T>& which, timestamp now,
                                 std::type_identity_t<T> fallback) {
  if (!find(state, section::state, which.name, now))
    return fallback;
  return get(state, which, now);
}

/// What `set_options::expected_revision` compares with; 0 when the key is absent.
template <class T>
[[nodiscard]] std::uint64_t revision_of(const entity_state& state, const key<T>& which,
                                        timestamp now) {
  const auto* held = find(state, section::state, which.name, now);
  return held ? held->revision : 0;
}

struct set_options {
  std::optional<std::uint64_t> ttl_ms{};             ///< from the command's time on; none: for ever
  std::optional<std::uint64_t> expected_revision{};  ///< of the key, 0: it is absent
};

/// An integer is kept as it is and never wrapped; one that T cannot hold is refused by a schema, or
/// by the next `get`.
template <class T, class X = T>
  requires settable_as<X, T>
[[nodiscard]] set_key set(const key<T>& which, X&& x, set_options options = {}) {
  return {.key = std::string{which.name},
          .data = internal::value_of<T>(std::forward<X>(x)),
          .ttl_ms = options.ttl_ms,
          .expected_revision = options.expected_revision};
}

template <class T>
[[nodiscard]] delete_key unset(const key<T>& which,
                               std::optional<std::uint64_t> expected_revision = {}) {
  return {std::string{which.name}, expected_revision};
}

/// Sets the key if it holds just `before`, else `cas_mismatch`.
template <class T, class X = T, class Y = T>
  requires(settable_as<X, T> && settable_as<Y, T>)
[[nodiscard]] compare_and_set set_if(const key<T>& which, X&& before, Y&& after) {
  return {std::string{which.name}, internal::value_of<T>(std::forward<X>(before)),
          internal::value_of<T>(std::forward<Y>(after))};
}

/// Sets the key if it is absent, else `cas_mismatch`.
template <class T, class X = T>
  requires settable_as<X, T>
[[nodiscard]] compare_and_set set_if_absent(const key<T>& which, X&& x) {
  return {std::string{which.name}, std::nullopt, internal::value_of<T>(std::forward<X>(x))};
}

/// Numbers only; see `add_to`.
template <class T, class X = T>
  requires((internal::integer<T> || std::same_as<T, double>) && settable_as<X, T>)
[[nodiscard]] add_to add(const key<T>& which, X&& by) {
  return {std::string{which.name}, internal::value_of<T>(std::forward<X>(by))};
}

/// Arrays only; see `append_to`.
template <class T, class X = T>
  requires settable_as<X, T>
[[nodiscard]] append_to append(const key<std::vector<T>>& which, X&& item) {
  return {std::string{which.name}, {internal::value_of<T>(std::forward<X>(item))}};
}

// A whole scope as one type: each field is a key
// ------------------------------------------------------------------------------------------------

/// As stored. Errors: as `from_value`; a field whose key is absent is an absent member.
template <described T>
[[nodiscard]] expected<T> get_all(const entity_state& state, timestamp now,
                                  unknown_members unknown = unknown_members::ignored) {
  auto out = internal::read_fields<T>(
      [&](std::string_view name) -> std::optional<value_view> {
        const auto* held = find(state, section::state, name, now);
        return held ? std::optional{held->data.view()} : std::nullopt;
      },
      unknown);
  if (!out)
    return out;
  const auto all = [&](auto&& visit) {
    for_each_entry(state, section::state, now,
                   [&](std::string_view name, const entry& e) { visit(name, e.data.view()); });
  };
  if (auto ok = internal::read_others(*out, all, unknown); !ok)
    return tl::unexpected(std::move(ok.error()));
  return out;
}

/// As `get_all`, in the newest version of the schema that the entity follows. Errors: also those of
/// `schema_registry::read`.
template <described T>
[[nodiscard]] expected<T> get_all(const schema_registry& schemas, const entity_state& state,
                                  timestamp now,
                                  unknown_members unknown = unknown_members::ignored) {
  return schemas.read(state, now).and_then([&](const value& migrated) {
    return from_value<T>(migrated, unknown);
  });
}

/// Sets every field's key; an empty optional deletes its key. Keys that T does not have stay.
template <described T>
[[nodiscard]] patch_state set_all(const T& x) {
  const auto map = to_value(x);
  patch_state out;
  for (auto at = map.view().children(); at.next();)
    out.ops.emplace_back(set_key{.key = std::string{at.key()}, .data = value{at.item()}});
  internal::for_fields<T>([&](const auto& one) {
    if constexpr (!internal::holds_others<std::remove_cvref_t<decltype(one)>>) {
      if (!map.view().find(one.name))
        out.ops.emplace_back(delete_key{.key = std::string{one.name}});
    }
    return true;
  });
  return out;
}

/// As `set_all`, but only what differs from `state`, and only if nobody changed those keys since:
/// else `cas_mismatch` and nothing is written. A key that stays keeps its expiry.
template <described T>
[[nodiscard]] patch_state set_changes(const entity_state& state, const T& x, timestamp now) {
  patch_state out;
  for (auto& op : set_all(x).ops) {
    std::visit(
        [&]<class Op>(Op& one) {
          if constexpr (std::same_as<Op, set_key> || std::same_as<Op, delete_key>) {
            const auto* held = find(state, section::state, one.key, now);
            one.expected_revision = held ? held->revision : 0;
            if constexpr (std::same_as<Op, set_key>) {
              if (!held || !(held->data == one.data))
                out.ops.emplace_back(std::move(one));
            } else if (held) {
              out.ops.emplace_back(std::move(one));
            }
          }
        },
        op);
  }
  return out;
}

// Schemas: the same types, enforced for every writer
// ------------------------------------------------------------------------------------------------

/// The type of `schema_version::keys`.
using key_checkers = std::map<std::string, std::function<expected<void>(value_view)>, std::less<>>;

/// `schema_version{.version = 1, .keys = schema_keys<settings>()}`: entities that follow the schema
/// take values of these types only, from C++ and over HTTP alike, else `invalid_by_schema` with the
/// path and what was expected. Other keys stay free; a key may be absent.
template <described T>
[[nodiscard]] key_checkers schema_keys(unknown_members unknown = unknown_members::ignored) {
  key_checkers out;
  internal::for_fields<T>([&](const auto& one) {
    if constexpr (!internal::holds_others<std::remove_cvref_t<decltype(one)>>) {
      using member = std::remove_cvref_t<decltype(std::declval<T&>().*one.member)>;
      out.emplace(one.name, [unknown](value_view x) {
        return from_value<member>(x, unknown).map([](const auto&) {});
      });
    }
    return true;
  });
  return out;
}

/// `schema_keys(attempts, title)`: the same from single keys.
template <class... T>
[[nodiscard]] key_checkers schema_keys(const key<T>&... keys) {
  key_checkers out;
  (out.emplace(keys.name, [](value_view x) { return from_value<T>(x).map([](const auto&) {}); }),
   ...);
  return out;
}

}  // namespace troupe
