#pragma once

#include <string>

namespace troupe::cli {

/// "troupe 0.1.0" and, a line each, what it was built with and reads. Ends without a newline.
[[nodiscard]] std::string version_text();

}  // namespace troupe::cli
