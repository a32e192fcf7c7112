#include "troupe/token.hpp"

#include "troupe/exit_status.hpp"
#include "troupe/store_directory.hpp"
#include "troupe/table.hpp"
#include "troupe/text.hpp"
#include <fcntl.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <system_error>
#include <utility>
#include <vector>

namespace troupe::cli {

namespace {

int refuse(const error& why, int status) {
  std::fprintf(stderr, "error: %s\n", escape_controls(why.message).c_str());
  return status;
}

timestamp wall_clock() {
  return {std::chrono::duration_cast<std::chrono::milliseconds>(
              std::chrono::system_clock::now().time_since_epoch())
              .count()};
}

/// One command changes the file at a time: the lock is on the directory, and goes with the process.
class locked_directory {
public:
  explicit locked_directory(const std::filesystem::path& data) {
    fd_ = ::open(data.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd_ >= 0 && ::flock(fd_, LOCK_EX) != 0)
      ::close(std::exchange(fd_, -1));
  }
  locked_directory(const locked_directory&) = delete;
  locked_directory& operator=(const locked_directory&) = delete;
  ~locked_directory() {
    if (fd_ >= 0)
      ::close(fd_);
  }
  explicit operator bool() const { return fd_ >= 0; }

private:
  int fd_ = -1;
};

std::string expiry_text(const api::token_entry& x, timestamp now) {
  if (!x.expires)
    return "never";
  return to_rfc3339(*x.expires) + (now >= *x.expires ? " (expired)" : "");
}

void print(const std::vector<api::token_entry>& all) {
  if (all.empty()) {
    std::puts("no tokens: a node asks nobody for one");
    return;
  }
  table out{{align::left, align::left, align::left, align::left, align::left}};
  out.add({"id", "role", "expires", "namespace", "user"});
  for (const auto& x : all)
    out.add({x.id, std::string{to_string(x.held)}, expiry_text(x, wall_clock()),
             escape_controls(x.name_space), escape_controls(x.user)});
  std::fputs(out.render().c_str(), stdout);
}

/// The id in a whole token, of which nothing else is ever shown.
std::string id_in(const std::string& text) {
  constexpr std::string_view prefix = "troupe_";
  return text.starts_with(prefix)
             ? text.substr(prefix.size(), text.find('_', prefix.size()) - prefix.size())
             : text;
}

/// Changes `all`; the text is printed when that is on disk.
struct changing {
  std::vector<api::token_entry>& all;
  std::string& text;

  expected<bool> operator()(const token_create& how) const {
    const auto now = wall_clock();
    if (how.user.empty() && how.held != api::role::admin)
      return fail(errc::invalid_value, "a reader or writer has a --user");
    if (const auto ok = checked_id(how.name_space); !ok)
      return fail(errc::invalid_value, "--namespace: " + ok.error().message);
    if (const auto ok = checked_id(how.user.empty() ? "-" : how.user); !ok)
      return fail(errc::invalid_value, "--user: " + ok.error().message);
    api::token_entry kept{
        .user = how.user, .name_space = how.name_space, .held = how.held, .created = now};
    if (how.expires) {
      const auto at = expiry_of(*how.expires, now);
      if (!at)
        return tl::unexpected(at.error());
      if (*at <= now)
        return fail(errc::invalid_value, "--expires: " + to_rfc3339(*at) + " is past");
      kept.expires = *at;
    }
    std::array<char, 40> random{};
    if (::getrandom(random.data(), random.size(), 0) != static_cast<ssize_t>(random.size()))
      return fail(errc::internal, "the kernel gives no random bits");
    auto made = api::make_token({random.data(), random.size()}, std::move(kept));
    all.push_back(std::move(made.kept));
    text = std::move(made.text);
    return true;
  }
  expected<bool> operator()(const token_list&) const { return false; }
  expected<bool> operator()(const token_revoke& how) const {
    if (std::erase_if(all, [id = id_in(how.id)](const auto& x) { return x.id == id; }) == 0)
      return fail(errc::not_found, "no token has this id; `troupe token list` has all");
    return true;
  }
};

bool is_whole_token(const std::string& text) {
  constexpr std::size_t size = 88;  // "troupe_", 16 digits, "_", 64 digits
  return text.size() == size && text.starts_with("troupe_");
}

/// Where tokens may stand: a store, what is to become one, or where there are some. A token is the
/// only thing that makes a directory. Errors: `damaged`, `store_failed`.
expected<void> prepare(const std::filesystem::path& data, bool creating) {
  std::error_code ec;
  if (creating && !std::filesystem::exists(data, ec) && ::mkdir(data.c_str(), 0700) != 0)
    return fail(errc::store_failed,
                "cannot make " + data.string() + ": " + std::generic_category().message(errno));
  if (!std::filesystem::is_directory(data, ec))
    return fail(errc::damaged, data.string() + " is no directory: there is no store of Troupe");
  const auto file = data / "data.mdb";
  const bool foreign = holds_store(data) ? !begins_as_store(file)
                                         : !std::filesystem::exists(api::tokens_path(data), ec)
                                               && !std::filesystem::is_empty(data, ec);
  if (foreign)
    return fail(errc::damaged, data.string() + " holds no store of Troupe, but other files");
  return {};
}

}  // namespace

expected<timestamp> expiry_of(std::string_view text, timestamp now) {
  if (const auto at = parse_rfc3339(text))
    return *at;
  constexpr std::pair<char, std::int64_t> units[] = {
      {'d', 86'400'000}, {'h', 3'600'000}, {'m', 60'000}};
  constexpr std::int64_t longest = 1'000'000;  // of a unit: 2,700 years
  std::int64_t count = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), count);
  if (code == std::errc{} && end + 1 == text.data() + text.size() && count > 0 && count <= longest)
    for (const auto& [letter, ms] : units)
      if (*end == letter)
        return timestamp{now.ms + count * ms};
  return fail(errc::invalid_value,
              "--expires is 90d, 12h or 30m from now, or a time: 2027-01-01T00:00:00.000Z");
}

int token(const token_command& options) {
  if (is_whole_token(options.data.string()))
    return refuse({errc::invalid_value, "the token stands in front: troupe token revoke ID DIR"},
                  exit_status::usage);
  const bool creating = std::holds_alternative<token_create>(options.what);
  if (const auto ready = prepare(options.data, creating); !ready)
    return refuse(ready.error(), exit_status::of_open(ready.error().code));
  const locked_directory lock{options.data};
  if (!lock)
    return refuse({errc::store_failed, options.data.string() + " is no directory to be used"},
                  exit_status::io_failure);
  const auto file = api::tokens_path(options.data);
  auto read = api::load_tokens(file);
  if (!read)
    return refuse(read.error(), exit_status::of_open(read.error().code));
  auto all = read->value_or(std::vector<api::token_entry>{});
  std::string text;
  const auto changed = std::visit(changing{all, text}, options.what);
  if (!changed)
    return refuse(changed.error(), changed.error().code == errc::invalid_value
                                       ? exit_status::usage
                                       : exit_status::failed);
  if (!*changed) {
    print(all);
    return exit_status::ok;
  }
  if (const auto saved = api::save_tokens(file, all); !saved)
    return refuse(saved.error(), exit_status::io_failure);
  if (!text.empty())
    std::puts(text.c_str());
  return exit_status::ok;
}

}  // namespace troupe::cli
