#pragma once

#include <troupe/runtime/call.hpp>
#include <troupe/runtime/runtime.hpp>
#include <troupe/state/typed.hpp>
#include <troupe/state/versions.hpp>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace troupe {

class state_reader;

/// The states an entity inherits from, its own first; what is not there or may not be read is null.
struct scope_states {
  std::vector<entity_ref> refs;
  std::vector<std::shared_ptr<const entity_state>> states;

  /// Good as long as this.
  [[nodiscard]] std::vector<scope_view> views() const;
};

/// What every scope can be asked: a name and a runtime, no state of its own. A value; any thread
/// may use and copy it. It must not outlive its runtime; an empty one answers `not_found`.
///
/// Each method is one command, or one look at the committed state. Getters answer copies or
/// immutable snapshots, never references into something that changes. Errors: those of `decide` and
/// of the runtime; `not_found` without a path where there is no such entity (or not for the
/// principal), with the key's path where it has no such key. A name's bytes are copied at once.
class entity_handle {
public:
  using snapshot = std::shared_ptr<const entity_state>;

  entity_handle() = default;  ///< empty
  entity_handle(runtime& host, entity_ref ref);

  [[nodiscard]] const entity_ref& ref() const noexcept { return envelope_.entity; }
  [[nodiscard]] bool empty() const noexcept { return host_ == nullptr; }

  // The whole
  // ----------------------------------------------------------------------------------------------

  /// Creates it or finds it; `created` tells which.
  call<command_result> create(entity_info info = {}) const;
  /// `already_exists` when it is there.
  call<command_result> create_new(entity_info info = {}) const;
  call<bool> exists() const;
  /// False: there was none.
  call<bool> erase() const;
  /// All of it as one immutable value: for several looks at the same moment.
  call<snapshot> read() const;
  /// For a thread that reads it often; include state_reader.hpp.
  [[nodiscard]] state_reader reader() const;
  /// A kept earlier revision, as it was committed. Errors: `revision_gone`.
  call<snapshot> read_at(std::uint64_t revision) const;
  call<entity_info> info() const;
  call<command_result> update(update_info changes) const;
  /// Several operations as one revision: all or none.
  call<command_result> apply(std::vector<operation> operations) const;

  // Key-value state
  // ----------------------------------------------------------------------------------------------

  /// As stored. Errors: also `not_found` with the key's path, `wrong_type`, `invalid_value`.
  template <class T>
  call<T> get(const key<T>& which) const {
    return look<T>([name = std::string{which.name}](const entity_state& state, timestamp now) {
      return troupe::get(state, key<T>{name}, now);
    });
  }
  /// The fallback only where the key is absent.
  template <class T>
  call<T> get_or(const key<T>& which, std::type_identity_t<T> fallback) const {
    return look<T>([name = std::string{which.name}, fallback = std::move(fallback)](
                       const entity_state& state, timestamp now) {
      return troupe::get_or(state, key<T>{name}, now, fallback);
    });
  }
  /// From the nearest scope that has the key: this one, its workflow, team, user, the global one.
  template <class T>
  call<T> get_inherited(const key<T>& which) const {
    return call<T>{[states = inherited(), name = std::string{which.name},
                    clock = host_](typename call<T>::callback done) mutable {
      std::move(states).then([=](const expected<scope_states>& all) {
        if (!all)
          return done(tl::unexpected(all.error()));
        const auto chain = all->views();
        done(troupe::get(std::span{chain}, key<T>{name}, clock->now()));
      });
    }};
  }
  template <class T, class X = T>
    requires settable_as<X, T>
  call<command_result> set(const key<T>& which, X&& x, set_options options = {}) const {
    return patch({troupe::set(which, std::forward<X>(x), options)});
  }
  /// Sets the key if it holds just `before`, else `cas_mismatch`.
  template <class T, class X = T, class Y = T>
    requires(settable_as<X, T> && settable_as<Y, T>)
  call<command_result> set_if(const key<T>& which, X&& before, Y&& after) const {
    return patch({troupe::set_if(which, std::forward<X>(before), std::forward<Y>(after))});
  }
  template <class T, class X = T>
    requires settable_as<X, T>
  call<command_result> set_if_absent(const key<T>& which, X&& x) const {
    return patch({troupe::set_if_absent(which, std::forward<X>(x))});
  }
  template <class T>
  call<command_result> unset(const key<T>& which) const {
    return patch({troupe::unset(which)});
  }
  /// Adds to a number where it is, so that nobody's addition is lost; an absent key counts as 0.
  template <class T, class X = T>
    requires((internal::integer<T> || std::same_as<T, double>) && settable_as<X, T>)
  call<command_result> add(const key<T>& which, X&& by) const {
    return patch({troupe::add(which, std::forward<X>(by))});
  }
  template <class T, class X = T>
    requires settable_as<X, T>
  call<command_result> append_to(const key<std::vector<T>>& which, X&& item) const {
    return patch({troupe::append(which, std::forward<X>(item))});
  }
  /// The whole state as one type; each of its fields is a key.
  template <described T>
  call<T> get_all() const {
    return look<T>(
        [](const entity_state& state, timestamp now) { return troupe::get_all<T>(state, now); });
  }
  template <described T>
  call<command_result> set_all(const T& x) const {
    return apply({troupe::set_all(x)});
  }

