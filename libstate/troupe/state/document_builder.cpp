#include <troupe/state/internal/document_builder.hpp>

namespace troupe::internal {

error too_deep(std::size_t limit) {
  return {.code = errc::too_deep,
          .message = "arrays and maps nest deeper than " + std::to_string(limit),
          .limit = limit};
}

std::string document_builder::path() const {
  std::string out;
  for (const auto& f : frames_) {
    if (f.map)
      append_json_pointer(out, f.key);
    else
      append_json_pointer(out, std::to_string(f.next == 0 ? 0 : f.next - 1));
  }
  return out;
}

bool document_builder::fail(errc code, std::string message) {
  if (!failed_)
    failed_ = error{.code = code, .message = std::move(message), .path = path()};
  return false;
}

bool document_builder::open(std::size_t children, bool map) {
  if (frames_.size() >= budget_.depth) {
    failed_ = too_deep(budget_.depth);
    failed_->path = path();
    return false;
  }
  elements_ += children;
  if (elements_ > budget_.elements) {
    fail(errc::too_many_elements,
         "more than " + std::to_string(budget_.elements) + " values and keys");
    failed_->limit = budget_.elements;
    return false;
  }
  frames_.push_back({map, 0, keys_.size(), {}});
  return true;
}

bool document_builder::end() {
  if (failed_)
    return false;
  const auto first = keys_.begin() + static_cast<std::ptrdiff_t>(frames_.back().first_key);
  std::sort(first, keys_.end());
  if (const auto twice = std::adjacent_find(first, keys_.end()); twice != keys_.end()) {
    frames_.back().key = *twice;
    return fail(errc::invalid_value, "a key occurs twice");
  }
  keys_.erase(first, keys_.end());
  frames_.pop_back();
  return true;
}

}  // namespace troupe::internal
