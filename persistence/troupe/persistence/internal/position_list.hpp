#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace troupe::internal {

/// Positions in the journal, ascending. One costs nothing beyond these 16 bytes: most entities that
/// sleep have no more.
class position_list {
public:
  position_list() = default;
  position_list(const position_list&) = delete;
  position_list& operator=(const position_list&) = delete;
  ~position_list() {
    if (size_ > 1)
      delete[] many_;
  }

  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
  [[nodiscard]] const std::uint64_t* begin() const noexcept { return size_ > 1 ? many_ : &one_; }
  [[nodiscard]] const std::uint64_t* end() const noexcept { return begin() + size_; }
  [[nodiscard]] std::uint64_t front() const noexcept { return *begin(); }
  [[nodiscard]] std::uint64_t back() const noexcept { return *(end() - 1); }

  void push_back(std::uint64_t position) {
    if (size_ == 0) {
      one_ = position;
    } else if (std::has_single_bit(size_)) {  // it is full
      auto* more = new std::uint64_t[std::size_t{2} * size_];
      *std::copy(begin(), end(), more) = position;
      if (size_ > 1)
        delete[] many_;
      many_ = more;
    } else {
      many_[size_] = position;
    }
    ++size_;
  }

  void pop_back() noexcept {
    if (size_ == 2) {
      const auto* before = many_;
      one_ = before[0];
      delete[] before;
    }
    --size_;
  }

private:
  union {
    std::uint64_t one_ = 0;
    std::uint64_t* many_;  // of at least as much room as the next power of two
  };
  std::size_t size_ = 0;
};

}  // namespace troupe::internal
