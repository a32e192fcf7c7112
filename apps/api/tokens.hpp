#pragma once

#include <troupe/state/digest.hpp>
#include <troupe/state/time.hpp>

#include "api/access.hpp"

#include <array>
#include <cstdint>
#include <filesystem>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// Access tokens: `troupe_<id>_<secret>`, 16 and 64 hexadecimal digits. The id is public and names
/// the token in lists and logs; of the secret only a hash is kept. The secret is 256 random bits,
/// which nobody guesses, so a plain SHA-256 is enough: what makes a hash slow protects passwords.
namespace troupe::api {

/// What is kept of one token: no secret.
struct token_entry {
  std::string id{};
  std::string sha256{};  ///< of the secret's digits, in hexadecimal
  std::string user{};
  std::string name_space = "default";
  role held = role::reader;
  timestamp created{};
  std::optional<timestamp> expires{};
};

/// A token that was just made: the only time that its secret is at hand.
struct new_token {
  std::string text;
  token_entry kept;
};

/// `random` must be 40 bytes from the kernel.
[[nodiscard]] new_token make_token(std::string_view random, token_entry kept);

/// The file: one JSON object a line. Errors: `damaged`, naming the line.
expected<std::vector<token_entry>> parse_tokens(std::string_view text);
[[nodiscard]] std::string write_tokens(const std::vector<token_entry>& all);

/// "tokens" in the directory of a store.
[[nodiscard]] std::filesystem::path tokens_path(const std::filesystem::path& data);
/// Nothing when there is no such file. Errors: `damaged`, `store_failed`.
expected<std::optional<std::vector<token_entry>>> load_tokens(const std::filesystem::path& file);
/// Replaces the file, which only its owner may read: all of the new or what was there. Errors:
/// `store_failed`.
expected<void> save_tokens(const std::filesystem::path& file, const std::vector<token_entry>& all);

/// The tokens that a node knows. Once there were some, they are asked for until the process ends,
/// whatever becomes of the file: without it nobody is let in. Any thread.
class token_table {
public:
  /// Reads the file again, unless it is the one that was read last. A file that cannot be read lets
  /// nobody in. Errors: as `load_tokens`.
  expected<void> reload(const std::filesystem::path& file);

  /// Are tokens asked for?
  [[nodiscard]] bool needed() const;
  /// Who sends this token; nothing: it is none, or has expired.
  [[nodiscard]] std::optional<identity> find(std::string_view token, timestamp now) const;
  /// Does a token that was found still hold, and mean the same?
  [[nodiscard]] bool holds(const identity& who, timestamp now) const;
  /// "default" and those of the tokens.
  [[nodiscard]] std::vector<std::string> name_spaces() const;

private:
  static std::array<std::int64_t, 4> stamp_of(const std::filesystem::path& file);

  mutable std::mutex mutex_;
  bool needed_ = false;
  std::array<std::int64_t, 4> read_{};  ///< stamp of the file; zeros: there was none
  std::vector<token_entry> all_;
};

}  // namespace troupe::api
