#include <troupe/state/items.hpp>

namespace troupe {

namespace {

/// Members as they are, but any time of RFC 3339 as the binding of `timestamp` wants it, and
/// nanoseconds in "duration" where "duration_ms" is absent.
template <class T>
expected<T> read_log_entry(value_view x, unknown_members unknown) {
  value at, duration;
  const auto find = [&](std::string_view name) -> std::optional<value_view> {
    const auto found = x.find(name);
    if (name == "timestamp" && found && found->as_string()) {
      if (const auto time = parse_rfc3339(*found->as_string())) {
        at = to_value(*time);
        return at.view();
      }
    }
    if (name == "duration_ms" && !found) {
      const auto other = x.find("duration");
      if (const auto ns = other ? other->as_int64() : std::nullopt) {
        duration = value{*ns / 1'000'000};
        return duration.view();
      }
    }
    return found;
  };
  return internal::read_members<T>(x, unknown, find);
}

}  // namespace

expected<escalation> binding<escalation>::read(value_view x, unknown_members unknown) {
  return read_log_entry<escalation>(x, unknown);
}

expected<exchange> binding<exchange>::read(value_view x, unknown_members unknown) {
  return read_log_entry<exchange>(x, unknown);
}

std::string chat_message::text() const {
  if (!content)
    return {};
  const auto whole = content->view();
  if (const auto text = whole.as_string())
    return std::string{*text};
  std::string out;
  if (whole.type() == value_type::array) {
    for (auto part = whole.children(); part.next();) {
      if (const auto text = part.item().find("text"))
        out += text->as_string().value_or("");
    }
  }
  return out;
}

}  // namespace troupe