  /// Nothing when the key is absent.
  call<std::optional<value>> find(std::string name) const;
  call<bool> contains(std::string name) const;
  /// In order; `*` stands for any characters, `?` for one byte.
  call<std::vector<std::string>> keys(std::string pattern = "*") const;
  call<value> state() const;  ///< a map
  call<command_result> set(std::string name, value data, set_options options = {}) const;
  call<command_result> unset(std::string name) const;
  call<command_result> patch(std::vector<state_op> ops) const;
  call<command_result> merge_state(value merge_patch) const;
  call<command_result> clear_state() const;
  call<scope_states> inherited() const;

  // Versions
  // ----------------------------------------------------------------------------------------------

  call<command_result> checkpoint(create_checkpoint what) const;
  /// Newest first.
  call<std::vector<troupe::checkpoint>> checkpoints() const;
  call<command_result> delete_checkpoint(std::string id) const;
  /// A revision or a checkpoint's id.
  call<command_result> restore(std::variant<std::uint64_t, std::string> to) const;
  call<command_result> undo(std::uint64_t steps = 1) const;
  call<command_result> redo(std::uint64_t steps = 1) const;
  call<command_result> merge(const entity_handle& fork,
                             merge_strategy strategy = merge_strategy::refuse) const;
  /// From a kept revision to now.
  call<std::vector<difference>> diff(std::uint64_t since) const;
  /// From here to another one, e.g. a fork.
  call<std::vector<difference>> diff(const entity_handle& other) const;

  /// One entity in the format of transfer.hpp.
  call<std::string> export_jsonl() const;
  call<std::string> export_markdown() const;

  /// `project(state, now)` of the committed state answers an expected<T>.
  template <class T, class F>
  call<T> look(F project) const {
    return call<T>{[self = *this, project = std::move(project)](typename call<T>::callback done) {
      self.with_state([=, now = self.now()](expected<snapshot> state) {
        done(state ? expected<T>{project(**state, now)} : tl::unexpected(std::move(state.error())));
      });
    }};
  }

protected:
  friend class state_reader;

  /// Calls back with a state that is live and that the principal may read.
  void with_state(std::function<void(expected<snapshot>)> done) const;
  void execute(std::vector<operation> operations,
               std::function<void(expected<command_result>)> done) const;
  [[nodiscard]] expected<snapshot> readable(expected<snapshot> state) const;
  [[nodiscard]] timestamp now() const { return host_ != nullptr ? host_->now() : timestamp{}; }

  runtime* host_ = nullptr;
  command envelope_{};  // of every command; without operations
};

/// How the requests of a copy of the handle are made: `chat.as(ann).once("r-17").append(...)`.
template <class Self>
class handle_of : public entity_handle {
public:
  using entity_handle::entity_handle;

  /// On behalf of whom; without it of the host, who may do everything.
  [[nodiscard]] Self as(principal who) const {
    return changed([&](command& c) { c.by = std::move(who); });
  }
  /// One effect and the first answer within 24 hours, however often it is sent. `body_hash` tells
  /// requests apart: another one under the same key is `idempotency_mismatch`.
  [[nodiscard]] Self once(std::string key, std::string body_hash = {}) const {
    return changed([&](command& c) {
      c.once =
          idempotency{.principal = {}, .key = std::move(key), .body_hash = std::move(body_hash)};
    });
  }
  /// Commands only if the entity is at this revision, else `revision_conflict`.
  [[nodiscard]] Self at_revision(std::uint64_t revision) const {
    return changed([&](command& c) { c.expected_revision = revision; });
  }
  /// What an answer stands for; reads show what is on disk, whatever the level.
  [[nodiscard]] Self with(durability level) const {
    return changed([&](command& c) { c.level = level; });
  }

  /// A new entity that begins as a copy of this one, at a kept revision (0: now).
  call<Self> fork(std::string id, std::uint64_t at = 0) const {
    Self child = static_cast<const Self&>(*this);
    child.envelope_.entity.id = std::move(id);
    return call<Self>{[child, parent = ref(), at](typename call<Self>::callback done) {
      child.execute({fork_from{.parent = parent, .base = {}, .at = at}},
                    [=](const expected<command_result>& made) {
                      done(made ? expected<Self>{child.plain()} : tl::unexpected(made.error()));
                    });
    }};
  }

private:
  template <class F>
  Self changed(F change) const {
    Self out = static_cast<const Self&>(*this);
    change(out.envelope_);
    return out;
  }
  /// Without what concerned one command.
  [[nodiscard]] Self plain() const {
    return changed([](command& c) {
      c.once.reset();
      c.expected_revision.reset();
    });
  }
};

}  // namespace troupe
