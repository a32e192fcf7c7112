#include "simulate/run.hpp"

#include <troupe/state/json.hpp>

#include "http/server.hpp"
#include "simulate/http_driver.hpp"
#include "simulate/learn.hpp"
#include "simulate/options.hpp"
#include "simulate/report.hpp"
#include "support/json_schema.hpp"
#include "support/temp_directory.hpp"
#include "troupe/demo_data.hpp"
#include "troupe/exit_status.hpp"
#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <fstream>
#include <future>
#include <memory>
#include <mutex>
#include <sstream>
#include <string>

using namespace troupe;
using namespace troupe::simulate;
using testing::temp_directory;

namespace {

std::string text_in_file(const std::filesystem::path& file) {
  std::ifstream in{file, std::ios::binary};
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

workload small(std::string_view profile) {
  auto out = built_in_profile(profile).value();
  out.sessions = 100;
  out.items_in_each = 5;
  out.users = 50;
  out.popularity = 0.2;  // one popular session would be one line that all wait in
  out.forks = 0.1;
  return out;
}

/// Some seconds of the population in a fifth of one.
run_options quick() {
  run_options out;
  out.duration_s = 8;
  out.warm_up_s = 0;
  out.speed = 40;
  out.in_flight = 64;
  return out;
}

/// What answers as a node that has `page` under every list and refuses changes; counts these.
struct scripted_node {
  explicit scripted_node(std::string page) {
    auto started = http::server::start(
        {}, [this, page = std::move(page)](const http::request& asked, http::responder respond) {
          changes += asked.method == "GET" ? 0 : 1;
          http::response out{.status = asked.method == "GET" ? 200 : 403, .headers = {}};
          out.body = asked.method == "GET" ? page : "{}";
          respond(std::move(out));
        });
    REQUIRE(started);
    server = *std::move(started);
  }
  [[nodiscard]] run_options target() const {
    auto out = quick();
    out.target = "http://" + server->address();
    return out;
  }

  std::atomic<int> changes = 0;
  std::unique_ptr<http::server> server;
};

std::string joined(const std::vector<std::string>& texts) {
  std::string out;
  for (const auto& text : texts)
    out += text + '\n';
  return out;
}

}  // namespace

TEST_CASE("every profile runs on the embedded runtime without a failure or a violation") {
  for (const auto& profile : built_in_profiles()) {
    CAPTURE(profile.name);
    const temp_directory data;
    const auto out = run(small(profile.name), quick(), data.store());
    REQUIRE(out.has_value());
    CHECK_MESSAGE(out->load->failed == 0, joined(out->load->errors));
    CHECK(out->load->sent > 300);
    REQUIRE(out->check);
    CHECK_MESSAGE(out->check->violations == 0, joined(out->check->first));
    CHECK(out->check->subjects >= 100);
    CHECK(out->check->changes.value_or(0) > 100);
    CHECK(out->good());
  }
}

TEST_CASE("few live sessions and a clock that jumps and subscribers that sleep break nothing") {
  const temp_directory data;
  auto options = quick();
  options.max_live = 20;
  options.idle_s = 0.05;
  options.faults = {"clock=3", "slow-subscribers=4"};
  const auto out = run(small("workflow-heavy"), options, data.store());
  REQUIRE(out.has_value());
  CHECK_MESSAGE(out->check->violations == 0, joined(out->check->first));
  CHECK(out->faults.size() == 7);
  CHECK(out->good());
}

TEST_CASE("a result is what its schema says and makes a report that needs no other file") {
  const temp_directory data;
  const auto out = run(small("chat"), quick(), data.store());
  REQUIRE(out.has_value());
  const auto json = render_json(*out);
  const auto read = value_from_json(json, {.bytes = 64 << 20, .elements = 5'000'000});
  REQUIRE_MESSAGE(read.has_value(), json);
  const auto schema = value_from_json(text_in_file(std::filesystem::path{TROUPE_TEST_DIR}
                                                   / "../docs/simulation-result.schema.json"));
  REQUIRE(schema.has_value());
  CHECK(testing::violation(*read, *schema) == "");
  REQUIRE(check_result_json(json).has_value());
  CHECK_FALSE(check_result_json("{}").has_value());
  CHECK_FALSE(check_result_json("[1]").has_value());

  const auto page = render_report({json, json});
  for (const auto* mark :
       {"/*style*/", "/*script*/", "/*runs*/", "import ", "export ", "src=", "<link", "http-equiv"})
    CHECK_MESSAGE(page.find(mark) == std::string::npos, mark);
  CHECK(page.find("createChart = ") != std::string::npos);
  CHECK(page.find("\"schema\":\"troupe-simulate/1\"") != std::string::npos);
}

TEST_CASE("a text in a result cannot end the report's script") {
  const auto page = render_report({R"({"profile":"</script><script>alert(1)</script>"})"});
  CHECK(page.find("</script><script>alert") == std::string::npos);
  CHECK(page.find("\\u003c/script>\\u003cscript>alert") != std::string::npos);
}

TEST_CASE("intents that are written down are byte-equal for a seed whatever the target does") {
  const temp_directory data;
  auto options = quick();
  options.check = false;
  options.intents = (data.path() / "first").string();
  REQUIRE(run(small("chat"), options, data.path() / "a").has_value());
  options.intents = (data.path() / "second").string();
  options.target = "maps";
  options.speed = 100;
  REQUIRE(run(small("chat"), options, data.path() / "b").has_value());
  const auto first = text_in_file(data.path() / "first");
  CHECK(first.size() > 10'000);
  CHECK(first == text_in_file(data.path() / "second"));
}

TEST_CASE("a search for the knee ends below the limit or says that nothing is") {
  const temp_directory data;
  auto options = quick();
  options.duration_s = 1'000;
  options.speed = 1'000;
  options.p99_ms = 0.01;
  options.find_knee = true;
  options.target = "nothing";
  options.check = false;
  const auto out = run(small("chat"), options, data.store());
  REQUIRE(out.has_value());
  REQUIRE(out->knee);
  CHECK(out->knee->steps.size() >= 4);
  for (const auto& step : out->knee->steps)
    if (step.kept)
      CHECK(step.p99_ns <= 10'000);
  CHECK((!out->knee->best || out->knee->best->kept));
}

TEST_CASE("faults are planned by number or time and what is none is told") {
  const auto plan = plan_faults({"pause=4", "kill@2s"}, 8, 1);
  REQUIRE(plan.has_value());
  REQUIRE(plan->size() == 5);
  CHECK(std::ranges::is_sorted(*plan, {}, &planned_fault::at_s));
  CHECK(std::ranges::count(*plan, planned_fault{"kill", 2}) == 1);
  int in_first_half = 0;
  for (const auto& one : *plan)
    in_first_half += one.kind == "pause" && one.at_s < 4 ? 1 : 0;
  CHECK(in_first_half == 2);
  CHECK(*plan == *plan_faults({"pause=4", "kill@2s"}, 8, 1));
  CHECK(*plan != *plan_faults({"pause=4", "kill@2s"}, 8, 2));
  for (const auto* none : {"kill", "kill=", "kill=x", "=3", "kill@9s", "kill=-1"})
    CHECK_FALSE_MESSAGE(plan_faults({none}, 8, 1).has_value(), none);
  const temp_directory data;
  auto options = quick();
  options.faults = {"kill=1"};
  const auto embedded = run(small("chat"), options, data.store());
  REQUIRE_FALSE(embedded.has_value());
  CHECK(embedded.error().message.find("--target node") != std::string::npos);
}

TEST_CASE("a workload that is learned has the sizes and tools of what was recorded") {
  const auto learned = learn(demo_conversations, "demo");
  REQUIRE(learned.has_value());
  CHECK(learned->name == "demo");
  CHECK(learned->about.starts_with("learned from 7 conversations"));
  CHECK(learned->turns > 5);
  CHECK(learned->tool_calls > 0);
  const auto sizes = learned->user_bytes.values();
  REQUIRE(sizes.size() == 11);
  CHECK(std::ranges::is_sorted(sizes));
  CHECK(std::ranges::count(learned->tools, "run_tests", &tool_share::name) == 1);
  const auto again = parse_workload(to_toml(*learned));
  REQUIRE(again.has_value());
  CHECK(again->user_bytes == learned->user_bytes);
  CHECK_FALSE(learn("{\"id\":\"a\",\"messages\":[]}", "none").has_value());
  CHECK_FALSE(learn("{", "none").has_value());
}

TEST_CASE("a run against a node that is away begins nothing and says why") {
  const temp_directory data;
  auto options = quick();
  options.target = "http://127.0.0.1:1";
  const auto out = run(small("chat"), options, data.store());
  REQUIRE_FALSE(out.has_value());
  CHECK(out.error().code == errc::busy);
  CHECK(out.error().message == "cannot connect to 127.0.0.1 port 1: Connection refused");
  options.html = "none";
  CHECK(simulate::simulate(simulate_options{options}) == cli::exit_status::io_failure);
}

TEST_CASE("a run against a node with what an earlier run made is refused before it changes any") {
  for (const auto* page : {R"({"items":[{"id":"sim1-s7"}],"next_cursor":null})",
                           R"({"items":[],"next_cursor":"sim1-s7"})"}) {
    const scripted_node node{page};
    const temp_directory data;
    auto options = node.target();
    options.check = false;
    const auto out = run(small("chat"), options, data.store());
    REQUIRE_FALSE(out.has_value());
    CHECK(out.error().code == errc::already_exists);
    CHECK(out.error().message
          == "there are sessions of an earlier run, whose ids begin with sim1-: use another --seed "
             "or a fresh node");
    CHECK(node.changes == 0);
    options.html = "none";
    CHECK(simulate::simulate(simulate_options{options}) == cli::exit_status::failed);
  }
}

TEST_CASE("a run whose first sessions are refused ends without trying all of them") {
  const scripted_node node{R"({"items":[],"next_cursor":null})"};
  const temp_directory data;
  auto what = small("chat");
  what.sessions = 1'000'000;
  const auto out = run(what, node.target(), data.store());
  REQUIRE_FALSE(out.has_value());
  CHECK(out.error().message.find("status 403") != std::string::npos);
  CHECK(node.changes < 500'000);
}

TEST_CASE("what is no node is told so and changes nothing") {
  const scripted_node node{R"({"hello":"world"})"};
  const temp_directory data;
  const auto out = run(small("chat"), node.target(), data.store());
  REQUIRE_FALSE(out.has_value());
  CHECK(out.error().code == errc::not_supported);
  CHECK(node.changes == 0);
}

TEST_CASE("a driver that gives up lets go of requests that a node never answers") {
  std::mutex mutex;
  std::vector<http::responder> never;
  auto started = http::server::start({}, [&](const http::request&, http::responder respond) {
    const std::lock_guard lock{mutex};
    never.push_back(std::move(respond));
  });
  REQUIRE(started);
  node_address at{{"127.0.0.1", (*started)->port()}};
  const auto what = small("chat");
  auto to = open_http(what, at, {.connections = 1, .run = "sim1-"});
  std::promise<answer> first, second;
  intent one;
  one.what = action::create;
  to->send(one, [&](answer said) { first.set_value(std::move(said)); });
  to->send(one, [&](answer said) { second.set_value(std::move(said)); });
  for (bool arrived = false; !arrived;) {
    const std::lock_guard lock{mutex};
    arrived = !never.empty();
  }
  to->give_up();
  CHECK(first.get_future().get().what == outcome::unknown);
  CHECK(second.get_future().get().what == outcome::refused);
  to.reset();
  CHECK(never.size() == 1);
  never.clear();
}
