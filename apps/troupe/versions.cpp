#include "troupe/versions.hpp"

#include <troupe/persistence/migrate.hpp>
#include <troupe/state/codec.hpp>

#include "troupe/version.hpp"
#include <caf/config.hpp>
#include <lmdb.h>

namespace troupe::cli {

namespace {

std::string dotted(int major, int minor, int patch) {
  return std::to_string(major) + '.' + std::to_string(minor) + '.' + std::to_string(patch);
}

}  // namespace

std::string version_text() {
  int major = 0, minor = 0, patch = 0;
  mdb_version(&major, &minor, &patch);
  std::string formats = std::to_string(current_codec_version);
  if (oldest_codec_version != current_codec_version)
    formats += " (reads from " + std::to_string(oldest_codec_version) + ')';
  return std::string{"troupe "} + TROUPE_VERSION + "\nCAF "
         + dotted(CAF_MAJOR_VERSION, CAF_MINOR_VERSION, CAF_PATCH_VERSION) + "\nLMDB "
         + dotted(major, minor, patch) + "\nstore format " + std::to_string(written_store_format())
         + "\nrecord format " + formats;
}

}  // namespace troupe::cli
