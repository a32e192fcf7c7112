#include <troupe/state/digest.hpp>
#include <troupe/state/internal/decider.hpp>
#include <troupe/state/internal/stored.hpp>
#include <troupe/state/session.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <set>

/// Operations of sessions: items, usage, todos, tool calls, notebook.
namespace troupe::internal {

namespace {

expected<void> check_item(const value& item, const std::string& path) {
  if (auto ok = check_map("an item", item, path); !ok)
    return ok;
  for (auto field = item.view().children(); field.next();)
    if (field.key() == "seq" || field.key() == "at")
      return fail(errc::reserved_field, '\'' + std::string{field.key()} + "' belongs to Troupe",
                  path + '/' + std::string{field.key()});
  return {};
}

bool begins_turn(const value& item) {
  const auto role = item.view().find("role");
  return role && role->as_string() == "user";
}

value counters_value(const usage_counters& counters) {
  return value::map({{"prompt_tokens", counters.prompt_tokens},
                     {"completion_tokens", counters.completion_tokens}});
}

std::uint64_t saturating_sum(std::uint64_t a, std::uint64_t b) {
  return usage_counters{a, b}.total();
}

expected<void> check_todo(const todo& one, const std::string& path) {
  if (auto ok = check_name(one.id, path + "/id"); !ok)
    return ok;
  return check_text(one.content, path + "/content");
}

value todo_value(const todo& one, std::uint64_t position) {
  return value::map({{"position", position},
                     {"content", one.content},
                     {"status", to_string(one.status)},
                     {"priority", to_string(one.priority)}});
}

expected<void> check_todo_count(std::size_t count) {
  constexpr auto max_todos = rules_of(section::todos).most;
  if (count > max_todos)
    return refuse_beyond(errc::too_many_elements, "a list has at most 1,000 todos", max_todos,
                         "/todos");
  return {};
}

/// Ordered as text as well as by number.
std::string call_key(std::uint64_t number) {
  const auto digits = std::to_string(number);
  return std::string(20 - digits.size(), '0') + digits;
}

/// Forgets the oldest call once there are too many, but never the newest that counts: the run of
/// equal calls goes on from it.
void cap_calls(decider& d, const std::vector<recorded_call>& calls) {
  if (calls.size() < max_calls_kept)
    return;
  std::uint64_t newest_counting = 0;
  for (const auto& call : calls)
    newest_counting = call.verdict.count > 0 ? call.number : newest_counting;
  const auto& oldest = calls[calls[0].number == newest_counting ? 1 : 0];
  d.erase_key(section::calls, call_key(oldest.number));
}

}  // namespace

expected<void> decider::operator()(const append_items& op) {
  if (out.next.kind != entity_kind::session)
    return fail(errc::wrong_scope, "only sessions take items");
  if (op.items.empty())
    return fail(errc::malformed, "an append has at least one item", "/items");
  if (op.items.size() > max_items_per_append)
    return refuse_beyond(errc::too_many_elements, "an append has at most 1,000 items",
                         max_items_per_append, "/items");
  for (std::size_t i = 0; i < op.items.size(); ++i) {
    if (auto ok = check_item(op.items[i], "/items/" + std::to_string(i)); !ok)
      return ok;
  }
  if (std::any_of(op.items.begin(), op.items.end(), begins_turn))
    clear(section::calls);
  emit(items_appended{out.next.last_seq + 1, op.items});
  return {};
}

expected<void> decider::operator()(const pop_items& op) {
  if (out.next.kind != entity_kind::session)
    return fail(errc::wrong_scope, "only sessions give items back");
  if (op.expected_last_seq && *op.expected_last_seq != out.next.items.last_seq())
    return fail(errc::tail_mismatch, "the newest item is number "
                                         + std::to_string(out.next.items.last_seq()) + ", not "
                                         + std::to_string(*op.expected_last_seq));
  const auto removed = std::min<std::uint64_t>(op.count, out.next.items.size());
  if (removed > 0)
    emit(items_removed{out.next.items.size() - removed, removed});
  return {};
}

expected<void> decider::operator()(const clear_items&) {
  return (*this)(pop_items{.count = out.next.items.size(), .expected_last_seq = {}});
}

void decider::forget_items_before(std::size_t first) {
  if (first == 0)
    return;
  items_restored left;
  for (auto i = first; i < out.next.items.size(); ++i) {
    const auto item = out.next.items[i];
    left.items.push_back({item.seq, item.at, value{item.fields}});
  }
  emit(items_removed{0, first});
  if (!left.items.empty())
    emit(std::move(left));
}

expected<void> decider::operator()(const drop_oldest_items& op) {
  if (out.next.kind != entity_kind::session)
    return fail(errc::wrong_scope, "only sessions forget items");
  if (out.next.items.size() > std::max(op.keep, op.beyond))
    forget_items_before(out.next.items.size() - op.keep);
  return {};
}

expected<void> decider::operator()(const record_usage& op) {
  if (auto ok = need(section::usage); !ok)
    return ok;
  auto total = usage_of(out.next).total;
  total.prompt_tokens = saturating_sum(total.prompt_tokens, op.prompt_tokens);
  total.completion_tokens = saturating_sum(total.completion_tokens, op.completion_tokens);
  emit(entry_set{section::usage,
                 "tokens",
                 value::map({{"last", counters_value({op.prompt_tokens, op.completion_tokens})},
                             {"total", counters_value(total)}}),
                 {}});
  return {};
}

expected<void> decider::operator()(const reset_usage&) {
  if (auto ok = need(section::usage); !ok)
    return ok;
  erase_key(section::usage, "tokens");
  return {};
}

expected<void> decider::operator()(const put_todos& op) {
  if (auto ok = need(section::todos); !ok)
    return ok;
  if (auto ok = check_todo_count(op.todos.size()); !ok)
    return ok;
  std::vector<std::pair<std::string, value>> entries;
  std::set<std::string_view> ids;
  for (std::size_t i = 0; i < op.todos.size(); ++i) {
    const auto path = "/todos/" + std::to_string(i);
    if (auto ok = check_todo(op.todos[i], path); !ok)
      return ok;
    if (!ids.insert(op.todos[i].id).second)
      return fail(errc::invalid_value, "each id stands once", path + "/id");
    entries.emplace_back(op.todos[i].id, todo_value(op.todos[i], i));
  }
  replace(section::todos, entries);
  return {};
}

expected<void> decider::operator()(const patch_todos& op) {
  if (auto ok = need(section::todos); !ok)
    return ok;
  std::uint64_t next = 0;
  for_each_entry(out.next, section::todos, now(), [&](std::string_view, const entry& e) {
    next = std::max(next, number_at(e.data, "position") + 1);
  });
  for (std::size_t i = 0; i < op.changed.size(); ++i) {
    const auto& one = op.changed[i];
    if (auto ok = check_todo(one, "/todos/" + std::to_string(i)); !ok)
      return ok;
    const auto* old = find(section::todos, one.id);
    set(section::todos, one.id, todo_value(one, old ? number_at(old->data, "position") : next++));
  }
  for (const auto& id : op.removed)
    erase_key(section::todos, id);
  return check_todo_count(count_entries(out.next, section::todos, now()));
}

expected<void> decider::operator()(const record_call& op) {
  if (auto ok = need(section::calls); !ok)
    return ok;
  if (auto ok = check_name(op.tool, "/tool"); !ok)
    return ok;
  if (auto ok = check_value(op.arguments, "/arguments"); !ok)
    return ok;
  const auto calls = calls_of(out.next);
  const auto limit = limits().loop_limit.value_or(default_loop_limit);
  const auto digest = to_hex(digest_of(op.arguments));
  std::uint64_t count = op.read_only ? 0 : 1;
  const auto last = std::find_if(calls.rbegin(), calls.rend(),
                                 [](const auto& call) { return call.verdict.count > 0; });
  if (!op.read_only && last != calls.rend() && last->verdict.tool == op.tool
      && last->arguments_sha256 == digest)
    count = last->verdict.count + 1;
  const auto number = usage_of(out.next).tool_calls + 1;
  cap_calls(*this, calls);
  emit(entry_set{
      section::calls,
      call_key(number),
      value::map(
          {{"tool", op.tool}, {"arguments_sha256", digest}, {"count", count}, {"limit", limit}}),
      {}});
  emit(entry_set{section::usage, "tool_calls", value{number}, {}});
  checkpoint_automatically(number);
  return {};
}

expected<void> decider::operator()(const reset_calls&) {
  if (auto ok = need(section::calls); !ok)
    return ok;
  clear(section::calls);
  return {};
}

expected<void> decider::operator()(const update_notebook& op) {
  if (auto ok = need(section::notebook); !ok)
    return ok;
  if (op.id) {
    if (auto ok = check_name(*op.id, "/id"); !ok)
      return ok;
    set(section::notebook, "id", value{*op.id});
  }
  if (op.cell_count)
    set(section::notebook, "cell_count", value{*op.cell_count});
  if (auto ok = check_map("variables", op.variables, "/variables"); !ok)
    return ok;
  std::vector<std::pair<std::string, value>> variables;
  for (auto member = op.variables.view().children(); member.next();) {
    if (auto ok = check_key(member.key(), pointer({"variables", member.key()})); !ok)
      return ok;
    if (!member.item().is_null())
      variables.emplace_back(member.key(), value{member.item()});
    else if (!op.replace_variables)
      erase_key(section::variables, member.key());
  }
  if (op.replace_variables)
    replace(section::variables, variables);
  else
    for (const auto& [name, type] : variables)
      set(section::variables, name, type);
  return {};
}

}  // namespace troupe::internal
