#pragma once

#include <cstddef>
#include <map>
#include <mutex>
#include <string>

namespace troupe::http {

/// The address itself, or of IPv6 its first 64 bits: who has one of these has all of them. An IPv4
/// address that a socket of IPv6 was reached from ("::ffff:192.0.2.1") is that one.
[[nodiscard]] std::string network_of(const std::string& address);

/// Connections counted by whose they are. Outlives the places that it gave. Any thread.
class peer_counts {
public:
  /// Of one connection, counted for as long as it is kept.
  class place {
  public:
    place() = default;  ///< of nobody
    place(place&& other) noexcept;
    place& operator=(place&& other) noexcept;
    ~place() { leave(); }

    /// How many of the same peer there were before it.
    [[nodiscard]] std::size_t before() const noexcept { return before_; }
    explicit operator bool() const noexcept { return all_ != nullptr; }
    void leave() noexcept;

  private:
    friend class peer_counts;

    peer_counts* all_ = nullptr;
    std::map<std::string, std::size_t>::iterator of_{};
    std::size_t before_ = 0;
  };

  [[nodiscard]] place enter(std::string peer);

private:
  std::mutex mutex_;
  std::map<std::string, std::size_t> counts_;  ///< of peers that have any
};

}  // namespace troupe::http
