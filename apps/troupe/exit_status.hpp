#pragma once

#include <troupe/state/error.hpp>

/// What the process answers its caller; part of the command line's contract.
namespace troupe::cli::exit_status {

inline constexpr int ok = 0;
inline constexpr int failed = 1;  ///< mismatches, a malformed file, a refused command
/// The command line, a file named on it that cannot be opened, or one to be made that is there.
inline constexpr int usage = 2;
inline constexpr int damaged_store = 65;  ///< damaged, newer than this build, or no store of Troupe
inline constexpr int in_use = 73;         ///< another process has the data directory
inline constexpr int io_failure = 75;     ///< disk full, I/O error, no connection, or not now
inline constexpr int configuration = 78;  ///< a data directory, or its file system, is refused
inline constexpr int interrupted = 130;   ///< Ctrl-C; what was acknowledged is kept

/// For a store that does not open.
[[nodiscard]] constexpr int of_open(errc code) noexcept {
  if (code == errc::damaged || code == errc::newer_format)
    return damaged_store;
  if (code == errc::busy)
    return in_use;
  if (code == errc::remote_file_system || code == errc::forbidden)
    return configuration;
  return code == errc::store_full || code == errc::store_failed ? io_failure : failed;
}

/// For a request that an open store or a server refused.
[[nodiscard]] constexpr int of_request(errc code) noexcept {
  if (code == errc::damaged || code == errc::newer_format)
    return damaged_store;
  const bool later = code == errc::busy || code == errc::draining;
  if (later || code == errc::store_full || code == errc::store_failed
      || code == errc::outcome_unknown)
    return io_failure;
  return failed;
}

}  // namespace troupe::cli::exit_status
