#include <troupe/actors/internal/ask_once.hpp>
#include <troupe/runtime/internal/node_parts.hpp>
#include <troupe/runtime/maintenance.hpp>
#include <troupe/runtime/runtime_actor.hpp>
#include <troupe/state/codec.hpp>

#include <memory>
#include <utility>

namespace troupe {

namespace {

template <class Answer>
using callback = std::function<void(expected<Answer>)>;

/// Asks the store; the runtime is not closed before `done` was called.
template <class Answer, class Message>
void ask_store(const internal::node_parts& parts, Message what, callback<Answer> done) {
  internal::ask_once(parts.system, parts.store, std::move(what),
                     completion<Answer>{[asking = parts.asking, done = std::move(done)](
                                            expected<Answer> x) { done(std::move(x)); }});
}

/// Reads the file, has it stored, and sees to it that no actor goes on with the emptiness it knew.
class importer {
public:
  importer(const internal::node_parts& parts, callback<std::vector<entity_ref>> done)
      : parts_{parts},
        done_{std::move(done)} {}

  void run(caf::event_based_actor* self, import_request& what) {
    auto read = what.msgpack ? import_msgpack(what.file, what.limits)
                             : import_jsonl(what.file, what.limits);
    what.file = {};
    if (!read)
      return done_(tl::unexpected(std::move(read.error())));
    adopt_entities all;
    for (auto& one : *read) {
      if (auto ok = what.admit ? what.admit(one) : expected<void>{}; !ok)
        return done_(tl::unexpected(std::move(ok.error())));
      all.entities.push_back({one.ref, one.state.revision, encode(one.state)});
      imported_.push_back(std::move(one.ref));
    }
    const auto me = std::make_shared<importer>(std::move(*this));
    compat::request(self, me->parts_.store, std::move(all))
        .then([self, me](const adopted&) { me->read_again(self, me); },
              [me](const caf::error& why) { me->done_(tl::unexpected(from_caf(why))); });
  }

private:
  void read_again(caf::event_based_actor* self, const std::shared_ptr<importer>& me) {
    if (imported_.empty())
      return done_(imported_);
    left_ = imported_.size();
    const auto one_less = [me] {
      if (--me->left_ == 0)
        me->done_(me->imported_);
    };
    for (const auto& one : imported_)
      compat::request(self, parts_.supervisor, troupe::read_again{one})
          .then(one_less, [one_less](const caf::error&) { one_less(); });
  }

  internal::node_parts parts_;
  completion<std::vector<entity_ref>> done_;
  std::vector<entity_ref> imported_{};
  std::size_t left_ = 0;
};

}  // namespace

void import_entities(runtime& node, import_request what, callback<std::vector<entity_ref>> done) {
  auto parts = internal::actor_access::parts_of(node);
  if (!parts)
    return done(tl::unexpected(std::move(parts.error())));
  parts->system.spawn<caf::detached>(
      [imports = importer{*parts, std::move(done)},
       what = std::move(what)](caf::event_based_actor* self) mutable { imports.run(self, what); });
}

void erase_remains(runtime& node, const entity_ref& of, callback<erasure> done) {
  auto parts = internal::actor_access::parts_of(node);
  if (!parts)
    return done(tl::unexpected(std::move(parts.error())));
  ask_store<erasure>(*parts, erase_entity{of}, std::move(done));
}

void back_up(runtime& node, const std::filesystem::path& to, bool compacting,
             callback<backup_made> done) {
  auto parts = internal::actor_access::parts_of(node);
  if (!parts)
    return done(tl::unexpected(std::move(parts.error())));
  ask_store<backup_made>(*parts, make_backup{to, compacting, parts->goes_on}, std::move(done));
}

void make_room(runtime& node, std::uint64_t kept_bytes, callback<room_made> done) {
  auto parts = internal::actor_access::parts_of(node);
  if (!parts)
    return done(tl::unexpected(std::move(parts.error())));
  ask_store<store_stats>(
      *parts, get_store_stats{},
      [parts = *parts, kept_bytes, done = std::move(done)](expected<store_stats> before) {
        if (!before)
          return done(tl::unexpected(std::move(before.error())));
        ask_store<store_stats>(
            parts, free_room{kept_bytes}, [before = *before, done](expected<store_stats> after) {
              done(after.map([&](const store_stats& x) { return room_made{before, x}; }));
            });
      });
}

}  // namespace troupe
