#pragma once

#include <troupe/state/expected.hpp>

#include "api/access.hpp"

#include <cstddef>
#include <map>
#include <mutex>
#include <string>

namespace troupe::api {

/// Room for large bodies: of one namespace not so much that others find none. It is taken for what
/// a head announces, before a byte of it is read. Outlives the places that it gave. Any thread.
class body_rooms {
public:
  /// Of bytes, for as long as it is kept.
  class place {
  public:
    place(place&& other) noexcept;
    place& operator=(place&&) = delete;
    ~place();

  private:
    friend class body_rooms;
    using used = std::map<std::string, std::size_t>;
    place(body_rooms* all, used::iterator of, std::size_t bytes)
        : all_{all},
          of_{of},
          bytes_{bytes} {}

    body_rooms* all_;
    used::iterator of_;
    std::size_t bytes_;
  };

  explicit body_rooms(std::size_t name_space_bytes = default_bytes) : most_{name_space_bytes} {}

  /// Without tokens there is one namespace only, which has all that the server has room for.
  /// Errors: `busy`, with the limit and when to come back.
  expected<place> take(const identity& who, std::size_t bytes);

private:
  static constexpr std::size_t default_bytes = 32 << 20;  // of a namespace; then: 429 `busy`

  const std::size_t most_;
  std::mutex mutex_;
  place::used used_;  // bytes of namespaces that have any
};

}  // namespace troupe::api
