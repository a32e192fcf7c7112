#pragma once

#include <troupe/state/commands.hpp>
#include <troupe/state/entity.hpp>

#include "simulate/intent.hpp"
#include "simulate/record.hpp"
#include "simulate/workload.hpp"

#include <cstdint>
#include <string>

/// What an intent is in Troupe's own terms; the same embedded and over HTTP.
namespace troupe::simulate {

[[nodiscard]] entity_ref entity_of(const subject& whom);

/// One item as agents keep it: {"role", "content"} and of a tool its "name".
[[nodiscard]] value item_of(const intent& what, std::uint32_t index, const workload& of);

/// The change that an intent asks for. REQUIRES: it is a write.
[[nodiscard]] command command_of(const intent& what, const workload& of);

/// The text in an item, a message or a result.
[[nodiscard]] std::string_view text_in(value_view item);

/// What a read state holds, for the books.
[[nodiscard]] contents contents_of(const entity_state& state);

}  // namespace troupe::simulate
