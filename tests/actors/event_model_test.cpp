// Subscribers that come and go at random, over restarts, against the list of what was committed.

#include <troupe/persistence/journal_store.hpp>

#include "support/entities.hpp"
#include "support/event_node.hpp"
#include "support/seed.hpp"
#include "support/temp_directory.hpp"

#include <map>
#include <random>

using namespace troupe;
using namespace troupe::testing;

namespace {

/// What the test knows of one committed change.
struct known_change {
  entity_ref entity;
  std::uint64_t revision;
  std::string before, after;  // the workflow it belongs to
  [[nodiscard]] std::string text() const {
    return std::string{to_string(entity.kind)} + '/' + entity.id + ' ' + std::to_string(revision);
  }
};

/// A subscriber that takes some, forgets its subscription now and then, and comes back with the
/// cursor of the last one it took.
struct reader {
  event_filter filter;
  std::function<bool(const known_change&)> wants;
  std::size_t begins = 0;  // of what was committed
  std::optional<std::string> cursor{};
  subscription from{};
  list got{};
};

class world_of_readers {
public:
  world_of_readers(std::uint32_t seed, bool erases) : erases_{erases}, random_{seed} { start(); }

  [[nodiscard]] std::size_t below(std::size_t n) { return random_() % n; }

  void start() {
    journal_options options;
    options.map_bytes = 64 << 20;
    options.slice_bytes = 2 << 10;
    options.tail_bytes = 8 << 10;
    options.check_in_child = false;
    auto opened = journal_store::open(dir_.store(), options, fold_entities());
    REQUIRE_MESSAGE(opened, (opened ? "" : opened.error().message));
    node_ =
        std::make_unique<event_node>(actors_, std::make_unique<journal_store>(*std::move(opened)));
    node_->clock.ms = clock_;
  }

  void restart() {
    node_.reset();
    for (auto& one : readers_) {
      take(one, 1'000'000);
      if (!one.got.empty() && one.got.back() == "end: draining")
        one.got.pop_back();
    }
    start();
    for (auto& one : readers_)
      listen(one);
  }

  void add_reader(event_filter filter, std::function<bool(const known_change&)> wants) {
    readers_.push_back({std::move(filter), std::move(wants), committed_.size()});
    listen(readers_.back());
  }

  void listen(reader& one) {
    one.from = node_->listens(
        {.filter = one.filter, .after = one.cursor, .max_bytes = std::size_t{1} << (8 + below(8))});
  }

  void take(reader& one, std::size_t most) {
    for (; most > 0; --most) {
      const auto next = one.from.try_next();
      if (!next && next.error().code == errc::busy) {
        if (node_)
          listen(one);
        return;
      }
      if (!next)
        one.got.push_back("end: " + std::string{to_string(next.error().code)});
      if (!next || !*next)
        return;
      const auto* gap = std::get_if<event_gap>(&(**next).what);
      if (gap == nullptr || gap->why != event_gap::cause::slow)
        one.got.push_back(text_of(**next));
      one.cursor = (**next).cursor;
    }
  }

  /// Some readers go on, some leave without having taken all and come back.
  void disturb() {
    for (auto left = below(3); left > 0; --left) {
      auto& one = readers_[below(readers_.size())];
      take(one, below(20));
      if (one.cursor && below(2) == 0)
        listen(one);
    }
    for (auto left = below(6); left > 0 && actors_.step(); --left) {
    }
  }

  /// Sends some commands at once, so that they share transactions, and notes what was made.
  void write() {
    struct sent {
      entity_ref entity;
      std::optional<std::string> workflow;  // set by it; empty: none
      event_node::answer answer;
    };
    std::vector<sent> all;
    for (auto left = 1 + below(12); left > 0; --left) {
      const auto entity = below(8) == 0
                              ? workflow_ref(below(2) == 0 ? "v" : "w")
                              : session_ref(std::string(1, static_cast<char>('a' + below(5))));
      auto [what, workflow] = any(entity);
      all.push_back(
          {entity, workflow, node_->send({.entity = entity, .operations = {std::move(what)}})});
      if (below(4) == 0)
        disturb();
    }
    disturb();
    actors_.run();
    for (auto& [entity, workflow, answer] : all) {
      REQUIRE(answer->has_value());
      if (!**answer || !(**answer)->changed)
        continue;
      auto& now = workflow_of_[entity];
      const auto before = now;
      if (workflow)
        now = *workflow;
      // Of one entity they were sent in order; between entities the journal knows the order.
      pending_.push_back({entity, (**answer)->revision, before, now});
    }
    order_pending();
  }

  void goes_on() {
    for (int round = 1; round <= 60; ++round) {
      write();
      if (round % 9 == 0)
        restart();
      if (round % 20 == 0)
        check();
    }
    CHECK(committed_.size() > 150);
  }

