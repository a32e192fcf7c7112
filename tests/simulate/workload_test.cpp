#include "simulate/workload.hpp"

#include <doctest/doctest.h>

#include <set>
#include <string>

using namespace troupe;
using namespace troupe::simulate;

TEST_CASE("every built-in profile is read and has a name of its own") {
  std::set<std::string> names;
  for (const auto& one : built_in_profiles())
    names.insert(one.name);
  CHECK(names
        == std::set<std::string>{"chat", "coding-agent", "workflow-heavy", "cache-heavy",
                                 "reconnect-storm", "million-idle"});
  const auto none = built_in_profile("caht");
  REQUIRE_FALSE(none.has_value());
  CHECK(none.error().message.find("coding-agent") != std::string::npos);
}

TEST_CASE("a workload that is written and read again is the same") {
  for (const auto& one : built_in_profiles()) {
    const auto again = parse_workload(to_toml(one));
    REQUIRE_MESSAGE(again.has_value(), to_toml(one));
    CHECK(again->think_s == one.think_s);
    CHECK(again->forks == one.forks);
    CHECK(again->level == one.level);
    CHECK((*again == one || one.tools.size() > 1));  // toml++ orders a table by its keys
  }
}

TEST_CASE("a workload's mistake is told with its place") {
  const auto fault = [](const char* text) {
    const auto read = parse_workload(text);
    REQUIRE_FALSE(read.has_value());
    return std::string{to_string(read.error().code)} + ' ' + read.error().message;
  };
  CHECK(fault("name = ").starts_with("malformed line 1"));
  CHECK(fault("[turn]\nforkz = 1").starts_with("unknown_field /turn/forkz"));
  CHECK(fault("[trun]\nforks = 1").starts_with("unknown_field /trun/forks"));
  CHECK(fault("[turn]\nforks = \"1\"").starts_with("wrong_type /turn/forks"));
  CHECK(fault("[turn]\nforks = true").starts_with("wrong_type /turn/forks"));
  CHECK(fault("[turn]\nforks = 1.5").starts_with("invalid_value /turn/forks"));
  CHECK(fault("[turn]\nforks = nan").starts_with("invalid_value /turn/forks"));
  CHECK(fault("[population]\nsessions = 1.5").starts_with("wrong_type /population/sessions"));
  CHECK(fault("[population]\nusers = 0").starts_with("invalid_value /population/users"));
  CHECK(fault("[visit]\nthink_s = [3.0, 1.0]").starts_with("invalid_value /visit/think_s"));
  CHECK(fault("durability = \"safe\"").starts_with("invalid_value /durability"));
  CHECK(fault("[turn]\nteam_messages = 1.0").starts_with("invalid_value /population/teams"));
}
