#include <troupe/state/commands.hpp>
#include <troupe/state/internal/canonical.hpp>
#include <troupe/state/internal/decider.hpp>
#include <troupe/state/internal/transfer_documents.hpp>

#include <algorithm>
#include <concepts>

/// What each section holds, as types: the shapes that decide_*.cpp write and that reads rely on.
namespace troupe {

template <>
struct names_of<todo_status> {
  using enum todo_status;
  static constexpr std::pair<todo_status, std::string_view> value[] = {{pending, "pending"},
                                                                       {in_progress, "in_progress"},
                                                                       {completed, "completed"},
                                                                       {cancelled, "cancelled"}};
};
template <>
struct names_of<todo_priority> {
  using enum todo_priority;
  static constexpr std::pair<todo_priority, std::string_view> value[] = {
      {high, "high"}, {medium, "medium"}, {low, "low"}};
};
template <>
struct names_of<node_status> {
  using enum node_status;
  static constexpr std::pair<node_status, std::string_view> value[] = {{pending, "pending"},
                                                                       {running, "running"},
                                                                       {done, "done"},
                                                                       {failed, "failed"},
                                                                       {skipped, "skipped"}};
};
template <>
struct names_of<access> {
  static constexpr std::pair<access, std::string_view> value[] = {{access::read, "read"},
                                                                  {access::write, "write"}};
};
template <>
struct fields_of<policy> {
  static constexpr auto value = std::tuple{field{"loop_limit", &policy::loop_limit},
                                           field{"token_budget", &policy::token_budget},
                                           field{"checkpoint_every", &policy::checkpoint_every},
                                           field{"keep_checkpoints", &policy::keep_checkpoints},
                                           field{"keep_revisions", &policy::keep_revisions},
                                           field{"keep_revisions_ms", &policy::keep_revisions_ms}};
};
template <>
struct fields_of<usage_counters> {
  static constexpr auto value =
      std::tuple{field{"prompt_tokens", &usage_counters::prompt_tokens},
                 field{"completion_tokens", &usage_counters::completion_tokens}};
};

namespace internal {

namespace {

struct stored_todo {
  std::uint64_t position = 0;
  std::string content{};
  todo_status status{};
  todo_priority priority{};
  static constexpr auto fields =
      std::tuple{field{"position", &stored_todo::position}, field{"content", &stored_todo::content},
                 field{"status", &stored_todo::status}, field{"priority", &stored_todo::priority}};
};

struct stored_node {
  std::uint64_t position = 0;
  std::vector<std::string> after{};
  node_status status{};
  std::uint64_t attempts = 0;
  std::optional<value> result{};
  static constexpr auto fields =
      std::tuple{field{"position", &stored_node::position}, field{"after", &stored_node::after},
                 field{"status", &stored_node::status}, field{"attempts", &stored_node::attempts},
                 field{"result", &stored_node::result}};
};

struct stored_member {
  std::string role{};
  static constexpr auto fields = std::tuple{field{"role", &stored_member::role}};
};

struct stored_tokens {
  usage_counters last{}, total{};
  static constexpr auto fields =
      std::tuple{field{"last", &stored_tokens::last}, field{"total", &stored_tokens::total}};
};

struct stored_call {
  std::string tool{}, arguments_sha256{};
  std::uint64_t count = 0, limit = 0;
  static constexpr auto fields = std::tuple{
      field{"tool", &stored_call::tool}, field{"arguments_sha256", &stored_call::arguments_sha256},
      field{"count", &stored_call::count}, field{"limit", &stored_call::limit}};
};

struct stored_checkpoint {
  std::string name{};
  std::uint64_t revision = 0;
  std::int64_t at = 0;
  std::vector<std::string> tags{};
  value metadata{};
  bool automatic = false;
  static constexpr auto fields = std::tuple{field{"name", &stored_checkpoint::name},
                                            field{"revision", &stored_checkpoint::revision},
                                            field{"at", &stored_checkpoint::at},
                                            field{"tags", &stored_checkpoint::tags},
                                            field{"metadata", &stored_checkpoint::metadata},
                                            field{"automatic", &stored_checkpoint::automatic}};
};

using checked = expected<void>;

template <bindable T>
checked is(value_view x) {
  return from_value<T>(x, unknown_members::refused).map([](const auto&) {});
}

checked is_true(value_view x) {
  if (x.as_bool() == true)
    return {};
  return fail(errc::invalid_value, "true is expected");
}

checked is_name(value_view x) {
  auto text = from_value<std::string>(x);
  return text ? checked_id(*text).map([](const auto&) {}) : is<std::string>(x);
}

/// The elements of an array of this size, else `invalid_value`.
expected<std::vector<value>> elements(value_view x, std::size_t size) {
  auto all = from_value<std::vector<value>>(x);
  if (all && all->size() != size)
    return fail(errc::invalid_value,
                "an array of " + std::to_string(size) + " elements is expected");
  return all;
}

checked at_element(const checked& ok, std::size_t index) {
  if (ok)
    return ok;
  return inside(ok.error(), std::to_string(index));
}

checked is_schema(value_view x) {
  const auto all = elements(x, 2);
  if (!all)
    return tl::unexpected(all.error());
  if (auto ok = at_element(is_name((*all)[0]), 0); !ok)
    return ok;
  return at_element(is<std::uint32_t>((*all)[1]), 1);
}

struct known_key {
  std::string_view key;
  checked (*check)(value_view);
};

/// The value under one of a section's own keys.
checked one_of(std::initializer_list<known_key> known, const entry_document& one) {
  for (const auto& [name, check] : known) {
    if (one.key == name) {
      if (auto ok = check(one.data); !ok)
        return inside(ok.error(), "value");
      return {};
    }
  }
  return fail(errc::unknown_field, "this section has no such key", "/key");
}

/// Any id, and below it a value of one shape.
checked by_id(checked (*check)(value_view), const entry_document& one) {
  if (auto ok = check_name(one.key, "/key"); !ok)
    return ok;
  if (auto ok = check(one.data); !ok)
    return inside(ok.error(), "value");
  return {};
}

/// The owner's own data: any value within the limits.
checked any_data(const entry_document& one) {
  if (auto ok = check_key(one.key, "/key"); !ok)
    return ok;
  return check_value(one.data, "/value");
}

checked by_section(const entry_document& one) {
  switch (one.in) {
    case section::info:
      return one_of({{info_key::workflow, is_name},
                     {info_key::team, is_name},
                     {info_key::placement, is_name},
                     {info_key::ttl_ms, is<std::uint64_t>},
                     {info_key::policy, is<policy>}},
                    one);
    case section::metadata:
    case section::state:
    case section::variables: return any_data(one);
    case section::tags: return by_id(is_true, one);
    case section::shares: return by_id(is<access>, one);
    case section::notebook:
      return one_of({{"id", is_name}, {"cell_count", is<std::uint64_t>}}, one);
    case section::todos: return by_id(is<stored_todo>, one);
    case section::nodes: return by_id(is<stored_node>, one);
    case section::members: return by_id(is<stored_member>, one);
    case section::cursors: return by_id(is<std::uint64_t>, one);
    case section::run: return one_of({{"cancelled", is_true}}, one);
    case section::usage:
      return one_of({{"tokens", is<stored_tokens>}, {"tool_calls", is<std::uint64_t>}}, one);
    case section::calls:
      if (one.key.size() != 20 || one.key.find_first_not_of("0123456789") != std::string::npos)
        return fail(errc::invalid_value, "a call's number is 20 digits", "/key");
      return by_id(is<stored_call>, one);
    case section::checkpoints: return by_id(is<stored_checkpoint>, one);
    case section::merges: return by_id(is<std::uint64_t>, one);
    case section::schema: return one_of({{"id", is_schema}}, one);
  }
  return fail(errc::internal, "a section without a rule");
}

}  // namespace

expected<void> check_entry(const entry_document& one) {
  if (one.in != section::state && one.expires_ms != 0)
    return fail(errc::invalid_value, "only key-value state expires", "/expires_ms");
  // A result or metadata of full depth stands one level deeper in its entry.
  if (!well_formed(one.data.bytes(), limits{}.depth + 1))
    return fail(errc::too_deep, "a value nests too deep", "/value");
  return by_section(one);
}

}  // namespace internal

}  // namespace troupe
