#pragma once

#include <string_view>

namespace troupe::simulate {

// erlang/peer_node.erl and erlang/peer_session.erl, as text.
extern const std::string_view erlang_node_module;
extern const std::string_view erlang_session_module;

}  // namespace troupe::simulate
