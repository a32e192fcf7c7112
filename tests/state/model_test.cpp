/// Random commands against every scope, each answered by the product and by a naive model that
/// knows only what the headers promise; after each of them all reads are compared, and after each
/// sequence replay, folding, differences and old copies. 100,000 commands over all five tests.
///
/// A failure names its seed and tells the last commands. The seed is fixed, so that a run is the
/// same as the one before; TROUPE_SEED=N takes another and TROUPE_SEQUENCES=N makes a run longer or
/// shorter (200 sequences of 100 commands for each scope):
///
///     TROUPE_SEED=$RANDOM TROUPE_SEQUENCES=5000 build/dev/tests/model_test

#include "../support/model_world.hpp"
#include <doctest/doctest.h>

#include <cstdlib>
#include <string>

using namespace troupe;
using namespace troupe::testing;

namespace {

std::uint64_t from_environment(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text && *text ? std::strtoull(text, nullptr, 10) : otherwise;
}

std::string last_of(const std::vector<std::string>& story) {
  std::string out;
  for (auto i = story.size() - std::min<std::size_t>(story.size(), 25); i < story.size(); ++i)
    out += "\n  " + story[i];
  return out;
}

void agrees_with_the_model(entity_kind kind) {
  const auto seed = from_environment("TROUPE_SEED", 1);
  const auto sequences = from_environment("TROUPE_SEQUENCES", 200);
  constexpr int commands = 100;
  for (std::uint64_t i = 0; i < sequences; ++i) {
    world w{kind, (seed * 1'000'003 + i) * 10 + static_cast<std::uint64_t>(kind)};
    std::string fault;
    for (int n = 0; n < commands && fault.empty(); ++n)
      fault = w.step();
    if (fault.empty())
      fault = w.end();
    REQUIRE_MESSAGE(fault.empty(), fault, "\nTROUPE_SEED=", seed, ", sequence ", i,
                    ", after these commands:", last_of(w.story()));
  }
}

}  // namespace

TEST_CASE("a session does what the naive model does") {
  agrees_with_the_model(entity_kind::session);
}

TEST_CASE("a workflow does what the naive model does") {
  agrees_with_the_model(entity_kind::workflow);
}

TEST_CASE("a team does what the naive model does") {
  agrees_with_the_model(entity_kind::team);
}

TEST_CASE("a user's scope does what the naive model does") {
  agrees_with_the_model(entity_kind::user);
}

TEST_CASE("the global scope does what the naive model does") {
  agrees_with_the_model(entity_kind::global);
}
