#include "api/access.hpp"

#include <algorithm>
#include <utility>

namespace troupe::api {

namespace {

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
    case role::reader: return "reader";
    case role::writer: return "writer";
    case role::admin: return "admin";
  }
  return "admin";
}

unexpected entity_access::absent() const {
  return fail(errc::not_found, "no such " + std::string{troupe::to_string(ref_.kind)});
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
  backend_->execute(std::move(request), std::move(done));
}

expected<entity_access> gate::resolve(const identity& who, entity_kind kind,
                                      std::string_view id) const {
  auto checked = checked_id(id);
  if (!checked)
    return tl::unexpected(std::move(checked.error()));
  return entity_access{backend_, {who.name_space, kind, *std::move(checked)}, who.by};
}

void gate::list(const identity& who, list_request request,
                std::function<void(expected<listing>)> done) const {
  request.name_space = who.name_space;
  request.wanted = [kind = request.kind, by = who.by,
                    filter = std::move(request.wanted)](const entity_header& header) {
    return header.live() && may_read(header, kind, by) && (!filter || filter(header));
  };
  backend_.list(std::move(request), std::move(done));
}

}  // namespace troupe::api
