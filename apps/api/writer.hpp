#pragma once

#include <troupe/state/value.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace troupe::api {

/// A map or an array of msgpack whose size is known only when all of it has been written. For
/// answers as large as a state or a page of items, which no type describes.
class map_writer {
public:
  map_writer& number(std::string_view name, std::uint64_t x) {
    ++size_;
    out_.string(name).unsigned_integer(x);
    return *this;
  }
  map_writer& text(std::string_view name, std::string_view x) {
    ++size_;
    out_.string(name).string(x);
    return *this;
  }
  map_writer& any(std::string_view name, value_view x) {
    ++size_;
    out_.string(name).raw(x);
    return *this;
  }
  [[nodiscard]] std::string finish() const {
    value_writer head;
    head.begin_map(size_);
    return head.take() + out_.bytes();
  }

private:
  value_writer out_;
  std::size_t size_ = 0;
};

class array_writer {
public:
  void add(value_view x) {
    ++size_;
    out_.raw(x);
  }
  [[nodiscard]] std::string finish() const {
    value_writer head;
    head.begin_array(size_);
    return head.take() + out_.bytes();
  }

private:
  value_writer out_;
  std::size_t size_ = 0;
};

}  // namespace troupe::api
