#pragma once

#include <array>
#include <string_view>

/// The built-in workloads as the files in `profiles/`, put into the program by the build.
namespace troupe::simulate {

extern const std::string_view profile_chat, profile_coding_agent, profile_workflow_heavy,
    profile_cache_heavy, profile_reconnect_storm, profile_million_idle;

[[nodiscard]] inline std::array<std::string_view, 6> built_in_files() {
  return {profile_chat,        profile_coding_agent,    profile_workflow_heavy,
          profile_cache_heavy, profile_reconnect_storm, profile_million_idle};
}

}  // namespace troupe::simulate
