#include <troupe/actors/admission.hpp>

#include <string>
#include <type_traits>
#include <variant>

namespace troupe {

expected<admission::pass> admission::enter(std::size_t bytes) {
  const auto others = requests_.fetch_add(1, relaxed);
  const auto theirs = bytes_.fetch_add(bytes, relaxed);
  const bool many = others >= limits_.requests;
  if (!many && (others == 0 || theirs + bytes <= limits_.bytes))
    return pass{*this, bytes};
  leave(bytes);
  refused_.fetch_add(1, relaxed);
  return tl::unexpected(many ? full("requests", limits_.requests)
                             : full("bytes of requests", limits_.bytes));
}

void admission::leave(std::size_t bytes) noexcept {
  bytes_.fetch_sub(bytes, relaxed);
  requests_.fetch_sub(1, relaxed);
}

error admission::full(const char* what, std::size_t limit) {
  return {.code = errc::busy,
          .message = "the node has " + std::to_string(limit) + ' ' + what
                     + " in flight and takes no more; nothing was done: wait for answers, or try "
                       "again in some 100 ms",
          .limit = limit,
          .retry_after_ms = 100};
}

namespace {

constexpr std::size_t each_operation = 64;  // and each thing in a list

std::size_t of(const value& x) {
  return x.view().bytes().size();
}
template <class T>
std::size_t of(const std::optional<T>& x) {
  return x ? of(*x) : 0;
}
std::size_t of(const state_op& what) {
  return std::visit(
      [](const auto& op) {
        auto sum = each_operation + op.key.size();
        if constexpr (requires { op.data; })
          sum += of(op.data);
        if constexpr (requires { op.expected; })
          sum += of(op.expected);
        if constexpr (requires { op.by; })
          sum += of(op.by);
        if constexpr (requires { op.values; })
          for (const auto& one : op.values)
            sum += of(one);
        return sum;
      },
      what);
}
std::size_t of(const todo& what) {
  return each_operation + what.id.size() + what.content.size();
}
std::size_t of(const node_definition& what) {
  return each_operation + what.id.size();
}

template <class List>
std::size_t of_all(const List& list) {
  std::size_t sum = 0;
  for (const auto& one : list)
    sum += of(one);
  return sum;
}

/// Whatever an operation calls what it carries.
template <class Op>
std::size_t of_operation(const Op& op) {
  auto sum = each_operation;
  if constexpr (requires { op.ops; })
    sum += of_all(op.ops);
  if constexpr (requires { op.items; })
    sum += of_all(op.items);
  if constexpr (requires { op.todos; })
    sum += of_all(op.todos);
  if constexpr (requires { op.changed; })
    sum += of_all(op.changed);
  if constexpr (requires { op.nodes; })
    sum += of_all(op.nodes);
  if constexpr (requires { op.patch; })
    sum += of(op.patch);
  if constexpr (requires { op.metadata_patch; })
    sum += of(op.metadata_patch);
  if constexpr (requires { op.metadata; })
    sum += of(op.metadata);
  if constexpr (requires { op.info.metadata; })
    sum += of(op.info.metadata);
  if constexpr (requires { op.arguments; })
    sum += of(op.arguments);
  if constexpr (requires { op.variables; })
    sum += of(op.variables);
  if constexpr (requires { op.body; })
    sum += of(op.body);
  if constexpr (requires { op.result; })
    sum += of(op.result);
  return sum;
}

}  // namespace

std::size_t carried_bytes(const command& what) {
  std::size_t sum = what.entity.id.size();
  for (const auto& op : what.operations)
    sum += std::visit([](const auto& x) { return of_operation(x); }, op);
  return sum;
}

std::size_t carried_bytes(const change_set& what) {
  std::size_t sum = 0;
  for (const auto& one : what.commands)
    sum += carried_bytes(one);
  return sum;
}

}  // namespace troupe
