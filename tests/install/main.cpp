// doc:begin hello-session
#include <troupe/runtime/runtime.hpp>
#include <troupe/state/json.hpp>

#include <iostream>

int main(int argc, char** argv) {
  auto opened = troupe::runtime::open({.data = argc > 1 ? argv[1] : "hello-data", .now = {}});
  if (!opened) {
    std::cerr << opened.error().message << '\n';
    return 1;
  }
  auto& runtime = **opened;
  const auto session = troupe::session_ref("hello");

  runtime.execute({session, {troupe::create{.info = {.user = "ann"}}}});
  const auto appended = runtime.execute(
      {session,
       {troupe::append_items{{troupe::value::map({{"role", "user"}, {"content", "Hello!"}})}}}});
  if (!appended) {
    std::cerr << appended.error().message << '\n';
    return 1;
  }
  std::cout << "on disk as revision " << appended->revision << '\n';

  const auto state = runtime.read(session);
  for (const auto& item : (*state)->items)
    std::cout << item.seq << ' ' << troupe::to_json(item.fields) << '\n';
}
// doc:end hello-session
