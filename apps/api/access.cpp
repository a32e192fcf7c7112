#include "api/access.hpp"

#include <troupe/runtime/checkpoints.hpp>

#include "api/quotas.hpp"
#include "api/tokens.hpp"
#include "http/message.hpp"

#include <algorithm>
#include <utility>

namespace troupe::api {

namespace {

// Entities for a page; then: it ends there, with a cursor, so that commits go on between pages.
constexpr std::size_t looked_at_once = 10'000;

bool may_read(const entity_header& header, entity_kind kind, const principal& who) {
  if (who.trusted || (header.user == who.user && !who.user.empty()))
    return true;
  if (kind == entity_kind::user)
    return false;
  return header.user.empty() || std::ranges::find(header.readers, who.user) != header.readers.end();
}

}  // namespace

std::string_view to_string(role what) noexcept {
  switch (what) {
    case role::anybody: return "anybody";
    case role::reader: return "reader";
    case role::writer: return "writer";
    case role::admin: return "admin";
  }
  return "admin";
}

std::optional<role> role_named(std::string_view text) noexcept {
  for (const auto one : {role::reader, role::writer, role::admin}) {
    if (text == to_string(one))
      return one;
  }
  return std::nullopt;
}

unexpected entity_access::absent() const {
  auto text = "no such " + std::string{troupe::to_string(ref_.kind)};
  if (ref_.kind == entity_kind::global)
    text += ": `PUT /v1/global` makes it";
  if (ref_.kind == entity_kind::user)
    text += ": `PUT /v1/users/{id}` makes it";
  return fail(errc::not_found, std::move(text));
}

void entity_access::read(bool latest, std::function<void(expected<snapshot>)> done) const {
  auto check = [self = *this, done = std::move(done)](expected<snapshot> state) {
    if (state && !((**state).live() && may(**state, self.ref_, self.by_, access::read)))
      return done(self.absent());
    done(std::move(state));
  };
  if (latest)
    backend_->read_latest(ref_, std::move(check));
  else
    backend_->read(ref_, std::move(check));
}

void entity_access::read_at(std::uint64_t revision,
                            std::function<void(expected<snapshot>)> done) const {
  read(false, [self = *this, revision, done = std::move(done)](expected<snapshot> now) {
    if (!now || (**now).revision == revision)
      return done(std::move(now));
    if (revision < (**now).first_revision || revision > (**now).revision)
      return done(fail(errc::revision_gone, "revisions " + std::to_string((**now).first_revision)
                                                + " to " + std::to_string((**now).revision)
                                                + " belong to it"));
    self.backend_->read_at(self.ref_, revision, done);
  });
}

void entity_access::header(std::function<void(expected<entity_header>)> done) const {
  backend_->header(ref_, [self = *this, done = std::move(done)](expected<entity_header> found) {
    if (found && !(found->live() && may_read(*found, self.ref_.kind, self.by_)))
      return done(self.absent());
    done(std::move(found));
  });
}

void entity_access::execute(command request,
                            std::function<void(expected<command_result>)> done) const {
  request.entity = ref_;
  request.by = by_;
  if (ref_.kind == entity_kind::global || ref_.kind == entity_kind::user)
    done = [self = *this, done = std::move(done)](expected<command_result> result) {
      if (!result && result.error().code == errc::not_found && result.error().path.empty())
        return done(self.absent());
      done(std::move(result));
    };
  if (quotas_ != nullptr)
    quotas_->execute(std::move(request), std::move(done));
  else
    backend_->execute(std::move(request), std::move(done));
}

bool gate::needs_tokens() const {
  return tokens_ != nullptr && tokens_->needed();
}

std::optional<identity> gate::identify(const std::string* authorization) const {
  if (!needs_tokens())
    return identity{};
  constexpr std::string_view scheme = "Bearer ";
  if (authorization == nullptr || authorization->size() < scheme.size()
      || !http::iequals(std::string_view{*authorization}.substr(0, scheme.size()), scheme))
    return std::nullopt;
  return tokens_->find(std::string_view{*authorization}.substr(scheme.size()), now());
}

bool gate::still_holds(const identity& who) const {
  return tokens_ == nullptr || tokens_->holds(who, now());
}

expected<entity_access> gate::resolve(const identity& who, entity_kind kind,
                                      std::string_view id) const {
  auto checked = checked_id(id);
  if (!checked)
    return tl::unexpected(std::move(checked.error()));
  return entity_access{backend_, quotas_, {who.name_space, kind, *std::move(checked)}, who.by};
}

void gate::list(const identity& who, list_request request,
                std::function<void(expected<listing>)> done) const {
  request.name_space = who.name_space;
  request.look_at = looked_at_once;
  request.wanted = [kind = request.kind, by = who.by,
                    filter = std::move(request.wanted)](const entity_header& header) {
    return header.live() && may_read(header, kind, by) && (!filter || filter(header));
  };
  backend_.list(std::move(request), std::move(done));
}

void gate::execute_all(const identity& who, change_set what,
                       std::function<void(expected<change_set_result>)> done) const {
  if (auto ok = quotas_ ? quotas_->check_bytes(who.name_space) : expected<void>{}; !ok)
    return done(tl::unexpected(std::move(ok.error())));
  for (auto& one : what.commands) {
    one.entity.name_space = who.name_space;
    one.by = who.by;
  }
  backend_.execute_all(std::move(what), std::move(done));
}

void gate::checkpoint_all(const identity& who, const entity_access& of, create_checkpoint what,
                          std::optional<idempotency> once,
                          std::function<void(expected<change_set_result>)> done) const {
  of.header([node = &backend_, ref = of.ref(), what = std::move(what),
             origin = set_origin{who.by, std::move(once)},
             done = std::move(done)](expected<entity_header> found) {
    if (!found)
      return done(tl::unexpected(std::move(found.error())));
    scopes_of(*node, ref, [node, what, origin, done](expected<std::vector<entity_ref>> scopes) {
      if (!scopes)
        return done(tl::unexpected(std::move(scopes.error())));
      troupe::checkpoint_all(*node, what, *std::move(scopes), done, origin);
    });
  });
}

void gate::restore_all(const identity& who, const entity_access& of, const std::string& id,
                       std::optional<idempotency> once,
                       std::function<void(expected<change_set_result>)> done) const {
  of.header([node = &backend_, ref = of.ref(), id, origin = set_origin{who.by, std::move(once)},
             done = std::move(done)](expected<entity_header> found) {
    if (!found)
      return done(tl::unexpected(std::move(found.error())));
    troupe::restore_all(*node, ref, id, done, origin);
  });
}

void gate::subscribe(const identity& who, const std::optional<entity_access>& of,
                     subscribe_options options,
                     std::function<void(expected<subscription>)> done) const {
  options.filter.name_space = who.name_space;
  const entity_ref own{who.name_space, entity_kind::user, who.by.user};
  if (!of) {
    if (!who.by.trusted) {
      options.filter.entity = own;
      options.filter.children = true;
    }
    return done(backend_.subscribe(std::move(options)));
  }
  options.filter.entity = of->ref();
  if (options.filter.children && !who.by.trusted && of->ref() != own)
    return done(fail(errc::forbidden, "the children of others are for an admin"));
  of->header([node = &backend_, options = std::move(options),
              done = std::move(done)](expected<entity_header> found) {
    if (!found)
      return done(tl::unexpected(std::move(found.error())));
    done(node->subscribe(options));
  });
}

namespace {

/// As a `create` of the same would be.
bool may_create(const exported_entity& what, const principal& who) {
  if (who.trusted)
    return true;
  if (what.ref.kind == entity_kind::user)
    return what.ref.id == who.user;
  const auto owner = user_of(what.state);
  return owner.empty() || owner == who.user;
}

}  // namespace

void gate::import(const identity& who, import_request what,
                  std::function<void(expected<std::vector<entity_ref>>)> done) const {
  if (auto ok = quotas_ ? quotas_->check_bytes(who.name_space) : expected<void>{}; !ok)
    return done(tl::unexpected(std::move(ok.error())));
  what.admit = [who, limits = quotas_,
                sessions = std::size_t{0}](exported_entity& one) mutable -> expected<void> {
    one.ref.name_space = who.name_space;
    if (limits != nullptr && !who.by.trusted && one.ref.kind == entity_kind::session)
      if (auto ok = limits->check_sessions(who.name_space, who.by.user, ++sessions); !ok)
        return ok;
    if (!may_create(one, who.by))
      return fail(errc::forbidden, std::string{troupe::to_string(one.ref.kind)} + " '" + one.ref.id
                                       + "' is of another user; an admin imports it");
    return {};
  };
  import_entities(backend_, std::move(what), std::move(done));
}

void gate::back_up(const std::string& name, bool compacting,
                   std::function<void(expected<backup_made>)> done) const {
  if (settings.backups.empty())
    return done(fail(errc::not_supported,
                     "this node was started without --backups DIR, which says where they go"));
  troupe::back_up(backend_, settings.backups / name, compacting, std::move(done));
}

void gate::clean_up(const identity& who, cleanup what,
                    std::function<void(expected<cleanup_report>)> done) const {
  what.name_space = who.name_space;
  backend_.clean_up(what, std::move(done));
}

}  // namespace troupe::api
