#include <troupe/runtime/entity_handle.hpp>
#include <troupe/state/transfer.hpp>

#include <utility>

namespace troupe {

namespace {

error no_runtime() {
  return {errc::not_found, "this handle names no entity: it is empty"};
}

/// `*` any bytes, `?` one.
bool matches(std::string_view pattern, std::string_view text) {
  std::size_t p = 0, t = 0, star = std::string_view::npos, from = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      from = t;
    } else if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == text[t])) {
      ++p;
      ++t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++from;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', p) == std::string_view::npos;
}

/// One operation whose result is all that the caller learns.
template <class Operation>
std::vector<operation> one(Operation what) {
  std::vector<operation> out;
  out.emplace_back(std::move(what));
  return out;
}

}  // namespace

entity_handle::entity_handle(runtime& host, entity_ref ref) : host_{&host} {
  envelope_.entity = std::move(ref);
}

void entity_handle::execute(std::vector<operation> operations,
                            std::function<void(expected<command_result>)> done) const {
  if (host_ == nullptr)
    return done(tl::unexpected(no_runtime()));
  auto request = envelope_;
  request.operations = std::move(operations);
  if (request.once)
    request.once->principal = request.by.user;
  host_->execute(std::move(request), std::move(done));
}

expected<entity_handle::snapshot> entity_handle::readable(expected<snapshot> state) const {
  if (state && (!(**state).live() || !may(**state, ref(), envelope_.by, access::read)))
    return fail(errc::not_found, "there is no " + to_string(ref()));
  return state;
}

void entity_handle::with_state(std::function<void(expected<snapshot>)> done) const {
  if (host_ == nullptr)
    return done(tl::unexpected(no_runtime()));
  host_->read(ref(), [self = *this, done = std::move(done)](expected<snapshot> state) {
    done(self.readable(std::move(state)));
  });
}

// The whole ---------------------------------------------------------------------------------------

call<command_result> entity_handle::apply(std::vector<operation> operations) const {
  return call<command_result>{[self = *this, operations = std::move(operations)](
                                  call<command_result>::callback done) mutable {
    self.execute(std::move(operations), std::move(done));
  }};
}

call<command_result> entity_handle::create(entity_info info) const {
  return apply(one(troupe::create{.info = std::move(info)}));
}

call<command_result> entity_handle::create_new(entity_info info) const {
  return apply(one(troupe::create{.info = std::move(info), .only_if_absent = true}));
}

call<bool> entity_handle::exists() const {
  return call<bool>{[self = *this](const call<bool>::callback& done) {
    self.with_state([done, empty = self.empty()](const expected<snapshot>& state) {
      if (!state && (empty || state.error().code != errc::not_found))
        return done(tl::unexpected(state.error()));
      done(state.has_value());
    });
  }};
}

call<bool> entity_handle::erase() const {
  return call<bool>{[self = *this](const call<bool>::callback& done) {
    self.execute(one(troupe::erase{}),
                 [done, empty = self.empty()](const expected<command_result>& gone) {
                   if (!gone && (empty || gone.error().code != errc::not_found))
                     return done(tl::unexpected(gone.error()));
                   done(gone.has_value());
                 });
  }};
}

call<entity_handle::snapshot> entity_handle::read() const {
  return call<snapshot>{
      [self = *this](call<snapshot>::callback done) { self.with_state(std::move(done)); }};
}

call<entity_handle::snapshot> entity_handle::read_at(std::uint64_t revision) const {
  return call<snapshot>{[self = *this, revision](call<snapshot>::callback done) {
    // Who may read is what the present says.
    self.with_state([=](const expected<snapshot>& present) {
      if (!present || (**present).revision == revision)
        return done(present);
      self.host_->read_at(self.ref(), revision, done);
    });
  }};
}

call<entity_info> entity_handle::info() const {
  return look<entity_info>(
      [](const entity_state& state, timestamp) -> expected<entity_info> { return info_of(state); });
}

call<command_result> entity_handle::update(update_info changes) const {
  return apply(one(std::move(changes)));
}

// Key-value state ---------------------------------------------------------------------------------

call<std::optional<value>> entity_handle::find(std::string name) const {
  return look<std::optional<value>>(
      [name = std::move(name)](const entity_state& state,
                               timestamp now) -> expected<std::optional<value>> {
        const auto* held = troupe::find(state, section::state, name, now);
        return held ? std::optional{held->data} : std::nullopt;
      });
}

