#pragma once

/// From what is stored of an entity to its state. Not installed.

#include <troupe/actors/internal/kept_answers.hpp>
#include <troupe/messages/messages.hpp>

#include <memory>

namespace troupe::internal {

/// The newest state; `answers` remembers what it answered. Errors: those of `join_entity`;
/// `damaged`, also when the changes do not end at the revision the store says.
expected<std::shared_ptr<const entity_state>> take_in(const stored_entity& stored,
                                                      kept_answers& answers);

}  // namespace troupe::internal
