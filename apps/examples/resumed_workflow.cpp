// A workflow that may be killed at any moment and is run again until it is done. What a node does
// is done once: a ledger, which is a session, has one entry for each.
//
//   example_resumed_workflow DIRECTORY [MILLISECONDS that a node works]

#include <troupe/runtime/scopes.hpp>

#include <chrono>
#include <iostream>
#include <string>
#include <thread>

namespace {

// doc:begin resume-workflow
/// Runs what is left. A node that ran when the last process ended begins again.
void run_all(const troupe::workflow& work, const troupe::session& ledger,
             std::chrono::milliseconds busy) {
  for (const auto& node : work.nodes().value())
    if (node.status == troupe::node_status::running)
      work.reset(node.id).value();

  while (true) {
    const auto ready = work.ready().value();
    if (ready.empty())
      return;
    const auto& node = ready.front();
    work.start(node).value();
    std::cout << "started " << node << std::endl;

    std::this_thread::sleep_for(busy);
    // Its key makes it one entry, however often a kill comes between the two commands.
    ledger.once(node).append(troupe::value::map({{"did", node}})).value();
    std::cout << "did " << node << std::endl;

    work.finish(node, "result of " + node).value();
    std::cout << "finished " << node << std::endl;
  }
}
// doc:end resume-workflow

}  // namespace

int main(int argc, char** argv) {
  auto opened = troupe::runtime::open({.data = argc > 1 ? argv[1] : "workflow-data"});
  if (!opened) {
    std::cerr << opened.error().message << '\n';
    return 1;
  }
  try {
    const auto work = (*opened)->workflow("nightly");
    const auto ledger = (*opened)->session("ledger");
    work.create().value();
    ledger.create().value();
    work.define({{.id = "fetch"},
                 {.id = "parse", .after = {"fetch"}},
                 {.id = "index", .after = {"parse"}},
                 {.id = "report", .after = {"parse"}},
                 {.id = "send", .after = {"index", "report"}}})

        .value();

    run_all(work, ledger, std::chrono::milliseconds{argc > 2 ? std::stoi(argv[2]) : 0});

    std::cout << "workflow " << to_string(work.status().value()) << '\n';
    for (const auto& entry : ledger.items().value())
      std::cout << "ledger " << *entry.fields.find("did")->as_string() << '\n';
  } catch (const tl::bad_expected_access<troupe::error>& why) {
    std::cerr << why.error().message << '\n';
    return 1;
  }
}
