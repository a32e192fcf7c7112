#pragma once

#include <string_view>

namespace troupe {

/// apps/demo/conversations.jsonl, as the build embedded it.
extern const std::string_view demo_conversations;

}  // namespace troupe
