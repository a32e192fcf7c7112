// doc:begin hello-session
#include <troupe/runtime/scopes.hpp>

#include <iostream>

int main(int argc, char** argv) {
  auto opened = troupe::runtime::open({.data = argc > 1 ? argv[1] : "hello-data"});
  if (!opened) {
    std::cerr << opened.error().message << '\n';
    return 1;
  }
  const auto chat = (*opened)->session("hello");
  chat.create({.user = "ann"}).get();
  const auto appended =
      chat.append(troupe::chat_message{.role = "user", .content = "Hello!"}).get();
  if (!appended) {
    std::cerr << appended.error().message << '\n';
    return 1;
  }
  std::cout << "on disk as revision " << appended->revision << '\n';

  for (const auto& said : chat.items_as<troupe::chat_message>().value())
    std::cout << said.role << ": " << said.text() << '\n';
}
// doc:end hello-session
