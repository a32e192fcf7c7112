#pragma once

#include "simulate/intent.hpp"
#include "simulate/workload.hpp"

#include <string>
#include <string_view>

namespace troupe::simulate {

/// One item as a program that uses the peer keeps it: the JSON of {"role", "content", "name"?}.
[[nodiscard]] std::string json_item(const intent& what, std::uint32_t index, const workload& of);

/// The text in what `json_item` made.
[[nodiscard]] std::string text_of_json_item(std::string_view json);

}  // namespace troupe::simulate
