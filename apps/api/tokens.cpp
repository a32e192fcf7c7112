#include "api/tokens.hpp"

#include <troupe/state/binding.hpp>
#include <troupe/state/json.hpp>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <fstream>
#include <iterator>
#include <system_error>
#include <utility>

namespace troupe::api {

namespace {

constexpr std::size_t id_digits = 16, secret_digits = 64;
constexpr std::string_view prefix = "troupe_";

/// One line of the file.
struct token_line {
  std::string id{}, sha256{}, user{}, name_space{}, role{};
  timestamp created{};
  std::optional<timestamp> expires{};
  static constexpr auto fields =
      std::tuple{field{"id", &token_line::id},          field{"sha256", &token_line::sha256},
                 field{"user", &token_line::user},      field{"namespace", &token_line::name_space},
                 field{"role", &token_line::role},      field{"created", &token_line::created},
                 field{"expires", &token_line::expires}};
};

bool is_hex(std::string_view text, std::size_t digits) {
  return text.size() == digits
         && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

std::string hex(std::string_view bytes) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string out;
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    out += {digits[byte >> 4], digits[byte & 15]};
  }
  return out;
}

/// Takes as long for any two texts of one length.
bool same(std::string_view a, std::string_view b) {
  unsigned char difference = a.size() == b.size() ? 0 : 1;
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i)
    difference = static_cast<unsigned char>(difference | (a[i] ^ b[i]));
  return difference == 0;
}

std::string digest_of(std::string_view secret) {
  return to_hex(sha256_hasher{}.update(secret).finish());
}

expected<token_entry> read_line(std::string_view line) {
  const auto read = value_from_json(line);
  if (!read)
    return tl::unexpected(read.error());
  auto x = from_value<token_line>(*read, unknown_members::refused);
  if (!x)
    return tl::unexpected(std::move(x.error()));
  const auto held = role_named(x->role);
  if (!held || !is_hex(x->id, id_digits) || !is_hex(x->sha256, 64) || !checked_id(x->name_space)
      || (*held != role::admin && x->user.empty()))
    return fail(errc::damaged, "no token has this id, hash, user, namespace or role");
  return token_entry{std::move(x->id),
                     std::move(x->sha256),
                     std::move(x->user),
                     std::move(x->name_space),
                     *held,
                     x->created,
                     x->expires};
}

error failed(const std::filesystem::path& file, const char* what) {
  return {errc::store_failed,
          file.string() + ": " + what + ": " + std::generic_category().message(errno)};
}

identity identity_of(const token_entry& x) {
  return {.name_space = x.name_space,
          .by = {.user = x.user, .trusted = x.held == role::admin},
          .held = x.held,
          .token = x.id};
}

}  // namespace

new_token make_token(std::string_view random, token_entry kept) {
  const auto secret = hex(random.substr(0, secret_digits / 2));
  kept.id = hex(random.substr(secret_digits / 2, id_digits / 2));
  kept.sha256 = digest_of(secret);
  return {std::string{prefix} + kept.id + '_' + secret, std::move(kept)};
}

