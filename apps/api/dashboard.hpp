#pragma once

#include <span>
#include <string_view>

namespace troupe::api {

/// A file of the dashboard, apps/dashboard as it was when this was built.
struct asset {
  std::string_view name;  ///< "chart.js"
  std::string_view type;  ///< "text/javascript; charset=utf-8"
  std::string_view etag;  ///< quoted; another one for other bytes
  std::string_view bytes;
};
extern const std::span<const asset> dashboard_assets;

}  // namespace troupe::api
