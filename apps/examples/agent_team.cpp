// Three agents on three threads: they share what they know as the team's state and talk by its
// messages. Each message is acknowledged when what it asks for is on disk.
//
//   example_agent_team DIRECTORY

#include <troupe/runtime/scopes.hpp>

#include <chrono>
#include <functional>
#include <iostream>
#include <string>
#include <thread>

namespace {

constexpr troupe::key<std::string> plan{"plan"};
constexpr troupe::key<int> functions{"functions"};

// doc:begin team-agent
/// Does what others ask of `name` until they say "done".
void work_as(const troupe::team& crew, const std::string& name,
             const std::function<void(const std::string& task)>& act) {
  while (true) {
    for (const auto& letter : crew.inbox(name).value()) {
      const std::string task{letter.body.view().as_string().value_or("")};
      act(task);
      crew.acknowledge(name, letter.seq).value();
      if (task == "done")
        return;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds{2});
  }
}
// doc:end team-agent

void planner(const troupe::team& crew) {
  crew.set(plan, "a parser and a printer").value();
  crew.send("planner", "parser", "coder").value();
  crew.send("planner", "printer", "coder").value();
  work_as(crew, "planner", [](const auto&) {});
}

void coder(const troupe::team& crew) {
  work_as(crew, "coder", [&](const std::string& task) {
    if (task == "done")
      return;
    crew.add(functions, 1).value();  // where it is, so that nobody's is lost
    crew.send("coder", task, "reviewer").value();
  });
}

void reviewer(const troupe::team& crew) {
  int approved = 0;
  work_as(crew, "reviewer", [&](const std::string& task) {
    if (task == "done")
      return;
    if (++approved < 2)
      return;
    for (const auto* who : {"planner", "coder", "reviewer"})
      crew.send("reviewer", "done", who).value();
  });
}

}  // namespace

int main(int argc, char** argv) {
  auto opened = troupe::runtime::open({.data = argc > 1 ? argv[1] : "team-data"});
  if (!opened) {
    std::cerr << opened.error().message << '\n';
    return 1;
  }
  try {
    const auto crew = (*opened)->team("crew");
    crew.create().value();
    for (const auto* name : {"planner", "coder", "reviewer"})
      crew.join(name, "agent").value();
    std::thread threads[] = {std::thread{planner, crew}, std::thread{coder, crew},
                             std::thread{reviewer, crew}};
    for (auto& one : threads)
      one.join();
    std::cout << "plan: " << crew.get(plan).value() << '\n'
              << "functions: " << crew.get(functions).value() << '\n';
    for (const auto& member : crew.members().value())
      std::cout << member.name << " has read up to " << member.cursor << '\n';
  } catch (const tl::bad_expected_access<troupe::error>& why) {
    std::cerr << why.error().message << '\n';
    return 1;
  }
}
