/// A body that becomes a command: JSON or msgpack, operations on the state, a merge patch or items.
/// It means the same in both, is refused where the plainest reading refuses it, and what comes of
/// it can be stored.

#include "api/ops.hpp"
#include "fuzz/documents.hpp"
#include "fuzz/entities.hpp"

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>

using namespace troupe;
using namespace troupe::fuzz;

namespace {

constexpr timestamp now{1'700'000'000'000};

struct ops_body {
  std::vector<api::op_body> ops{};
  static constexpr auto fields = std::tuple{field{"ops", &ops_body::ops}};
};
struct items_body {
  std::vector<value> items{};
  static constexpr auto fields = std::tuple{field{"items", &items_body::items}};
};

enum class kind : std::uint8_t { ops, merge, items };

expected<operation> command_of(kind which, const value& body) {
  if (which == kind::merge)
    return merge_state{body};
  if (which == kind::items) {
    auto read = from_value<items_body>(body, unknown_members::refused);
    if (!read)
      return tl::unexpected(std::move(read.error()));
    return append_items{std::move(read->items)};
  }
  auto read = from_value<ops_body>(body, unknown_members::refused);
  if (!read)
    return tl::unexpected(std::move(read.error()));
  auto ops = api::to_ops(std::move(read->ops), "/ops");
  if (!ops)
    return tl::unexpected(std::move(ops.error()));
  return patch_state{*std::move(ops)};
}

/// The members of one operation, by the table of the documentation.
bool naive_op(value_view op) {
  static const std::map<std::string_view,
                        std::pair<std::set<std::string_view>, std::set<std::string_view>>>
      members = {{"set", {{"value"}, {"ttl_s"}}}, {"delete", {{}, {}}},
                 {"add", {{"by"}, {}}},           {"union", {{"values"}, {}}},
                 {"append", {{"values"}, {}}},    {"cas", {{"value"}, {"expected"}}}};
  if (op.type() != value_type::map)
    return false;
  const auto name = op.find("op"), key = op.find("key");
  if (!name || !key || !name->as_string() || !key->as_string())
    return false;
  const auto shape = members.find(*name->as_string());
  if (shape == members.end())
    return false;
  const auto& [needed, optional] = shape->second;
  for (auto c = op.children(); c.next();)
    if (c.key() != "op" && c.key() != "key" && !needed.contains(c.key())
        && !optional.contains(c.key()))
      return false;
  for (const auto one : needed)
    if (!op.find(one))
      return false;
  if (const auto values = op.find("values"); values && values->type() != value_type::array)
    return false;
  const auto ttl = op.find("ttl_s");
  return !ttl || (ttl->as_uint64() && *ttl->as_uint64() <= api::max_ttl_s);
}

/// A map of one array.
bool naive_shape(kind which, value_view body) {
  if (which == kind::merge)
    return true;
  const auto list = body.type() == value_type::map && body.size() == 1
                        ? body.find(which == kind::ops ? "ops" : "items")
                        : std::nullopt;
  if (!list || list->type() != value_type::array)
    return false;
  for (auto c = list->children(); which == kind::ops && c.next();)
    if (!naive_op(c.item()))
      return false;
  return true;
}

const entity_state& session() {
  static const auto state = [] {
    auto out = decide({},
                      {.entity = session_ref("s"),
                       .operations = {create{}, merge_state{value::map({{"n", 1}, {"t", "x"}})}}},
                      {.now = now});
    require(out.has_value(), "a session can be made");
    return out->next;
  }();
  return state;
}

void require_refused(const error& why) {
  require(static_cast<int>(why.code) < 100, "what is wrong with a body is the caller's fault");
  require(!why.message.empty() && testing::naive_utf8(why.message), "a refusal says why");
  require(testing::naive_pointer(why.path), "a refusal's path is a JSON pointer");
}

/// What comes of a body, as text to compare: the bytes of the change, or the code and the place.
std::string outcome_of_body(kind which, const value& body) {
  const auto op = command_of(which, body);
  require(op.has_value() == naive_shape(which, body), "a body is taken when it has its shape");
  if (!op) {
    require_refused(op.error());
    return std::string{to_string(op.error().code)} + ' ' + op.error().path;
  }
  const auto made =
      decide(session(), {.entity = session_ref("s"), .operations = {*op}}, {.now = now});
  if (!made) {
    require_refused(made.error());
    return std::string{to_string(made.error().code)} + ' ' + made.error().path;
  }
  require(made->next == evolve(session(), made->what), "the change leads to the state");
  require(made->answer == outcome_of(made->what) || !made->answer.changed,
          "the answer is that of the change");
  require_storable(made->what);
  require_storable(made->next);
  require_counted(made->next);
  return encode(made->what);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0)
    return 0;
  const auto which = static_cast<kind>(data[0] / 2 % 3);
  const bool packed = data[0] % 2 == 1;
  const std::string_view bytes{reinterpret_cast<const char*>(data + 1), size - 1};
  const limits budget{.bytes = bytes.size()};
  const auto body = packed ? value_from_msgpack(bytes, budget) : value_from_json(bytes, budget);
  if (!body)
    return 0;
  const auto said = outcome_of_body(which, *body);
  const auto same = value_from_msgpack(body->bytes(), roomy);
  require(same.has_value() && outcome_of_body(which, *same) == said, "msgpack says the same");
  if (contains_binary(*body))
    return 0;
  const auto text = value_from_json(to_json(*body), roomy);
  require(text.has_value() && outcome_of_body(which, *text) == said, "JSON says the same");
  return 0;
}
