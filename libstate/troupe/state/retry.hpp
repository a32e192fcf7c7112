#pragma once

#include <troupe/state/error.hpp>

#include <chrono>
#include <optional>

namespace troupe {

/// How long to wait before the same request is worth another try. None: it fails again, or may have
/// been done. A hint, the same that HTTP's `Retry-After` gives: who tries again and again waits
/// longer each time.
[[nodiscard]] constexpr std::optional<std::chrono::milliseconds> retry_after(errc code) noexcept {
  switch (code) {
    case errc::busy: return std::chrono::milliseconds{100};
    case errc::draining:
    case errc::store_failed:
    case errc::quarantined:
    case errc::remote_file_system: return std::chrono::seconds{1};
    default: return std::nullopt;
  }
}

}  // namespace troupe
