#include <troupe/runtime/entity_handle.hpp>

#include <utility>

namespace troupe {

namespace {

/// Reads one scope after the other. The workflow is read first of those behind: its team counts
/// where the entity has none.
class inherited_read : public std::enable_shared_from_this<inherited_read> {
public:
  using done = std::function<void(expected<scope_states>)>;
  using snapshot = entity_handle::snapshot;

  inherited_read(runtime& host, principal by, done call_back)
      : host_{host},
        by_{std::move(by)},
        done_{std::move(call_back)} {}

  void begin(const entity_ref& self, snapshot state) {
    found_.refs = scope_chain(self, *state);
    found_.states.push_back(std::move(state));
    next();
  }

private:
  void next() {
    const auto at = found_.states.size();
    if (at == found_.refs.size())
      return done_(std::move(found_));
    host_.read(found_.refs[at], [self = shared_from_this()](expected<snapshot> state) {
      self->on_read(std::move(state));
    });
  }

  void on_read(expected<snapshot> state) {
    const auto ref = found_.refs[found_.states.size()];
    if (!state)
      return done_(tl::unexpected(std::move(state.error())));
    const bool readable = (**state).live() && may(**state, ref, by_, access::read);
    found_.states.push_back(readable ? *std::move(state) : nullptr);
    if (readable && ref.kind == entity_kind::workflow)
      found_.refs =
          scope_chain(found_.refs.front(), *found_.states.front(), found_.states.back().get());
    next();
  }

  runtime& host_;
  principal by_;
  done done_;
  scope_states found_;
};

}  // namespace

std::vector<scope_view> scope_states::views() const {
  std::vector<scope_view> out;
  for (std::size_t i = 0; i < refs.size(); ++i)
    out.push_back({refs[i], states[i].get()});
  return out;
}

call<scope_states> entity_handle::inherited() const {
  return call<scope_states>{[self = *this](call<scope_states>::callback done) {
    self.with_state([self, done = std::move(done)](expected<snapshot> state) {
      if (!state)
        return done(tl::unexpected(std::move(state.error())));
      std::make_shared<inherited_read>(*self.host_, self.envelope_.by, done)
          ->begin(self.ref(), *std::move(state));
    });
  }};
}

}  // namespace troupe
