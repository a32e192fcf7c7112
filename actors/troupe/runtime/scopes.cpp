#include <troupe/runtime/scopes.hpp>

#include <algorithm>
#include <utility>

namespace troupe {

namespace {

/// `f(result)` of a command's result.
template <class T, class F>
call<T> result_of(const entity_handle& of, operation what, F f) {
  std::vector<operation> operations;
  operations.push_back(std::move(what));
  return call<T>{
      [made = of.apply(std::move(operations)), f](typename call<T>::callback done) mutable {
        std::move(made).then([f, done = std::move(done)](const expected<command_result>& answer) {
          done(answer ? expected<T>{f(*answer)} : tl::unexpected(answer.error()));
        });
      }};
}

/// A reader of the state that cannot fail.
template <class T, class F>
call<T> reading(const entity_handle& of, F f) {
  return of.look<T>(
      [f = std::move(f)](const entity_state& state, timestamp) -> expected<T> { return f(state); });
}

}  // namespace

// From the runtime --------------------------------------------------------------------------------

session runtime::session(std::string id, std::string name_space) {
  return {*this, {std::move(name_space), entity_kind::session, std::move(id)}};
}

workflow runtime::workflow(std::string id, std::string name_space) {
  return {*this, {std::move(name_space), entity_kind::workflow, std::move(id)}};
}

team runtime::team(std::string id, std::string name_space) {
  return {*this, {std::move(name_space), entity_kind::team, std::move(id)}};
}

user runtime::user(std::string id, std::string name_space) {
  return {*this, {std::move(name_space), entity_kind::user, std::move(id)}};
}

global runtime::global(std::string name_space) {
  return {*this, {std::move(name_space), entity_kind::global, "global"}};
}

// Session -----------------------------------------------------------------------------------------

item_list::item_list(std::shared_ptr<const entity_state> state, std::uint64_t last)
    : state_{std::move(state)} {
  const auto all = state_->items.size();
  first_ = last == 0 || last > all ? 0 : all - static_cast<std::size_t>(last);
}

call<command_result> session::append(std::vector<value> items) const {
  return apply({append_items{std::move(items)}});
}

call<command_result> session::append(value item) const {
  return apply({append_items{{std::move(item)}}});
}

call<command_result> session::pop(std::uint64_t count,
                                  std::optional<std::uint64_t> expected_last_seq) const {
  return apply({pop_items{count, expected_last_seq}});
}

call<command_result> session::clear_items() const {
  return apply({troupe::clear_items{}});
}

usage_handle session::usage() const {
  return usage_handle{*this};
}

todos_handle session::todos() const {
  return todos_handle{*this};
}

calls_handle session::calls() const {
  return calls_handle{*this};
}

notebook_handle session::notebook() const {
  return notebook_handle{*this};
}

call<usage_report> usage_handle::add(std::uint64_t prompt_tokens,
                                     std::uint64_t completion_tokens) const {
  return result_of<usage_report>(of_, record_usage{prompt_tokens, completion_tokens},
                                 [](const command_result& x) { return usage_of(*x.state); });
}

call<usage_report> usage_handle::report() const {
  return reading<usage_report>(of_, [](const entity_state& x) { return usage_of(x); });
}

call<command_result> usage_handle::reset() const {
  return of_.apply({reset_usage{}});
}

call<std::vector<todo>> todos_handle::list() const {
  return reading<std::vector<todo>>(of_, todos_of);
}

call<command_result> todos_handle::put(std::vector<todo> todos) const {
  return of_.apply({put_todos{std::move(todos)}});
}

call<command_result> todos_handle::patch(std::vector<todo> changed,
                                         std::vector<std::string> removed) const {
  return of_.apply({patch_todos{std::move(changed), std::move(removed)}});
}

call<loop_verdict> calls_handle::record(std::string tool, value arguments, bool read_only) const {
  return result_of<loop_verdict>(of_, record_call{std::move(tool), std::move(arguments), read_only},
                                 [](const command_result& x) { return *x.loop; });
}

call<loop_verdict> calls_handle::verdict() const {
  return reading<loop_verdict>(of_, [](const entity_state& x) { return loop_of(x); });
}

call<std::vector<recorded_call>> calls_handle::list() const {
  return reading<std::vector<recorded_call>>(of_, calls_of);
}

call<command_result> calls_handle::reset() const {
  return of_.apply({reset_calls{}});
}

call<notebook> notebook_handle::read() const {
  return reading<troupe::notebook>(of_, notebook_of);
}

call<command_result> notebook_handle::set_variables(value variables) const {
  return update({.variables = std::move(variables)});
}

call<command_result> notebook_handle::replace_variables(value variables) const {
  return update({.variables = std::move(variables), .replace_variables = true});
}

call<command_result> notebook_handle::update(update_notebook changes) const {
  return of_.apply({std::move(changes)});
}

// Workflow ----------------------------------------------------------------------------------------

call<command_result> workflow::define(std::vector<node_definition> nodes) const {
  return apply({define_nodes{std::move(nodes)}});
}

call<command_result> workflow::start(std::string node) const {
  return apply({update_node{std::move(node), node_status::running}});
}

call<command_result> workflow::finish(std::string node, value result) const {
  return apply({update_node{std::move(node), node_status::done, std::move(result)}});
}

call<command_result> workflow::fail(std::string node, value result) const {
  return apply({update_node{std::move(node), node_status::failed, std::move(result)}});
}

call<command_result> workflow::skip(std::string node) const {
  return apply({update_node{std::move(node), node_status::skipped}});
}

call<command_result> workflow::reset(std::string node) const {
  return apply({update_node{std::move(node), node_status::pending}});
}

call<command_result> workflow::cancel() const {
  return apply({cancel_workflow{}});
}

call<command_result> workflow::resume() const {
  return apply({resume_workflow{}});
}

call<std::vector<node>> workflow::nodes() const {
  return reading<std::vector<node>>(*this, nodes_of);
}

call<std::vector<std::string>> workflow::ready() const {
  return reading<std::vector<std::string>>(*this, ready_nodes);
}

call<value> workflow::inputs(std::string node) const {
  return reading<value>(
      *this, [node = std::move(node)](const entity_state& x) { return inputs_of(x, node); });
}

call<node_status> workflow::status() const {
  return reading<node_status>(*this, status_of_workflow);
}

// Team --------------------------------------------------------------------------------------------

call<command_result> team::join(std::string member, std::string role) const {
  return apply({add_member{std::move(member), std::move(role)}});
}

call<command_result> team::leave(std::string member) const {
  return apply({remove_member{std::move(member)}});
}

call<std::vector<member>> team::members() const {
  return reading<std::vector<member>>(*this, members_of);
}

call<command_result> team::send(std::string from, value body, std::optional<std::string> to) const {
  return apply({send_message{std::move(from), std::move(to), std::move(body)}});
}

call<std::vector<message>> team::inbox(std::string member, std::size_t limit) const {
  return reading<std::vector<message>>(*this,
                                       [member = std::move(member), limit](const entity_state& x) {
                                         return messages_for(x, member, {}, limit);
                                       });
}

call<command_result> team::acknowledge(std::string member, std::uint64_t seq) const {
  return apply({troupe::acknowledge{std::move(member), seq}});
}

call<command_result> team::drop_delivered() const {
  return apply({troupe::drop_delivered{}});
}

}  // namespace troupe
