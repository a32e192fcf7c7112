#include "troupe/inspect_text.hpp"

#include <troupe/state/json.hpp>

#include "troupe/text.hpp"

#include <string_view>

namespace troupe::cli {

namespace {

constexpr std::size_t key_columns = 30;

const char* name_of(lifecycle status) {
  switch (status) {
    case lifecycle::absent: return "absent";
    case lifecycle::live: return "live";
    case lifecycle::deleted: return "deleted";
  }
  return "unknown";
}

/// What stands behind the event's name: how many items, which key.
struct event_detail {
  std::string operator()(const items_appended& e) const { return std::to_string(e.items.size()); }
  std::string operator()(const items_removed& e) const { return std::to_string(e.removed); }
  std::string operator()(const items_restored& e) const { return std::to_string(e.items.size()); }
  std::string operator()(const entry_set& e) const { return one_line(e.key, key_columns); }
  std::string operator()(const entry_erased& e) const { return one_line(e.key, key_columns); }
  std::string operator()(const content_reverted& e) const { return std::to_string(e.to); }
  std::string operator()(const auto&) const { return {}; }
};

/// Members and elements, each with the separator of the layout in front.
class json_text {
public:
  explicit json_text(json_layout layout) : lines_{layout == json_layout::lines} {}

  void open(char bracket) {
    out_ += bracket;
    ++depth_;
    first_ = true;
  }
  void close(char bracket) {
    --depth_;
    if (!first_)
      new_line();
    out_ += bracket;
    first_ = false;
  }
  void element() {
    out_ += first_ ? "" : ",";
    first_ = false;
    new_line();
  }
  void key(std::string_view name) {
    element();
    append_json_string(out_, name);
    out_ += lines_ ? ": " : ":";
  }
  void member(std::string_view name, const value& x) {
    key(name);
    append_json(out_, x);
  }
  std::string& out() { return out_; }

private:
  void new_line() {
    if (lines_)
      out_ += '\n' + std::string(depth_ * 2, ' ');
  }

  std::string out_;
  bool lines_;
  std::size_t depth_ = 0;
  bool first_ = true;
};

/// Sections that have no place of their own in the JSON.
bool shown_as_map(section which) {
  return which != section::metadata && which != section::state;
}

}  // namespace

std::string item_json(const item_view& item) {
  auto out = "{\"seq\":" + std::to_string(item.seq) + ",\"at\":\"" + to_rfc3339(item.at) + '"';
  for (auto field = item.fields.children(); field.next();) {
    out += ',';
    append_json_string(out, field.key());
    out += ':';
    append_json(out, field.item());
  }
  return out + '}';
}

std::string entity_json(const entity_ref& entity, const entity_state& state, json_layout layout) {
  json_text text{layout};
  text.open('{');
  text.member("namespace", entity.name_space);
  text.member("kind", to_string(entity.kind));
  text.member("id", entity.id);
  text.member("status", name_of(state.status));
  text.member("revision", state.revision);
  text.member("created", to_rfc3339(state.created));
  text.member("last_activity", to_rfc3339(state.last_activity));
  text.member("user", user_of(state));
  text.member("metadata", section_as_map(state, section::metadata, {}));
  text.member("item_count", state.items.size());
  text.member("bytes", state.bytes());
  for (const auto& rules : all_sections)
    if (shown_as_map(rules.id) && count_entries(state, rules.id, {}) > 0)
      text.member(rules.name, section_as_map(state, rules.id, {}));
  text.key("state");
  text.open('{');
  for_each_entry(state, section::state, {},
                 [&](std::string_view key, const entry& held) { text.member(key, held.data); });
  text.close('}');
  text.key("items");
  text.open('[');
  for (const auto& item : state.items) {
    text.element();
    text.out() += item_json(item);
  }
  text.close(']');
  text.close('}');
  return escape_json_controls(text.out());
}

std::string describe_events(const change& what) {
  std::string out;
  for (const auto& event : what.events) {
    const auto detail = std::visit(event_detail{}, event);
    out += (out.empty() ? "" : ", ") + name_of(event) + (detail.empty() ? "" : " " + detail);
  }
  return out;
}

std::string events_json(const change& what) {
  std::string out = "[";
  for (const auto& event : what.events) {
    out += out.size() == 1 ? "\"" : ",\"";
    out += name_of(event);
    out += '"';
  }
  return out + ']';
}

}  // namespace troupe::cli
