#include "troupe/conversations.hpp"

#include <troupe/state/decide.hpp>
#include <troupe/state/json.hpp>

#include "troupe/text.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <memory>
#include <system_error>
#include <unordered_map>
#include <utility>

namespace troupe::cli {

namespace {

constexpr limits line_limits{.bytes = 1 << 30, .depth = 64 + 2, .elements = 50'000'000};

expected<std::string> text_member(value_view line, std::string_view name) {
  const auto found = line.find(name);
  if (!found)
    return std::string{};
  const auto text = found->as_string();
  if (!text)
    return fail(errc::wrong_type, "it is a string", '/' + std::string{name});
  return std::string{*text};
}

/// The rules of an append, asked where they are written.
expected<void> check_message(const value& message, std::size_t index) {
  static const entity_state session = [] {
    entity_state live;
    live.status = lifecycle::live;
    return live;
  }();
  const auto decided =
      decide(session, {.entity = session_ref(""), .operations = {append_items{{message}}}}, {});
  if (decided)
    return {};
  constexpr std::string_view first_item = "/items/0";
  std::string_view rest = decided.error().path;
  if (rest.starts_with(first_item))
    rest.remove_prefix(first_item.size());
  return fail(decided.error().code, decided.error().message,
              "/messages/" + std::to_string(index) + std::string{rest});
}

expected<conversation> read_line(std::string_view text, std::string_view prefix) {
  const auto read = value_from_json(text, line_limits);
  if (!read)
    return unexpected{read.error()};
  const auto line = read->view();
  if (line.type() != value_type::map)
    return fail(errc::wrong_type, "a conversation is an object {\"id\", \"user\"?, \"messages\"}");
  conversation out;
  auto id = text_member(line, "id");
  if (id)
    id = checked_id(std::string{prefix} + *id);
  if (id && id->size() == prefix.size())
    id = fail(errc::bad_id, "a conversation has an id");
  if (!id)
    return fail(id.error().code, id.error().message, "/id");
  out.id = *std::move(id);
  auto user = text_member(line, "user");
  if (user && !user->empty())
    user = checked_id(*user);
  if (!user)
    return fail(user.error().code, user.error().message, "/user");
  out.user = *std::move(user);
  const auto messages = line.find("messages");
  if (!messages || messages->type() != value_type::array)
    return fail(errc::wrong_type, "a conversation has an array of messages", "/messages");
  out.messages.reserve(messages->size());
  for (auto message = messages->children(); message.next();) {
    out.messages.emplace_back(message.item());
    if (auto ok = check_message(out.messages.back(), out.messages.size() - 1); !ok)
      return unexpected{ok.error()};
  }
  return out;
}

}  // namespace

conversation_file read_conversations(std::string_view text, std::string_view prefix) {
  conversation_file out;
  std::unordered_map<std::string, std::size_t> lines;  // by id
  std::size_t number = 0;
  for (std::size_t at = 0; at < text.size() && out.faults.size() < max_faults;) {
    const auto end = std::min(text.find('\n', at), text.size());
    const auto line = text.substr(at, end - at);
    const auto begin = std::exchange(at, end + 1);
    ++number;
    if (line.find_first_not_of(" \t\r") == std::string_view::npos)
      continue;
    auto read = read_line(line, prefix);
    if (read) {
      const auto [first, fresh] = lines.emplace(read->id, number);
      if (!fresh)
        read = fail(errc::already_exists,
                    "the id stands in line " + std::to_string(first->second) + " too", "/id");
    }
    if (!read) {
      out.faults.push_back({number, begin, std::move(read.error())});
      continue;
    }
    read->line = number;
    out.conversations.push_back(*std::move(read));
  }
  return out;
}

std::string describe(const line_fault& fault, std::string_view file) {
  auto out = std::string{file} + ':' + std::to_string(fault.line) + ": (byte "
             + std::to_string(fault.byte) + ") " + std::string{to_string(fault.why.code)};
  if (!fault.why.path.empty())
    out += " at " + fault.why.path;
  return escape_controls(out + ": " + fault.why.message);
}

expected<std::string> read_whole_file(const std::filesystem::path& path) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file{std::fopen(path.c_str(), "rbe"),
                                                             &std::fclose};
  if (!file)
    return fail(errc::not_found,
                "cannot open " + path.string() + ": " + std::generic_category().message(errno));
  std::string out;
  std::error_code ec;
  if (const auto size = std::filesystem::file_size(path, ec); !ec)
    out.reserve(size);
  std::string buffer(1 << 18, '\0');
  while (const auto n = std::fread(buffer.data(), 1, buffer.size(), file.get()))
    out.append(buffer, 0, n);
  if (std::ferror(file.get()) != 0)
    return fail(errc::store_failed,
                "cannot read " + path.string() + ": " + std::generic_category().message(errno));
  return out;
}

}  // namespace troupe::cli
