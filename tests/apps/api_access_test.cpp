#include "api/access.hpp"
#include "support/temp_directory.hpp"
#include <doctest/doctest.h>

#include <algorithm>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

/// The one way to an entity, as principals that are not trusted go it.

using namespace troupe;

namespace {

/// Waits for a callback.
template <class T, class Start>
expected<T> answer_of(Start&& start) {
  auto promise = std::make_shared<std::promise<expected<T>>>();
  auto answer = promise->get_future();
  start([promise](expected<T> x) { promise->set_value(std::move(x)); });
  return answer.get();
}

struct fixture {
  fixture() {
    auto opened =
        runtime::open({.data = directory.store(), .now = [] { return timestamp{1'000}; }});
    REQUIRE_MESSAGE(opened, opened.error().message);
    node = *std::move(opened);
    doors.emplace(*node, [] { return std::array<std::uint64_t, 2>{1, 2}; });
  }

  static api::identity user(const std::string& name) {
    return {.by = {.user = name}, .held = api::role::writer};
  }
  [[nodiscard]] api::entity_access as(const api::identity& who, const std::string& id) const {
    auto found = doors->resolve(who, entity_kind::session, id);
    REQUIRE(found);
    return *found;
  }
  static expected<command_result> execute(const api::entity_access& entity, operation what) {
    return answer_of<command_result>([&](auto done) {
      entity.execute({.entity = session_ref("ignored"), .operations = {what}}, std::move(done));
    });
  }
  static std::optional<errc> code(const api::entity_access& entity) {
    const auto state =
        answer_of<runtime::snapshot>([&](auto done) { entity.read(false, std::move(done)); });
    const auto header =
        answer_of<entity_header>([&](auto done) { entity.header(std::move(done)); });
    const auto past =
        answer_of<runtime::snapshot>([&](auto done) { entity.read_at(1, std::move(done)); });
    CHECK(state.has_value() == header.has_value());
    CHECK(state.has_value() == past.has_value());
    if (state)
      return std::nullopt;
    CHECK(state.error() == header.error());
    CHECK(state.error() == past.error());
    return state.error().code;
  }
  [[nodiscard]] std::string listed(const api::identity& who) const {
    const auto page = answer_of<listing>([&](auto done) { doors->list(who, {}, std::move(done)); });
    REQUIRE(page);
    std::string out;
    for (const auto& row : page->rows)
      out += row.id + ' ';
    return out;
  }

  testing::temp_directory directory;
  std::unique_ptr<runtime> node;
  std::optional<api::gate> doors;
};

create of(const std::string& user) {
  return {.info = {.user = user}};
}

}  // namespace

TEST_CASE_FIXTURE(fixture, "what a principal may not read is as absent as what is not there") {
  const auto ann = user("ann"), bob = user("bob");
  REQUIRE(execute(as(ann, "hers"), of("ann")));
  REQUIRE(execute(as(bob, "his"), of("bob")));
  REQUIRE(execute(as(bob, "shared"), of("bob")));
  REQUIRE(
      execute(as(bob, "shared"), update_info{.shares = std::vector{share{"ann", access::read}}}));
  REQUIRE(execute(as(ann, "anybodys"), create{}));
  CHECK(!code(as(ann, "hers")));
  CHECK(!code(as(ann, "shared")));
  CHECK(!code(as(ann, "anybodys")));
  CHECK(code(as(ann, "his")) == errc::not_found);
  CHECK(code(as(ann, "nobodys")) == errc::not_found);
  CHECK(listed(ann) == "anybodys hers shared ");
  CHECK(listed(bob) == "anybodys his shared ");
  CHECK(listed(api::identity{}) == "anybodys hers his shared ");
}

TEST_CASE_FIXTURE(fixture, "a command is executed on the resolved entity on behalf of who asks") {
  const auto ann = user("ann"), bob = user("bob");
  REQUIRE(execute(as(bob, "his"), of("bob")));
  CHECK(execute(as(ann, "his"), append_items{{value::map({})}}).error().code == errc::not_found);
  CHECK(execute(as(ann, "new"), of("bob")).error().code == errc::forbidden);
  CHECK(node->header(session_ref("ignored"))->status == lifecycle::absent);
  CHECK(!doors->resolve(ann, entity_kind::session, std::string(257, 'x')));
}

TEST_CASE_FIXTURE(fixture, "a page ends after ten thousand entities that a filter left out") {
  constexpr std::size_t many = 10'001, at_once = 500;
  const auto name = [](std::size_t i) { return std::to_string(100'000 + i); };
  for (std::size_t begin = 0; begin < many; begin += at_once) {
    std::vector<std::future<bool>> made;
    for (auto i = begin; i < std::min(many, begin + at_once); ++i) {
      const auto promise = std::make_shared<std::promise<bool>>();
      made.push_back(promise->get_future());
      node->execute({.entity = session_ref(name(i)),
                     .operations = {of(i + 1 == many ? "eve" : "bob")},
                     .level = durability::relaxed},
                    [promise](const auto& done) { promise->set_value(done.has_value()); });
    }
    for (auto& one : made)
      REQUIRE(one.get());
  }
  const auto page = [&](std::string after) {
    list_request of_eve{.after = std::move(after),
                        .wanted = [](const entity_header& header) { return header.user == "eve"; }};
    return answer_of<listing>([&](auto done) { doors->list({}, of_eve, std::move(done)); }).value();
  };
  const auto first = page("");
  CHECK(first.rows.empty());
  REQUIRE(first.next == name(many - 2));
  const auto second = page(*first.next);
  REQUIRE(second.rows.size() == 1);
  CHECK(second.rows[0].id == name(many - 1));
  CHECK(!second.next);
}

TEST_CASE_FIXTURE(fixture, "namespaces never see each other") {
  const auto ann = user("ann");
  auto elsewhere = ann;
  elsewhere.name_space = "other";
  REQUIRE(execute(as(ann, "a"), of("ann")));
  CHECK(code(as(elsewhere, "a")) == errc::not_found);
  CHECK(listed(elsewhere) == "");
}
