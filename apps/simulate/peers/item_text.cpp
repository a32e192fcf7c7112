#include "simulate/peers/item_text.hpp"

#include <troupe/state/json.hpp>

#include "simulate/troupe_commands.hpp"

namespace troupe::simulate {

std::string json_item(const intent& what, std::uint32_t index, const workload& of) {
  return to_json(item_of(what, index, of));
}

std::string text_of_json_item(std::string_view json) {
  const auto read = value_from_json(json);
  return read ? std::string{text_in(*read)} : std::string{};
}

}  // namespace troupe::simulate
