#include <troupe/actors/internal/wait_for.hpp>
#include <troupe/runtime/checkpoints.hpp>
#include <troupe/state/inherit.hpp>

#include <memory>
#include <optional>
#include <utility>

namespace troupe {

namespace {

/// The metadata of each of the checkpoints. They stand on disk.
namespace key {
constexpr std::string_view entities = "troupe.together", given = "metadata", made = "made",
                           kind = "kind", id = "id";
}  // namespace key

value metadata_of(const create_checkpoint& what, const std::vector<entity_ref>& entities,
                  timestamp now) {
  value_writer all;
  all.begin_array(entities.size());
  for (const auto& one : entities)
    all.raw(value::map({{key::kind, static_cast<std::uint64_t>(one.kind)}, {key::id, one.id}}));
  return value::map(
      {{key::entities, all.finish()}, {key::made, now.ms}, {key::given, what.metadata}});
}

std::optional<shared_checkpoint> read_shared(checkpoint own, const std::string& name_space) {
  const auto listed = own.metadata.view().find(key::entities);
  const auto given = own.metadata.view().find(key::given);
  if (!listed || !given)
    return std::nullopt;
  shared_checkpoint out;
  for (auto at = listed->children(); at.next();) {
    const auto kind = at.item().find(key::kind);
    const auto id = at.item().find(key::id);
    if (!kind || !id || !id->as_string())
      return std::nullopt;
    out.entities.push_back({name_space, static_cast<entity_kind>(kind->as_uint64().value_or(0)),
                            std::string{*id->as_string()}});
  }
  own.metadata = value{*given};
  out.own = std::move(own);
  return out;
}

/// One attempt after another, each upon what all of them are at one moment.
class restoring : public std::enable_shared_from_this<restoring> {
public:
  restoring(runtime& node, std::string id, std::function<void(expected<change_set_result>)> done,
            set_origin origin)
      : node_{node},
        id_{std::move(id)},
        done_{std::move(done)},
        origin_{std::move(origin)} {}

  void begin(const entity_ref& of) {
    node_.read(of, [self = shared_from_this(), of](expected<runtime::snapshot> found) {
      if (!found)
        return self->done_(tl::unexpected(std::move(found.error())));
      const auto one = find_checkpoint(**found, self->id_);
      const auto shared = one ? read_shared(*one, of.name_space) : std::nullopt;
      if (!shared)
        return self->done_(fail(errc::not_found, "no such checkpoint of several entities", "/id"));
      self->metadata_ = one->metadata;
      self->entities_ = shared->entities;
      self->look();
    });
  }

private:
  static constexpr int attempts = 8;  // then: revision_conflict

  void look() {
    node_.read_all(entities_,
                   [self = shared_from_this()](expected<std::vector<runtime::snapshot>> found) {
                     if (!found)
                       return self->done_(tl::unexpected(std::move(found.error())));
                     self->restore_from(*found);
                   });
  }

  void restore_from(const std::vector<runtime::snapshot>& states) {
    change_set what{.commands = {}, .once = origin_.once};
    for (std::size_t i = 0; i < entities_.size(); ++i) {
      const auto one = find_checkpoint(*states[i], id_);
      if (!one || one->metadata != metadata_)
        return done_(tl::unexpected(refusal_of(
            i, entities_[i], {.code = errc::not_found, .message = "its checkpoint is gone"})));
      what.commands.push_back({.entity = entities_[i],
                               .operations = {restore{id_}},
                               .expected_revision = states[i]->revision,
                               .by = origin_.by});
    }
    node_.execute_all(std::move(what), [self = shared_from_this()](
                                           expected<change_set_result> answer) {
      if (!answer && answer.error().code == errc::revision_conflict && ++self->tried_ < attempts)
        self->look();
      else
        self->done_(std::move(answer));
    });
  }

  runtime& node_;
  std::string id_;
  std::function<void(expected<change_set_result>)> done_;
  set_origin origin_;
  std::vector<entity_ref> entities_{};
  value metadata_{};
  int tried_ = 0;
};

}  // namespace

void checkpoint_all(runtime& node, create_checkpoint what, std::vector<entity_ref> entities,
                    std::function<void(expected<change_set_result>)> done,
                    const set_origin& origin) {
  what.metadata = metadata_of(what, entities, node.now());
  change_set all{.commands = {}, .once = origin.once};
  for (auto& one : entities)
    all.commands.push_back({.entity = std::move(one), .operations = {what}, .by = origin.by});
  node.execute_all(std::move(all), std::move(done));
}

void restore_all(runtime& node, const entity_ref& of, const std::string& id,
                 std::function<void(expected<change_set_result>)> done, set_origin origin) {
  std::make_shared<restoring>(node, id, std::move(done), std::move(origin))->begin(of);
}

std::vector<shared_checkpoint> shared_checkpoints_of(const entity_ref& of,
                                                     const entity_state& state) {
  std::vector<shared_checkpoint> out;
  for (auto& one : checkpoints_of(state))
    if (auto shared = read_shared(std::move(one), of.name_space))
      out.push_back(*std::move(shared));
  return out;
}

void scopes_of(runtime& node, const entity_ref& of,
               std::function<void(expected<std::vector<entity_ref>>)> done) {
  const auto finish = [&node, of, done](const entity_state& state, const entity_state* workflow) {
    auto all = scope_chain(of, state, workflow);
    node.read_all(all, [all, done](expected<std::vector<runtime::snapshot>> found) {
      if (!found)
        return done(tl::unexpected(std::move(found.error())));
      std::vector<entity_ref> out;
      for (std::size_t i = 0; i < all.size(); ++i)
        if ((*found)[i]->live())
          out.push_back(all[i]);
      done(std::move(out));
    });
  };
  node.read(of, [&node, of, done, finish](expected<runtime::snapshot> state) {
    if (!state)
      return done(tl::unexpected(std::move(state.error())));
    const auto workflow = info_of(**state).workflow;
    if (of.kind >= entity_kind::workflow || workflow.empty())
      return finish(**state, nullptr);
    node.read({of.name_space, entity_kind::workflow, workflow},
              [done, finish, state = *state](expected<runtime::snapshot> found) {
                if (!found)
                  return done(tl::unexpected(std::move(found.error())));
                finish(*state, (**found).live() ? found->get() : nullptr);
              });
  });
}

expected<change_set_result> checkpoint_all(runtime& node, create_checkpoint what,
                                           std::vector<entity_ref> entities,
                                           std::chrono::milliseconds deadline) {
  return internal::wait_for<change_set_result>(deadline, [&](auto done) {
    checkpoint_all(node, std::move(what), std::move(entities), std::move(done));
  });
}

expected<change_set_result> restore_all(runtime& node, const entity_ref& of, const std::string& id,
                                        std::chrono::milliseconds deadline) {
  return internal::wait_for<change_set_result>(
      deadline, [&](auto done) { restore_all(node, of, id, std::move(done)); });
}

expected<std::vector<entity_ref>> scopes_of(runtime& node, const entity_ref& of,
                                            std::chrono::milliseconds deadline) {
  return internal::wait_for<std::vector<entity_ref>>(
      deadline, [&](auto done) { scopes_of(node, of, std::move(done)); });
}

}  // namespace troupe
