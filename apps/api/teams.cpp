#include <troupe/state/team.hpp>

#include "api/item_page.hpp"
#include "api/route.hpp"

#include <algorithm>
#include <set>
#include <utility>

template <>
struct troupe::fields_of<troupe::member> {
  static constexpr auto value = std::tuple{
      field{"name", &member::name}, field{"role", &member::role}, field{"cursor", &member::cursor}};
};
template <>
struct troupe::fields_of<troupe::message> {
  static constexpr auto value = std::tuple{field{"seq", &message::seq}, field{"at", &message::at},
                                           field{"from", &message::from}, field{"to", &message::to},
                                           field{"body", &message::body}};
};

/// {S}/members and {S}/messages of a team.
namespace troupe::api {

namespace {

struct member_request {
  std::string name{}, role{};
  static constexpr auto fields =
      std::tuple{field{"name", &member_request::name}, defaulted{"role", &member_request::role}};
};
struct members_request {
  std::vector<member_request> members{};
  static constexpr auto fields = std::tuple{field{"members", &members_request::members}};
};
struct members_body {
  std::vector<member> members{};
  static constexpr auto fields = std::tuple{field{"members", &members_body::members}};
};
struct message_request {
  std::string from{};
  std::optional<std::string> to{};
  value body{};
  static constexpr auto fields =
      std::tuple{field{"from", &message_request::from}, field{"to", &message_request::to},
                 field{"body", &message_request::body}};
};
struct sent_body {
  std::uint64_t revision = 0, seq = 0;
  static constexpr auto fields =
      std::tuple{field{"revision", &sent_body::revision}, field{"seq", &sent_body::seq}};
};
struct messages_body {
  std::vector<message> items{};
  nullable_text next_cursor{};
  static constexpr auto fields = std::tuple{field{"items", &messages_body::items},
                                            field{"next_cursor", &messages_body::next_cursor}};
};

// Members ----------------------------------------------------------------------------------------

constexpr int max_attempts = 8;  // when others change the team meanwhile; then: the conflict

void get_members(const call_ptr& c) {
  read(c, [](const entity_state& state) {
    return to_answer(members_body{members_of(state)}, state.revision);
  });
}

/// What makes the wanted members of those there are.
std::vector<operation> member_changes(const entity_state& team,
                                      const std::vector<member_request>& wanted) {
  std::set<std::string_view> kept;
  std::vector<operation> out;
  for (const auto& [name, role] : wanted) {
    kept.insert(name);
    out.emplace_back(add_member{name, role});
  }
  for (const auto& one : members_of(team)) {
    if (!kept.contains(one.name))
      out.emplace_back(remove_member{one.name});
  }
  return out;
}

/// The list is made of the newest state and executed upon it, or again.
void try_members(const call_ptr& c, std::optional<std::uint64_t> if_match,
                 const std::vector<member_request>& wanted, int attempt) {
  c->entity.read(true, [=](expected<runtime::snapshot> team) {
    if (!team)
      return c->refuse(team.error());
    auto changes = member_changes(**team, wanted);
    if (changes.empty())  // nobody was there, nobody is to be
      return c->send(revision_answer(outcome{.revision = (**team).revision}));
    execute(
        c, c->entity, std::move(changes), if_match.value_or((**team).revision),
        [=](expected<command_result> result) {
          if (result)
            return send_result(c, revision_answer(*result), *result);
          if (!if_match && result.error().code == errc::revision_conflict && attempt < max_attempts)
            return try_members(c, if_match, wanted, attempt + 1);
          c->refuse(result.error());
        });
  });
}

void put_members(const call_ptr& c) {
  const auto body = c->body_as<members_request>();
  if (!body)
    return c->refuse(body.error());
  const auto if_match = c->if_match();
  if (!if_match)
    return c->refuse(if_match.error());
  std::set<std::string_view> names;
  for (const auto& one : body->members) {
    if (!names.insert(one.name).second)
      return c->refuse({errc::invalid_value, "each name stands once", "/members"});
  }
  try_members(c, *if_match, body->members, 1);
}

// Messages ---------------------------------------------------------------------------------------

void post_message(const call_ptr& c) {
  auto body = c->body_as<message_request>();
  if (!body)
    return c->refuse(body.error());
  execute(c, {send_message{std::move(body->from), std::move(body->to), std::move(body->body)}},
          [](const command_result& result) {
            return to_answer(sent_body{result.revision, result.first_seq}, result.revision, 201);
          });
}

/// All messages of a team behind `after`, whoever they are for.
std::vector<message> all_messages(const entity_state& team, std::uint64_t after,
                                  std::size_t limit) {
  std::vector<message> out;
  for (auto i = team.items.first_after(after); i < team.items.size() && out.size() < limit; ++i) {
    const auto item = team.items[i];
    message one{.seq = item.seq, .at = item.at};
    if (const auto from = item.fields.find("from"); from && from->as_string())
      one.from = *from->as_string();
    if (const auto to = item.fields.find("to"); to && to->as_string())
      one.to = std::string{*to->as_string()};
    if (const auto body = item.fields.find("body"))
      one.body = value{*body};
    out.push_back(std::move(one));
  }
  return out;
}

void get_messages(const call_ptr& c) {
  const auto limit = c->number("limit"), given = c->number("after"), cursor = c->number("cursor");
  for (const auto* one : {&limit, &given, &cursor}) {
    if (!*one)
      return c->refuse(one->error());
  }
  if (limit->value_or(1) == 0 || limit->value_or(1) > max_page_items)
    return c->refuse({.code = errc::invalid_value,
                      .message = "a page has 1 to 1,000 messages",
                      .path = "limit",
                      .limit = max_page_items});
  if (*given && *cursor)
    return c->refuse({errc::invalid_value, "give one of `after` and `cursor`", "cursor"});
  const auto after = *cursor ? *cursor : *given;
  read(c, [c, after, limit = limit->value_or(100)](const entity_state& team) -> expected<answer> {
    const auto* name = c->query("member");
    const auto is = [&](const member& one) { return one.name == *name; };
    if (name && !std::ranges::any_of(members_of(team), is))
      return fail(errc::not_found, "no such member", "member");
    auto found = name ? messages_for(team, *name, after, limit + 1)
                      : all_messages(team, after.value_or(0), limit + 1);
    messages_body out;
    if (found.size() > limit) {
      found.resize(limit);
      out.next_cursor.text = std::to_string(found.back().seq);
    }
    out.items = std::move(found);
    return to_answer(out, team.revision);
  });
}

constexpr route rows[] = {
    {"GET", "{S}/members", team_only, role::reader, get_members, "Members in order of names",
     "consistency", nullptr, schema_of<members_body>},
    {"PUT", "{S}/members", team_only, role::writer, put_members,
     "The members are exactly these; who stays keeps its place in the messages", "",
     schema_of<members_request>, schema_of<revision_body>},
    {"POST", "{S}/messages", team_only, role::writer, post_message,
     "Send a message to one member, or to every other one", "", schema_of<message_request>,
     schema_of<sent_body>, 201},
    {"GET", "{S}/messages", team_only, role::reader, get_messages,
     "Messages for a member behind `after` (where it stands when absent), or all messages",
     "member after cursor limit consistency", nullptr, schema_of<messages_body>},
};

}  // namespace

std::span<const route> team_routes() {
  return rows;
}

}  // namespace troupe::api
