// Every checker of the books is proven by a violation that is planted into what a target keeps, and
// the honest target passes.

#include "simulate/generator.hpp"
#include "simulate/load.hpp"
#include "simulate/peers/peers.hpp"
#include <doctest/doctest.h>

#include <algorithm>
#include <functional>
#include <string>

using namespace troupe;
using namespace troupe::simulate;

namespace {

/// A target that lies now and then: about what it was asked, or about what it kept.
class lying final : public driver {
public:
  using write_lie = std::function<bool(driver&, const intent&, callback&)>;  // true: it answered
  using read_lie = std::function<void(const subject&, contents&)>;

  lying(const workload& what, write_lie write, read_lie read)
      : honest_{open_maps(what)},
        write_{std::move(write)},
        read_{std::move(read)} {}

  void send(const intent& what, callback done) override {
    if (!write_ || !write_(*honest_, what, done))
      honest_->send(what, std::move(done));
  }
  expected<contents> read_back(const subject& whom) override {
    auto out = honest_->read_back(whom);
    if (out && read_)
      read_(whom, *out);
    return out;
  }
  target_state state() override { return {}; }
  facts settings() const override { return {}; }

private:
  std::unique_ptr<driver> honest_;
  write_lie write_;
  read_lie read_;
};

workload lively() {
  auto out = built_in_profile("workflow-heavy").value();
  out.sessions = 40;
  out.forks = 0.2;
  out.checkpoints = 0.3;
  return out;
}

/// All that the books say of a run of 4,000 intents, shortened to the kinds of violation.
std::string verdict(lying::write_lie write, lying::read_lie read) {
  const auto what = lively();
  generator wants{what, 21};
  record books{what};
  lying target{what, std::move(write), std::move(read)};
  const auto tick = [](const sample&) { return true; };
  std::uint64_t seeded = 0;
  const load_options fast{.warm_up = {}, .speed = 0, .attempts = 1, .most = 4'000};
  const auto filled = run_load(
      target, books,
      [&]() -> std::optional<intent> {
        return seeded < what.sessions ? std::optional{wants.seed_intent(seeded++)} : std::nullopt;
      },
      fast, tick);
  REQUIRE(filled.done == what.sessions);
  const auto loaded = run_load(
      target, books, [&]() -> std::optional<intent> { return wants.next(); }, fast, tick);
  REQUIRE(loaded.sent == 4'000);
  std::string out;
  for (const auto& whom : books.subjects())
    for (const auto& text : books.check(whom, target.read_back(whom).value())) {
      const auto kind = text.substr(0, text.find(':'));
      if (out.find(kind) == std::string::npos)
        out += (out.empty() ? "" : " ") + kind;
    }
  return out;
}

/// Does something to the n-th append only.
lying::write_lie at_append(int n,
                           std::function<void(driver&, const intent&, driver::callback&)> lie) {
  return [=, left = n](driver& to, const intent& what, driver::callback& done) mutable {
    if (what.what != action::append || --left != 0)
      return false;
    lie(to, what, done);
    return true;
  };
}

void ignore(answer) {}

}  // namespace

TEST_CASE("the books find no fault with an honest target") {
  CHECK(verdict({}, {}) == "");
}

TEST_CASE("an acknowledged change that is not kept is lost") {
  CHECK(verdict(at_append(300, [](driver&, const intent&, auto& done) { done({}); }), {})
        == "lost");
}

TEST_CASE("a change that is made twice is doubled") {
  CHECK(verdict(at_append(300,
                          [](driver& to, const intent& what, auto& done) {
                            to.send(what, ignore);
                            to.send(what, std::move(done));
                          }),
                {})
        == "doubled");
  int notes = 0;
  CHECK(verdict(
            [&](driver& to, const intent& what, auto&) {
              if (what.what == action::note && ++notes == 50)
                to.send(what, ignore);
              return false;
            },
            {})
        == "doubled");
}

TEST_CASE("a refused change that is made is told") {
  CHECK(verdict(at_append(300,
                          [](driver& to, const intent& what, auto& done) {
                            to.send(what, ignore);
                            done({.what = outcome::refused, .why = "planted"});
                          }),
                {})
        == "refused");
}

TEST_CASE("a change of unknown outcome may be there or not and not twice") {
  const auto unknown = [](int times) {
    return at_append(300, [times](driver& to, const intent& what, auto& done) {
      for (int i = 0; i < times; ++i)
        to.send(what, ignore);
      done({.what = outcome::unknown, .why = "planted"});
    });
  };
  CHECK(verdict(unknown(0), {}) == "");
  CHECK(verdict(unknown(1), {}) == "");
  CHECK(verdict(unknown(2), {}) == "doubled");
}

TEST_CASE("a change that goes to another session is no longer isolated") {
  CHECK(verdict(at_append(300,
                          [](driver& to, const intent& what, auto& done) {
                            auto elsewhere = what;
                            elsewhere.whom.number = (what.whom.number + 1) % 40;
                            to.send(elsewhere, std::move(done));
                          }),
                {})
            .find("lost")
        != std::string::npos);
  CHECK(verdict({},
                [](const subject& whom, contents& found) {
                  if (whom == subject{subject_kind::session, 3})
                    found.items.push_back(text_of({subject_kind::session, 4}, 1, 100));
                })
        == "isolation");
}

TEST_CASE("items that change places are out of order") {
  CHECK(verdict({},
                [](const subject& whom, contents& found) {
                  if (whom == subject{subject_kind::session, 3})
                    std::swap(found.items.at(1), found.items.at(2));
                })
        == "order");
}

TEST_CASE("a byte that changes is damage") {
  CHECK(verdict({},
                [](const subject& whom, contents& found) {
                  if (whom == subject{subject_kind::session, 3})
                    found.items.at(2).back() ^= 1;
                })
        == "damaged");
}

TEST_CASE("a note of the past in the place of a newer one is out of order") {
  bool planted = false;
  CHECK(verdict({},
                [&](const subject&, contents& found) {
                  if (!planted && found.last.value_or(0) > 2) {
                    planted = true;
                    found.last = *found.last - 1;
                  }
                })
        == "order");
  CHECK(planted);
}

TEST_CASE("checkpoints that are missing or too many are told") {
  const auto with = [](std::uint64_t more) {
    return [more](const subject& whom, contents& found) {
      if (whom == subject{subject_kind::session, 0})
        *found.checkpoints += more;
    };
  };
  CHECK(verdict({}, with(1)) == "doubled");
  CHECK(verdict({},
                [](const subject&, contents& found) {
                  if (found.checkpoints)
                    found.checkpoints = 0;
                })
        == "lost");
}

TEST_CASE("a session that is gone is lost and one that nobody made is told") {
  CHECK(verdict({},
                [](const subject& whom, contents& found) {
                  if (whom == subject{subject_kind::session, 7})
                    found = {};
                })
        == "lost");
  const auto what = lively();
  const record books{what};
  CHECK(books.check({subject_kind::session, 1'000}, {.exists = true}).size() == 1);
}

TEST_CASE("nodes of a workflow that do not stand where its steps led are told") {
  // The first workflow with a node in each state.
  const auto planted = [](const std::function<void(std::vector<node_found>&)>& lie) {
    return [lie, done = false](const subject& whom, contents& found) mutable {
      const auto has = [&](std::string_view status) {
        return std::ranges::count(found.nodes, status, &node_found::status) > 0;
      };
      if (whom.kind != subject_kind::workflow || done || !has("done") || !has("pending"))
        return;
      done = true;
      lie(found.nodes);
    };
  };
  const auto first = [](std::vector<node_found>& nodes, std::string_view status) -> node_found& {
    return *std::ranges::find(nodes, status, &node_found::status);
  };
  CHECK(verdict({}, planted([](auto&) {})) == "");
  CHECK(verdict({}, planted([&](auto& nodes) {
                  first(nodes, "done") = {first(nodes, "done").id, "running", {}};
                }))
        == "lost");
  CHECK(verdict({}, planted([&](auto& nodes) { first(nodes, "done").result.back() ^= 1; }))
        == "damaged");
  CHECK(verdict({}, planted([&](auto& nodes) {
                  for (auto& node : nodes)
                    if (node.status == "pending")
                      node.status = "running";
                }))
        == "refused");
  CHECK(verdict({}, planted([](auto& nodes) { nodes.clear(); })) == "lost");
  CHECK(verdict({}, planted([](auto& nodes) { nodes.pop_back(); })) == "isolation");
  CHECK(verdict({}, planted([](auto& nodes) { nodes.front().id = "r900-1"; })) == "lost");
}

TEST_CASE("events with a gap or a repeat or another's item are told") {
  const auto item = [](std::uint64_t n) { return text_of({subject_kind::session, 1}, n, 40); };
  const auto told = [&](const std::function<void(event_check&)>& then) {
    event_check check;
    check.on_change("s1", 5, {item(9)});
    check.on_change("s2", 1, {});
    then(check);
    return check.violations().size();
  };
  CHECK(told([&](event_check& c) {
          c.on_change("s1", 6, {item(10), item(11)});
          c.on_end("s1", 6);
        })
        == 0);
  CHECK(told([&](event_check& c) { c.on_change("s1", 7, {}); }) == 1);
  CHECK(told([&](event_check& c) { c.on_change("s1", 5, {}); }) == 1);
  CHECK(told([&](event_check& c) { c.on_change("s1", 6, {item(9)}); }) == 1);
  CHECK(told([&](event_check& c) { c.on_change("s2", 2, {item(10)}); }) == 1);
  CHECK(told([&](event_check& c) { c.on_gap("planted"); }) == 1);
  CHECK(told([&](event_check& c) { c.on_end("s1", 6); }) == 1);
}
