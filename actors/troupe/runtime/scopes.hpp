#pragma once

/// The embedding API by scope. This header is all that a host includes.
///
///     auto chat = runtime.session("support-17");
///     chat.create({.user = "ann"}).get();
///     chat.append(chat_message{.role = "user", .content = "Hello!"}).get();
///     chat.usage().add(812, 64).get();

#include <troupe/runtime/entity_handle.hpp>
#include <troupe/state/items.hpp>
#include <troupe/state/session.hpp>
#include <troupe/state/team.hpp>
#include <troupe/state/workflow.hpp>

#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace troupe {

/// The newest items of one moment, oldest first; holds the snapshot they stand in.
class item_list {
public:
  /// `last` of 0, or more than there are: all.
  item_list(std::shared_ptr<const entity_state> state, std::uint64_t last);

  [[nodiscard]] history::const_iterator begin() const noexcept {
    return state_->items.begin() + static_cast<std::ptrdiff_t>(first_);
  }
  [[nodiscard]] history::const_iterator end() const noexcept { return state_->items.end(); }
  [[nodiscard]] std::size_t size() const noexcept { return state_->items.size() - first_; }
  /// REQUIRES: index < size().
  [[nodiscard]] item_view operator[](std::size_t index) const noexcept {
    return state_->items[first_ + index];
  }

private:
  std::shared_ptr<const entity_state> state_;
  std::size_t first_;
};

/// What a session and a team have: items in order.
template <class Self>
class handle_with_items : public handle_of<Self> {
public:
  using handle_of<Self>::handle_of;

  /// The newest `last`, oldest first; 0: all.
  call<item_list> items(std::uint64_t last = 0) const {
    return call<item_list>{[self = *this, last](typename call<item_list>::callback done) {
      self.with_state([=](expected<entity_handle::snapshot> state) {
        done(state ? expected<item_list>{item_list{*std::move(state), last}}
                   : tl::unexpected(std::move(state.error())));
      });
    }};
  }
  /// The same as a type. One that is no T is an error with the path inside the item.
  template <described T>
  call<std::vector<T>> items_as(std::uint64_t last = 0) const {
    return call<std::vector<T>>{
        [list = items(last)](typename call<std::vector<T>>::callback done) mutable {
          std::move(list).then([done](const expected<item_list>& all) {
            if (!all)
              return done(tl::unexpected(all.error()));
            std::vector<T> out;
            for (const auto& item : *all) {
              auto one = item_as<T>(item);
              if (!one)
                return done(tl::unexpected(std::move(one.error())));
              out.push_back(*std::move(one));
            }
            done(std::move(out));
          });
        }};
  }
};

class usage_handle;
class todos_handle;
class calls_handle;
class notebook_handle;

/// One conversation: items, key-value state, token usage, todos, tool calls, a notebook.
class session : public handle_with_items<session> {
public:
  using handle_with_items<session>::handle_with_items;

  /// All or none. An item with role "user" begins a turn.
  call<command_result> append(std::vector<value> items) const;
  call<command_result> append(value item) const;
  template <described T>
  call<command_result> append(const T& item) const {
    return append(to_value(item));
  }
  template <described T>
  call<command_result> append(const std::vector<T>& items) const {
    return apply({append_all(items)});
  }
  call<command_result> pop(std::uint64_t count = 1,
                           std::optional<std::uint64_t> expected_last_seq = {}) const;
  call<command_result> clear_items() const;

  [[nodiscard]] usage_handle usage() const;
  [[nodiscard]] todos_handle todos() const;
  [[nodiscard]] calls_handle calls() const;
  [[nodiscard]] notebook_handle notebook() const;
};

/// Tokens, and the budget of the session's own policy.
class usage_handle {
public:
  explicit usage_handle(session of) : of_{std::move(of)} {}
  /// Answers the counters after it; never refused for the budget's sake.
  call<usage_report> add(std::uint64_t prompt_tokens, std::uint64_t completion_tokens) const;
  call<usage_report> report() const;
  call<command_result> reset() const;

private:
  session of_;
};

class todos_handle {
public:
  explicit todos_handle(session of) : of_{std::move(of)} {}
  call<std::vector<todo>> list() const;
  call<command_result> put(std::vector<todo> todos) const;
  call<command_result> patch(std::vector<todo> changed,
                             std::vector<std::string> removed = {}) const;

private:
  session of_;
};

/// Tool calls, and whether they repeat themselves.
class calls_handle {
public:
  explicit calls_handle(session of) : of_{std::move(of)} {}
  /// Notes the call and answers the verdict; see `record_call`.
  call<loop_verdict> record(std::string tool, value arguments, bool read_only = false) const;
  /// On the newest call that counts.
  call<loop_verdict> verdict() const;
  call<std::vector<recorded_call>> list() const;
  call<command_result> reset() const;

private:
  session of_;
};

class notebook_handle {
public:
  explicit notebook_handle(session of) : of_{std::move(of)} {}
  call<troupe::notebook> read() const;
  /// Names to types, merged; null removes one.
  call<command_result> set_variables(value variables) const;
  call<command_result> replace_variables(value variables) const;
  call<command_result> update(update_notebook changes) const;

private:
  session of_;
};

/// A graph of nodes that survives whoever runs it.
class workflow : public handle_of<workflow> {
public:
  using handle_of<workflow>::handle_of;

  call<command_result> define(std::vector<node_definition> nodes) const;
  call<command_result> start(std::string node) const;
  call<command_result> finish(std::string node, value result = {}) const;
  call<command_result> fail(std::string node, value result = {}) const;
  call<command_result> skip(std::string node) const;
  /// Back to pending: what ran when its process ended, failed or was skipped.
  call<command_result> reset(std::string node) const;
  call<command_result> cancel() const;
  call<command_result> resume() const;

  call<std::vector<node>> nodes() const;
  /// Those that may start now.
  call<std::vector<std::string>> ready() const;
  /// Results of what the node depends on, by id.
  call<value> inputs(std::string node) const;
  call<node_status> status() const;
};

/// Agents with a shared context (the key-value state) and messages to each other (the items).
class team : public handle_with_items<team> {
public:
  using handle_with_items<team>::handle_with_items;

  call<command_result> join(std::string member, std::string role = {}) const;
  call<command_result> leave(std::string member) const;
  call<std::vector<member>> members() const;
  call<command_result> send(std::string from, value body, std::optional<std::string> to = {}) const;
  /// What the member has not acknowledged, oldest first.
  call<std::vector<message>> inbox(std::string member, std::size_t limit = 100) const;
  call<command_result> acknowledge(std::string member, std::uint64_t seq) const;
  call<command_result> drop_delivered() const;
};

/// What all sessions of one person share.
class user : public handle_of<user> {
public:
  using handle_of<user>::handle_of;
};

/// What all of one namespace share.
class global : public handle_of<global> {
public:
  using handle_of<global>::handle_of;
};

}  // namespace troupe
