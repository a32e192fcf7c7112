#pragma once

#include <troupe/state/entity.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace troupe::api {

inline constexpr std::uint64_t max_page_items = 1'000;  // then: invalid_value
inline constexpr std::size_t max_page_bytes = 1 << 20;  // of msgpack; then: a shorter page

/// Which part of a history is asked for.
struct item_page {
  std::optional<std::uint64_t> last{};    ///< the newest so many
  std::optional<std::uint64_t> after{};   ///< those behind this sequence number
  std::optional<std::uint64_t> before{};  ///< those in front of it, the newest of them
  std::uint64_t limit = 100;
  std::size_t bytes = max_page_bytes;  ///< of fields as msgpack; but one item is always shown
  bool pair_safe = false;              ///< no tool call without its results and the reverse
  std::string text{};                  ///< only items with this in one of their strings
};

struct picked_items {
  std::vector<item_view> items;         ///< ascending; they live as long as the history
  std::optional<std::uint64_t> cursor;  ///< `after` of the next page; none: there is none
};

/// The items of a page. From the newest on (`last`, `before`) a page has no cursor.
///
/// `pair_safe` leaves out what its other half is not there for, at the end where the page was cut;
/// when nothing would be left, the page grows beyond its limits until the pair is whole. REQUIRES:
/// not `text` and `pair_safe`.
[[nodiscard]] picked_items pick(const history& items, const item_page& page);

}  // namespace troupe::api
