#pragma once

#include <troupe/state/json.hpp>

#include <cmath>
#include <concepts>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>

namespace troupe::simulate {

/// Writes one JSON document member by member. The caller sees to it that what begins ends.
class json_writer {
public:
  json_writer& begin_object(std::string_view name = {}) { return open(name, '{'); }
  json_writer& begin_array(std::string_view name = {}) { return open(name, '['); }
  json_writer& end_object() { return close('}'); }
  json_writer& end_array() { return close(']'); }

  json_writer& add(std::string_view name, std::string_view text) {
    key(name);
    append_json_string(out_, text);
    return *this;
  }
  json_writer& add(std::string_view name, const char* text) {
    return add(name, std::string_view{text});
  }
  template <class T>
    requires std::same_as<T, bool>
  json_writer& add(std::string_view name, T x) {
    key(name);
    out_ += x ? "true" : "false";
    return *this;
  }
  template <std::integral T>
    requires(!std::same_as<T, bool>)
  json_writer& add(std::string_view name, T x) {
    key(name);
    out_ += std::to_string(x);
    return *this;
  }
  /// Six digits: no false exactness.
  json_writer& add(std::string_view name, double x) {
    key(name);
    char text[32];
    std::snprintf(text, sizeof text, "%.6g", std::isfinite(x) ? x : 0.0);
    out_ += text;
    return *this;
  }
  /// Absent: null.
  json_writer& add(std::string_view name, const std::optional<double>& x) {
    if (x)
      return add(name, *x);
    key(name);
    out_ += "null";
    return *this;
  }
  json_writer& add_raw(std::string_view name, std::string_view json) {
    key(name);
    out_ += json;
    return *this;
  }

  [[nodiscard]] const std::string& text() const noexcept { return out_; }

private:
  json_writer& open(std::string_view name, char bracket) {
    key(name);
    out_ += bracket;
    return *this;
  }
  json_writer& close(char bracket) {
    out_ += bracket;
    return *this;
  }
  void key(std::string_view name) {
    if (!out_.empty() && out_.back() != '{' && out_.back() != '[')
      out_ += ',';
    if (!name.empty()) {
      append_json_string(out_, name);
      out_ += ':';
    }
  }

  std::string out_;
};

}  // namespace troupe::simulate