expected<std::vector<token_entry>> parse_tokens(std::string_view text) {
  std::vector<token_entry> out;
  for (std::size_t number = 1; !text.empty(); ++number) {
    const auto end = std::min(text.find('\n'), text.size());
    auto one = read_line(text.substr(0, end));
    if (!one)
      return fail(errc::damaged,
                  "line " + std::to_string(number) + " of the tokens: " + one.error().message);
    out.push_back(*std::move(one));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return out;
}

std::string write_tokens(const std::vector<token_entry>& all) {
  std::string out;
  for (const auto& x : all) {
    value_writer line;
    binding<token_line>::write(line, {x.id, x.sha256, x.user, x.name_space,
                                      std::string{to_string(x.held)}, x.created, x.expires});
    append_json(out, value_view{line.bytes()});
    out += '\n';
  }
  return out;
}

std::filesystem::path tokens_path(const std::filesystem::path& data) {
  return data / "tokens";
}

expected<std::optional<std::vector<token_entry>>> load_tokens(const std::filesystem::path& file) {
  std::error_code ec;
  if (!std::filesystem::exists(file, ec) && !ec)
    return std::nullopt;
  std::ifstream in{file, std::ios::binary};
  const std::string text{std::istreambuf_iterator<char>{in}, {}};
  if (ec || !in)
    return fail(errc::store_failed, file.string() + " cannot be read");
  auto all = parse_tokens(text);
  if (!all)
    return tl::unexpected(std::move(all.error()));
  return *std::move(all);
}

expected<void> save_tokens(const std::filesystem::path& file, const std::vector<token_entry>& all) {
  const auto text = write_tokens(all);
  const auto next = file.string() + ".new";
  ::unlink(next.c_str());
  const int fd = ::open(next.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0)
    return tl::unexpected(failed(next, "cannot be made"));
  const bool written = ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size())
                       && ::fsync(fd) == 0;
  if (::close(fd) != 0 || !written)
    return tl::unexpected(failed(next, "cannot be written"));
  if (::rename(next.c_str(), file.c_str()) != 0)
    return tl::unexpected(failed(file, "cannot be replaced"));
  const int directory = ::open(file.parent_path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const bool synced = directory >= 0 && ::fsync(directory) == 0;
  if (directory >= 0)
    ::close(directory);
  if (!synced)
    return tl::unexpected(failed(file, "cannot be synced"));
  return {};
}

/// A file that was replaced is another inode.
std::array<std::int64_t, 4> token_table::stamp_of(const std::filesystem::path& file) {
  struct stat found {};
  if (::stat(file.c_str(), &found) != 0)
    return {};
  return {static_cast<std::int64_t>(found.st_ino), found.st_size, found.st_mtim.tv_sec,
          found.st_mtim.tv_nsec};
}

expected<void> token_table::reload(const std::filesystem::path& file) {
  const auto stamp = stamp_of(file);
  const std::lock_guard lock{mutex_};
  if (stamp == read_)
    return {};
  auto read = load_tokens(file);
  read_ = read ? stamp : std::array<std::int64_t, 4>{};
  needed_ = needed_ || !read || *read;
  all_.clear();
  if (!read)
    return tl::unexpected(std::move(read.error()));
  if (*read)
    all_ = **std::move(read);
  return {};
}

bool token_table::needed() const {
  const std::lock_guard lock{mutex_};
  return needed_;
}

std::optional<identity> token_table::find(std::string_view token, timestamp now) const {
  if (token.size() != prefix.size() + id_digits + 1 + secret_digits || !token.starts_with(prefix)
      || token[prefix.size() + id_digits] != '_')
    return std::nullopt;
  const auto id = token.substr(prefix.size(), id_digits);
  const auto asked = digest_of(token.substr(prefix.size() + id_digits + 1));
  const std::lock_guard lock{mutex_};
  const auto at = std::ranges::find(all_, id, &token_entry::id);
  const bool known = at != all_.end();
  // An id that nobody has takes as long as one that somebody has.
  const bool right = same(asked, known ? at->sha256 : std::string(asked.size(), '0'));
  if (!known || !right || (at->expires && now >= *at->expires))
    return std::nullopt;
  return identity_of(*at);
}

std::vector<std::string> token_table::name_spaces() const {
  const std::lock_guard lock{mutex_};
  std::vector<std::string> out{identity{}.name_space};
  for (const auto& one : all_) {
    if (std::ranges::find(out, one.name_space) == out.end())
      out.push_back(one.name_space);
  }
  return out;
}

bool token_table::holds(const identity& who, timestamp now) const {
  const std::lock_guard lock{mutex_};
  if (!needed_)
    return true;
  const auto at = std::ranges::find(all_, who.token, &token_entry::id);
  return at != all_.end() && !(at->expires && now >= *at->expires) && identity_of(*at) == who;
}

}  // namespace troupe::api