  void check() {
    actors_.run();
    for (auto& one : readers_) {
      for (int i = 0; i < 100; ++i) {  // those that are narrow take many turns
        take(one, 1'000'000);
        actors_.run();
      }
      list wanted;
      for (auto i = one.begins; i < committed_.size(); ++i)
        if (one.wants(committed_[i]))
          wanted.push_back(committed_[i].text());
      CHECK(one.got == wanted);
    }
  }

private:
  std::pair<operation, std::optional<std::string>> any(const entity_ref& entity) {
    const std::string workflow = std::array{"", "v", "w"}[below(3)];
    switch (below(entity.kind == entity_kind::session ? 8 : 3)) {
      case 0:
        if (erases_ && below(4) == 0)
          return {erase{}, ""};
        [[fallthrough]];
      case 1: return {patch_state{{add_to{"n", value{1}}}}, {}};
      case 2: {
        if (entity.kind != entity_kind::session)
          return {create{}, {}};
        return {create{{.workflow = workflow}}, workflow};
      }
      case 3: return {update_info{.workflow = workflow}, workflow};
      default: return {item(std::string(1 + below(200), 'x')), {}};
    }
  }

  /// By the journal, read through a plain subscription from where the last round ended.
  void order_pending() {
    auto journal = node_->listens({.after = "s0-1-" + std::to_string(position_)});
    actors_.run();
    while (!pending_.empty()) {
      const auto next = journal.try_next();
      REQUIRE(next);
      REQUIRE_MESSAGE(*next, "the journal has fewer changes than were acknowledged");
      const auto text = text_of(**next);
      const auto at = std::find_if(pending_.begin(), pending_.end(),
                                   [&](const auto& x) { return x.text() == text; });
      REQUIRE_MESSAGE(at != pending_.end(), text);
      committed_.push_back(*at);
      pending_.erase(at);
      ++position_;
    }
    clock_ += 1'000;
    node_->clock.ms = clock_;
  }

  temp_directory dir_;
  bool erases_;
  std::mt19937 random_;
  std::int64_t clock_ = 1'000'000;
  deterministic_system actors_;
  std::unique_ptr<event_node> node_;
  std::vector<reader> readers_;
  std::vector<known_change> committed_, pending_;
  std::map<entity_ref, std::string> workflow_of_;
  std::uint64_t position_ = 0;
};

}  // namespace

TEST_CASE("readers that come back at random over restarts get each committed change in order") {
  const auto first = static_cast<std::uint32_t>(campaign_seed());
  for (auto seed = first; seed < first + 3; ++seed) {
    CAPTURE(seed);
    world_of_readers world{seed, true};
    world.add_reader({}, [](const auto&) { return true; });
    world.add_reader({.entity = session_ref("a")},
                     [](const auto& x) { return x.entity == session_ref("a"); });
    world.add_reader({.kinds = {entity_kind::workflow}},
                     [](const auto& x) { return x.entity.kind == entity_kind::workflow; });
    world.goes_on();
  }
}

TEST_CASE("readers of a workflow get what its sessions did while they belonged to it") {
  const auto first = static_cast<std::uint32_t>(campaign_seed());
  for (auto seed = first; seed < first + 3; ++seed) {
    CAPTURE(seed);
    world_of_readers world{seed, false};
    for (const std::string id : {"v", "w"})
      world.add_reader({.entity = workflow_ref(id), .children = true}, [id](const auto& x) {
        return x.entity == workflow_ref(id)
               || (x.entity.kind == entity_kind::session && (x.before == id || x.after == id));
      });
    world.goes_on();
  }
}

TEST_CASE(
    "a cursor behind which the journal was freed is a gap but what an entity promises is told") {
  const temp_directory dir;
  deterministic_system world;
  journal_options options;
  options.map_bytes = 64 << 20;
  options.tail_bytes = 1;
  options.covered_bytes = 0;
  auto opened = journal_store::open(dir.store(), options, fold_entities());
  REQUIRE(opened);
  event_node node{world, std::make_unique<journal_store>(*std::move(opened))};
  REQUIRE(node.execute(session_ref("a"), create{}));
  REQUIRE(node.execute(session_ref("b"), create{}));
  REQUIRE(node.execute(session_ref("a"), item()));
  REQUIRE(node.execute(session_ref("b"), erase{}));
  compat::anon_send(node.store, materialise_all{});
  world.run();
  auto old = node.listens({.filter = {}, .after = "s0-1-3"});
  auto newest = node.listens({.filter = {}, .after = "s0-1-4"});
  auto a = node.listens({.filter = {.entity = session_ref("a")}, .after = "1-1"});
  auto b = node.listens({.filter = {.entity = session_ref("b")}, .after = "1-0"});
  world.run();
  REQUIRE(node.execute(session_ref("a"), item()));
  CHECK(taken(old) == list{"gap 0 s0-1-4", "session/a 3"});
  CHECK(taken(newest) == list{"session/a 3"});
  CHECK(taken(a) == list{"session/a 2", "session/a 3"});
  CHECK(taken(b) == list{"gap 2 1-2"});
}
