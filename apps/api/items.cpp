#include "api/conditional.hpp"
#include "api/item_page.hpp"
#include "api/route.hpp"

#include <numeric>
#include <utility>

/// {S}/items: a session's history.
namespace troupe::api {

namespace {

struct append_body {
  std::vector<value> items{};
  static constexpr auto fields = std::tuple{field{"items", &append_body::items}};
};
struct appended_body {
  std::uint64_t revision = 0, first_seq = 0, last_seq = 0;
  static constexpr auto fields = std::tuple{field{"revision", &appended_body::revision},
                                            field{"first_seq", &appended_body::first_seq},
                                            field{"last_seq", &appended_body::last_seq}};
};
struct pop_body {
  std::uint64_t count = 1;
  std::optional<std::uint64_t> expected_last_seq{};
  static constexpr auto fields =
      std::tuple{defaulted{"count", &pop_body::count},
                 field{"expected_last_seq", &pop_body::expected_last_seq}};
};
struct popped_body {
  std::uint64_t revision = 0, removed = 0;
  static constexpr auto fields = std::tuple{field{"revision", &popped_body::revision},
                                            field{"removed", &popped_body::removed}};
};
/// An item's own fields stand beside these.
struct item_body {
  std::uint64_t seq = 0;
  timestamp at{};
  value more = value::map({});
  static constexpr auto fields = std::tuple{
      field{"seq", &item_body::seq}, field{"at", &item_body::at}, other_members{&item_body::more}};
};
struct page_body {
  std::vector<item_body> items{};
  nullable_text next_cursor{};
  static constexpr auto fields =
      std::tuple{field{"items", &page_body::items}, field{"next_cursor", &page_body::next_cursor}};
};

expected<item_page> decode_page(const call& c) {
  item_page out;
  int starts = 0;
  for (const auto& [name, to] : {std::pair{"last", &out.last},
                                 {"after", &out.after},
                                 {"cursor", &out.after},
                                 {"before", &out.before}}) {
    const auto given = to == &out.last ? c.number(name, 1, max_page_items) : c.number(name);
    if (!given)
      return tl::unexpected(given.error());
    if (*given) {
      *to = *given;
      ++starts;
    }
  }
  if (starts > 1)
    return fail(errc::invalid_value, "give one of `last`, `after` and `before`");
  const auto limit = c.number("limit", 1, max_page_items), bytes = c.number("max_bytes");
  if (!limit || !bytes)
    return tl::unexpected(limit ? bytes.error() : limit.error());
  out.limit = limit->value_or(out.limit);
  out.bytes = std::min<std::uint64_t>(bytes->value_or(max_page_bytes), max_page_bytes);
  const auto pair_safe = c.flag("pair_safe");
  if (!pair_safe)
    return tl::unexpected(pair_safe.error());
  out.pair_safe = *pair_safe;
  if (const auto* text = c.query("q"))
    out.text = *text;
  if (out.pair_safe && !out.text.empty())
    return fail(errc::invalid_value, "`q` picks single items: leave out `pair_safe`", "q");
  return out;
}

// At most, beside the fields of the items: what stands around them, and in front of those of one.
constexpr std::size_t page_head_bytes = 64, item_head_bytes = 48;

/// The item's own fields behind `seq` and `at`.
void write_item(value_writer& out, const item_view& item) {
  out.begin_map(item.fields.size() + 2).string("seq").unsigned_integer(item.seq);
  out.string("at").string(rfc3339_text{item.at}).members(item.fields);
}

/// Many send an item as it is: what the body has instead of `items` is named.
error without_items(error why, const call& c) {
  const auto given = c.body();
  if (!given || given->type() != value_type::map || given->view().find("items"))
    return why;
  why.message = R"(`items` is missing: send {"items":[{...}]})";
  if (auto at = given->view().children(); at.next() && at.key().size() <= 100)
    why.message += at.item().type() == value_type::array
                       ? ", where `" + std::string{at.key()} + "` stands"
                       : ", and `" + std::string{at.key()} + "` in an item";
  return why;
}

void post_items(const call_ptr& c) {
  auto body = c->body_as<append_body>();
  if (!body)
    return c->refuse(without_items(std::move(body.error()), *c));
  std::vector<operation> what;  // braces would copy
  what.emplace_back(append_items{std::move(body->items)});
  execute(c, std::move(what), [](const command_result& result) {
    return to_answer(appended_body{result.revision, result.first_seq, result.last_seq},
                     result.revision, 201);
  });
}

void get_items(const call_ptr& c) {
  const auto page = decode_page(*c);
  if (!page)
    return c->refuse(page.error());
  read(c, [c, page = *page](const entity_state& state) {
    const auto picked = pick(state.items, page);
    value_writer out;  // in one go: a page may be a megabyte
    out.reserve(std::accumulate(picked.items.begin(), picked.items.end(), page_head_bytes,
                                [](std::size_t sum, const item_view& x) {
                                  return sum + item_head_bytes + x.fields.bytes().size();
                                }));
    out.begin_map(2).string("items").begin_array(picked.items.size());
    for (const auto& item : picked.items)
      write_item(out, item);
    out.string("next_cursor");
    if (picked.cursor)
      out.string(std::to_string(*picked.cursor));
    else
      out.null();
    return unless_known(*c, {200, out.take(), state.revision, {}});
  });
}

void pop(const call_ptr& c) {
  const auto body = c->optional_body_as<pop_body>();
  if (!body)
    return c->refuse(body.error());
  execute(c, {pop_items{body->count, body->expected_last_seq}}, [](const command_result& result) {
    return to_answer(popped_body{result.revision, result.removed}, result.revision);
  });
}

void clear(const call_ptr& c) {
  execute(c, {clear_items{}}, deleted_answer);
}

constexpr route rows[] = {
    {"POST", "{S}/items", session_only, role::writer, post_items, "Append items: all or none", "",
     schema_of<append_body>, schema_of<appended_body>, 201},
    {"GET", "{S}/items", session_only, role::reader, get_items, "A page of the history",
     "last after cursor before limit max_bytes pair_safe q consistency", nullptr,
     schema_of<page_body>},
    {"DELETE", "{S}/items", session_only, role::writer, clear, "Remove all items", "", nullptr,
     nullptr, 204},
    {"POST", "{S}/items/pop", session_only, role::writer, pop, "Remove the newest items", "",
     schema_of<pop_body>, schema_of<popped_body>},
};

}  // namespace

std::span<const route> item_routes() {
  return rows;
}

}  // namespace troupe::api
