#include "api/shapes.hpp"

#include <troupe/state/json.hpp>

#include <algorithm>
#include <vector>

namespace troupe::api {

namespace {

http::response with_revision(std::uint64_t revision, std::string body, int status = 200) {
  return {.status = status,
          .headers = {{"ETag", '"' + std::to_string(revision) + '"'}},
          .body = std::move(body)};
}

/// `{"a":1,"b":...}` piece by piece; names need no escapes.
class object_writer {
public:
  object_writer() : out_{"{"} {}

  object_writer& number(std::string_view name, std::uint64_t x) {
    member(name);
    out_ += std::to_string(x);
    return *this;
  }
  object_writer& text(std::string_view name, std::string_view x) {
    member(name);
    append_json_string(out_, x);
    return *this;
  }
  object_writer& any(std::string_view name, value_view x) {
    member(name);
    append_json(out_, x);
    return *this;
  }
  std::string& raw(std::string_view name) {
    member(name);
    return out_;
  }
  std::string finish() { return std::move(out_ += '}'); }

private:
  void member(std::string_view name) {
    if (out_.size() > 1)
      out_ += ',';
    out_ += '"';
    out_ += name;
    out_ += "\":";
  }

  std::string out_;
};

/// The item's own fields behind `seq` and `at`.
void append_item(std::string& out, const item_view& item) {
  out += "{\"seq\":";
  out += std::to_string(item.seq);
  out += ",\"at\":\"";
  out += to_rfc3339(item.at);
  out += '"';
  if (item.fields.size() == 0) {
    out += '}';
    return;
  }
  const auto brace = out.size();
  append_json(out, item.fields);
  out[brace] = ',';
}

struct range {
  std::size_t begin, end;
};

/// Where a page stands in the history. Numbers have gaps where items were removed.
range page_range(const entity_state& state, const item_page& page) {
  const std::size_t size = state.items.size();
  if (page.last)
    return {size - std::min<std::uint64_t>(size, *page.last), size};
  if (page.before) {
    const auto end = *page.before == 0 ? 0 : state.items.first_after(*page.before - 1);
    return {end - std::min<std::uint64_t>(end, page.limit), end};
  }
  const auto begin = state.items.first_after(page.after.value_or(0));
  return {begin, std::min<std::uint64_t>(size, begin + page.limit)};
}

/// The items of a range as JSON, until a page is full: from the front, or (`newest`) from the back.
/// Moves the end that was not reached.
std::vector<std::string> rendered_items(const entity_state& state, range& of, bool newest) {
  std::vector<std::string> out;
  std::size_t bytes = 0;
  while (of.begin + out.size() < of.end) {
    const auto i = newest ? of.end - 1 - out.size() : of.begin + out.size();
    std::string item;
    append_item(item, state.items[i]);
    bytes += item.size();
    if (bytes > max_page_bytes && !out.empty())
      break;
    out.push_back(std::move(item));
  }
  if (newest) {
    of.begin = of.end - out.size();
    std::reverse(out.begin(), out.end());
  } else {
    of.end = of.begin + out.size();
  }
  return out;
}

}  // namespace

http::response info_answer(const entity_state& state, const std::string& id, int status,
                           timestamp now) {
  return with_revision(state.revision,
                       object_writer{}
                           .text("id", id)
                           .text("status", "active")
                           .number("revision", state.revision)
                           .text("created", to_rfc3339(state.created))
                           .text("last_activity", to_rfc3339(state.last_activity))
                           .text("user", user_of(state))
                           .any("metadata", section_as_map(state, section::metadata, now))
                           .number("items", state.items.size())
                           .number("keys", count_entries(state, section::state, now))
                           .number("bytes", state.bytes())
                           .finish(),
                       status);
}

http::response state_answer(const entity_state& state, timestamp now) {
  object_writer out;
  out.number("revision", state.revision);
  auto& body = out.raw("state");
  body += '{';
  for_each_entry(state, section::state, now, [&](std::string_view key, const entry& held) {
    if (body.back() != '{')
      body += ',';
    append_json_string(body, key);
    body += ':';
    append_json(body, held.data);
  });
  body += '}';
  return with_revision(state.revision, out.finish());
}

http::response items_answer(const entity_state& state, const item_page& page) {
  auto shown = page_range(state, page);
  const bool newest = page.last || page.before;
  object_writer out;
  auto& body = out.raw("items");
  body += '[';
  for (const auto& item : rendered_items(state, shown, newest)) {
    if (body.back() != '[')
      body += ',';
    body += item;
  }
  body += ']';
  if (!newest && shown.begin < shown.end && shown.end < state.items.size())
    out.text("next_cursor", std::to_string(state.items[shown.end - 1].seq));
  else
    out.raw("next_cursor") += "null";
  return with_revision(state.revision, out.finish());
}

http::response revision_answer(const outcome& answer) {
  return with_revision(answer.revision,
                       object_writer{}.number("revision", answer.revision).finish());
}

http::response append_answer(const outcome& answer) {
  return with_revision(answer.revision,
                       object_writer{}
                           .number("revision", answer.revision)
                           .number("first_seq", answer.first_seq)
                           .number("last_seq", answer.last_seq)
                           .finish(),
                       201);
}

http::response deleted_answer() {
  return {.status = 204};
}

}  // namespace troupe::api
