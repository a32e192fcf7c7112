#include <troupe/state/items.hpp>

namespace troupe {

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