call<bool> entity_handle::contains(std::string name) const {
  return look<bool>(
      [name = std::move(name)](const entity_state& state, timestamp now) -> expected<bool> {
        return troupe::find(state, section::state, name, now) != nullptr;
      });
}

call<std::vector<std::string>> entity_handle::keys(std::string pattern) const {
  return look<std::vector<std::string>>(
      [pattern = std::move(pattern)](const entity_state& state,
                                     timestamp now) -> expected<std::vector<std::string>> {
        std::vector<std::string> out;
        for_each_entry(state, section::state, now, [&](std::string_view key, const entry&) {
          if (matches(pattern, key))
            out.emplace_back(key);
        });
        return out;
      });
}

call<value> entity_handle::state() const {
  return look<value>([](const entity_state& state, timestamp now) -> expected<value> {
    return section_as_map(state, section::state, now);
  });
}

call<command_result> entity_handle::set(std::string name, value data, set_options options) const {
  return patch({set_key{.key = std::move(name),
                        .data = std::move(data),
                        .ttl_ms = options.ttl_ms,
                        .expected_revision = options.expected_revision}});
}

call<command_result> entity_handle::unset(std::string name) const {
  return patch({delete_key{.key = std::move(name)}});
}

call<command_result> entity_handle::patch(std::vector<state_op> ops) const {
  return apply(one(patch_state{std::move(ops)}));
}

call<command_result> entity_handle::merge_state(value merge_patch) const {
  return apply(one(troupe::merge_state{std::move(merge_patch)}));
}

call<command_result> entity_handle::clear_state() const {
  return apply(one(troupe::clear_state{}));
}

// Versions ----------------------------------------------------------------------------------------

call<command_result> entity_handle::checkpoint(create_checkpoint what) const {
  return apply(one(std::move(what)));
}

call<std::vector<checkpoint>> entity_handle::checkpoints() const {
  return look<std::vector<troupe::checkpoint>>(
      [](const entity_state& state, timestamp) -> expected<std::vector<troupe::checkpoint>> {
        return checkpoints_of(state);
      });
}

call<command_result> entity_handle::delete_checkpoint(std::string id) const {
  return apply(one(troupe::delete_checkpoint{std::move(id)}));
}

call<command_result> entity_handle::restore(std::variant<std::uint64_t, std::string> to) const {
  return apply(one(troupe::restore{std::move(to)}));
}

call<command_result> entity_handle::undo(std::uint64_t steps) const {
  return apply(one(troupe::undo{steps}));
}

call<command_result> entity_handle::redo(std::uint64_t steps) const {
  return apply(one(troupe::redo{steps}));
}

call<command_result> entity_handle::merge(const entity_handle& fork,
                                          merge_strategy strategy) const {
  return apply(one(merge_fork{.fork = fork.ref(), .base = {}, .theirs = {}, .strategy = strategy}));
}

namespace {

/// What two reads together say.
call<std::vector<difference>> diff_of(call<entity_handle::snapshot> before,
                                      call<entity_handle::snapshot> after) {
  using differences = call<std::vector<difference>>;
  return differences{[before = std::move(before),
                      after = std::move(after)](differences::callback done) mutable {
    std::move(before).then([after = std::move(after),
                            done = std::move(done)](expected<entity_handle::snapshot> old) mutable {
      if (!old)
        return done(tl::unexpected(std::move(old.error())));
      std::move(after).then([old = *std::move(old), done = std::move(done)](
                                const expected<entity_handle::snapshot>& present) {
        done(present ? expected<std::vector<difference>>{diff(*old, **present)}
                     : tl::unexpected(present.error()));
      });
    });
  }};
}

}  // namespace

call<std::vector<difference>> entity_handle::diff(std::uint64_t since) const {
  return diff_of(read_at(since), read());
}

call<std::vector<difference>> entity_handle::diff(const entity_handle& other) const {
  return diff_of(read(), other.read());
}

call<std::string> entity_handle::export_jsonl() const {
  return look<std::string>(
      [ref = ref()](const entity_state& state, timestamp) -> expected<std::string> {
        return troupe::export_jsonl(ref, state);
      });
}

call<std::string> entity_handle::export_markdown() const {
  return look<std::string>(
      [ref = ref()](const entity_state& state, timestamp now) -> expected<std::string> {
        return troupe::export_markdown(ref, state, now);
      });
}

}  // namespace troupe
