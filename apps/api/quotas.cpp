#include "api/quotas.hpp"

#include <algorithm>
#include <array>
#include <utility>
#include <variant>

namespace troupe::api {

namespace {

constexpr std::int64_t share_of_walking = 20;  // of the store's time: one in so many
constexpr std::uint64_t soon_ms = 1'000;

bool begins_session(const command& what) {
  return what.entity.kind == entity_kind::session && !what.operations.empty()
         && (std::holds_alternative<create>(what.operations.front())
             || std::holds_alternative<fork_from>(what.operations.front()));
}

/// Whose it will be. What nobody owns counts together, as if it were one user's.
std::string owner_of(const command& what) {
  const auto* made = std::get_if<create>(&what.operations.front());
  return made != nullptr ? made->info.user : what.by.user;
}

/// What only removes goes on where nothing may be added.
bool removes(const operation& op) {
  return std::holds_alternative<erase>(op) || std::holds_alternative<pop_items>(op)
         || std::holds_alternative<clear_items>(op) || std::holds_alternative<clear_state>(op);
}

bool only_deletes_keys(const operation& op) {
  const auto* patch = std::get_if<patch_state>(&op);
  return patch != nullptr && std::ranges::all_of(patch->ops, [](const state_op& one) {
           return std::holds_alternative<delete_key>(one);
         });
}

}  // namespace

/// One walk over a namespace, kind by kind and page by page.
struct quotas::walk {
  std::string name_space;
  std::shared_ptr<tally> of;
  timestamp begun{};
  std::size_t kind = 0;  ///< of `kinds`
  std::string after{};
  std::uint64_t bytes = 0;
  std::map<std::string, std::size_t, std::less<>> sessions{};

  static constexpr std::array kinds{entity_kind::session, entity_kind::workflow, entity_kind::team,
                                    entity_kind::user, entity_kind::global};
};

std::shared_ptr<quotas::tally> quotas::counted(const std::string& name_space) {
  const auto now = backend_.now();
  std::shared_ptr<tally> out;
  {
    const std::lock_guard lock{mutex_};
    auto& held = accounts_[name_space];
    if (!held)
      held = std::make_shared<tally>();
    out = held;
    const bool due = !out->known || now.ms - out->walked.ms >= out->every_ms;
    if (out->walking || !due)
      return out;
    out->walking = true;
    out->since.clear();
  }
  walk_on(std::make_shared<walk>(walk{name_space, out, now}));
  return out;
}

void quotas::walk_on(std::shared_ptr<walk> of) {
  if (of->kind == walk::kinds.size())
    return end_walk(*of);
  backend_.list({.name_space = of->name_space,
                 .kind = walk::kinds[of->kind],
                 .after = of->after,
                 .limit = max_listed},
                [this, of](expected<listing> page) {
                  if (!page)
                    return end_walk(*of);
                  for (const auto& [id, header] : page->rows) {
                    of->bytes += header.bytes;
                    if (walk::kinds[of->kind] == entity_kind::session)
                      ++of->sessions[header.user];
                  }
                  of->after = page->next.value_or("");
                  of->kind += page->next ? 0 : 1;
                  walk_on(of);
                });
}

/// One that failed has counted what it saw: the next is due as ever. What was made meanwhile may be
/// counted twice until then.
void quotas::end_walk(const walk& of) {
  const auto now = backend_.now();
  std::vector<std::function<void()>> waited;
  {
    const std::lock_guard lock{mutex_};
    auto& counted = *of.of;
    counted.bytes = of.bytes;
    counted.sessions = of.sessions;
    for (const auto& [user, count] : counted.since)
      counted.sessions[user] += count;
    counted.known = true;
    counted.walking = false;
    counted.walked = now;
    counted.every_ms = std::max<std::int64_t>(1'000, share_of_walking * (now.ms - of.begun.ms));
    waited.swap(counted.waiting);
  }
  for (const auto& go_on : waited)
    go_on();
}

expected<void> quotas::check_bytes(const std::string& name_space) {
  if (limits_.name_space_bytes == 0)
    return {};
  const auto of = counted(name_space);
  const std::lock_guard lock{mutex_};
  if (of->bytes < limits_.name_space_bytes)
    return {};
  return tl::unexpected(error{.code = errc::quota_exceeded,
                              .message = "the namespace holds as many bytes as it may: delete some",
                              .limit = limits_.name_space_bytes});
}

expected<void> quotas::check_sessions(const std::string& name_space, const std::string& user,
                                      std::size_t more) {
  if (limits_.user_sessions == 0)
    return {};
  const auto of = counted(name_space);
  const std::lock_guard lock{mutex_};
  const auto at = of->sessions.find(user);
  if ((at == of->sessions.end() ? 0 : at->second) + more <= limits_.user_sessions)
    return {};
  return tl::unexpected(error{.code = errc::too_many_sessions,
                              .message = user.empty()
                                             ? "nobody owns as many sessions as one user may have: "
                                               "delete some, or say whose this one is (`user`)"
                                             : "this user has as many sessions as may be: delete "
                                               "some",
                              .limit = limits_.user_sessions,
                              .retry_after_ms = soon_ms});
}

void quotas::note_session(const std::string& name_space, const std::string& user) {
  const std::lock_guard lock{mutex_};
  auto& of = *accounts_[name_space];
  ++of.sessions[user];
  if (of.walking)
    ++of.since[user];
}

void quotas::execute(command request, callback done) {
  if (!any())
    return backend_.execute(std::move(request), std::move(done));
  const auto of = counted(request.entity.name_space);
  {
    const std::lock_guard lock{mutex_};
    if (!of->known) {
      of->waiting.emplace_back([this, request = std::move(request), done = std::move(done)] {
        execute_counted(request, done);
      });
      return;
    }
  }
  execute_counted(std::move(request), std::move(done));
}

void quotas::execute_counted(command request, callback done) {
  const auto& name_space = request.entity.name_space;
  const bool adds = !std::ranges::all_of(
      request.operations, [](const operation& op) { return removes(op) || only_deletes_keys(op); });
  if (adds)
    if (auto ok = check_bytes(name_space); !ok)
      return done(tl::unexpected(std::move(ok.error())));
  if (limits_.user_sessions == 0 || request.by.trusted || !begins_session(request))
    return backend_.execute(std::move(request), std::move(done));
  const auto full = check_sessions(name_space, owner_of(request), 1);
  if (full) {
    auto noting = [this, name_space, done = std::move(done)](expected<command_result> made) {
      if (made && made->created && made->state)
        note_session(name_space, std::string{user_of(*made->state)});
      done(std::move(made));
    };
    return backend_.execute(std::move(request), std::move(noting));
  }
  // One that is there already is found as ever.
  const auto ref = request.entity;
  backend_.header(ref, [this, request = std::move(request), done = std::move(done),
                        why = full.error()](expected<entity_header> found) {
    if (!found || found->live())
      return backend_.execute(request, done);
    done(tl::unexpected(why));
  });
}

}  // namespace troupe::api
