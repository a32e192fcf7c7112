#pragma once

#include <string_view>

namespace troupe {

/// apps/demo/conversations.jsonl, as it was when this was built.
extern const std::string_view demo_conversations;

}  // namespace troupe
