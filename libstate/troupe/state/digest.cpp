#include <troupe/state/digest.hpp>
#include <troupe/state/internal/canonical.hpp>

#include <openssl/evp.h>

#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <vector>

namespace troupe {

namespace {

/// Looked up once: a look-up costs as much as hashing a key. Never freed, so that a hasher of
/// static storage may outlive everything.
const EVP_MD* algorithm() {
  static const EVP_MD* const found = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  if (found == nullptr)
    throw std::runtime_error{"SHA-256 is not available from OpenSSL"};
  return found;
}

void check(int result) {
  if (result != 1)
    throw std::runtime_error{"SHA-256 failed in OpenSSL"};
}

struct free_context {
  void operator()(EVP_MD_CTX* x) const noexcept { EVP_MD_CTX_free(x); }
};

/// Values still to be hashed: `left` of them stand in `rest`, after the bytes of `key`.
struct run {
  std::string_view key;
  std::string_view rest;
  std::size_t left = 0;
};

/// The members of a map in the order in which they are hashed. `rest` begins with the first key.
std::vector<run> ordered_members(std::string_view rest, std::size_t count) {
  std::vector<run> out;
  out.reserve(count);
  for (; count > 0; --count) {
    const auto head = internal::read_head(rest);
    const auto key = rest.substr(0, head.size + head.payload);
    rest.remove_prefix(key.size());
    const auto size = count == 1 ? rest.size() : internal::extent(rest);
    out.push_back({key, rest.substr(0, size), 1});
    rest.remove_prefix(size);
  }
  std::sort(out.begin(), out.end(), [](const run& a, const run& b) { return a.key < b.key; });
  return out;
}

}  // namespace

/// Gathers short pieces: a call into OpenSSL costs more than copying 100 bytes.
struct sha256_hasher::context {
  std::unique_ptr<EVP_MD_CTX, free_context> evp{EVP_MD_CTX_new()};
  std::size_t size = 0;
  char buffer[512];
};

sha256_hasher::sha256_hasher() : context_{std::make_unique<context>()} {
  check(EVP_DigestInit_ex2(context_->evp.get(), algorithm(), nullptr));
}
sha256_hasher::~sha256_hasher() = default;
sha256_hasher::sha256_hasher(sha256_hasher&&) noexcept = default;
sha256_hasher& sha256_hasher::operator=(sha256_hasher&&) noexcept = default;

void sha256_hasher::flush() {
  check(EVP_DigestUpdate(context_->evp.get(), context_->buffer, context_->size));
  context_->size = 0;
}

sha256_hasher& sha256_hasher::update(std::string_view bytes) {
  auto& c = *context_;
  if (bytes.size() > sizeof c.buffer - c.size)
    flush();
  if (bytes.size() > sizeof c.buffer) {
    check(EVP_DigestUpdate(c.evp.get(), bytes.data(), bytes.size()));
  } else if (!bytes.empty()) {
    std::memcpy(c.buffer + c.size, bytes.data(), bytes.size());
    c.size += bytes.size();
  }
  return *this;
}

sha256_hasher& sha256_hasher::field(std::string_view bytes) {
  char length[8];
  for (int i = 0; i < 8; ++i)
    length[i] = static_cast<char>(std::uint64_t{bytes.size()} >> (56 - 8 * i));
  return update({length, sizeof length}).update(bytes);
}

sha256_hasher& sha256_hasher::field(value_view what) {
  char length[8];  // ordering the keys does not change the size
  for (int i = 0; i < 8; ++i)
    length[i] = static_cast<char>(std::uint64_t{what.bytes().size()} >> (56 - 8 * i));
  update({length, sizeof length});
  ordered(what);
  return *this;
}

void sha256_hasher::ordered(value_view what) {
  std::vector<run> todo;
  run now{{}, what.bytes(), 1};
  while (true) {
    while (now.left > 0) {
      const auto head = internal::read_head(now.rest);
      const auto own = head.size + head.payload;
      update(now.rest.substr(0, own));
      if (head.children == 0) {
        now.rest.remove_prefix(own);
        --now.left;
        continue;
      }
      // The last of a run is all that is left, so a walk down a chain is linear.
      const auto size = now.left == 1 ? now.rest.size() : internal::extent(now.rest);
      const auto inner = now.rest.substr(own, size - own);
      if (now.left > 1)
        todo.push_back({{}, now.rest.substr(size), now.left - 1});
      if (head.type == value_type::array) {
        now = {{}, inner, head.children};
      } else {
        const auto members = ordered_members(inner, head.children / 2);
        todo.insert(todo.end(), members.rbegin(), members.rend());
        now.left = 0;
      }
    }
    if (todo.empty())
      return;
    now = todo.back();
    todo.pop_back();
    update(now.key);
  }
}

sha256 sha256_hasher::finish() {
  flush();
  sha256 out;
  check(EVP_DigestFinal_ex(context_->evp.get(), out.bytes.data(), nullptr));
  check(EVP_DigestInit_ex2(context_->evp.get(), algorithm(), nullptr));
  return out;
}

sha256 sha256_of(std::string_view bytes) {
  return sha256_hasher{}.update(bytes).finish();
}

sha256 digest_of(value_view what) {
  sha256_hasher hasher;
  hasher.ordered(what);
  return hasher.finish();
}

std::string to_hex(const sha256& digest) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string out;
  out.reserve(2 * digest.bytes.size());
  for (const auto byte : digest.bytes) {
    out += digits[byte >> 4];
    out += digits[byte & 15];
  }
  return out;
}

expected<sha256> sha256_from_hex(std::string_view hex) {
  constexpr std::string_view digits = "0123456789abcdef";
  sha256 out;
  if (hex.size() != 2 * out.bytes.size() || hex.find_first_not_of(digits) != std::string_view::npos)
    return fail(errc::malformed, "a digest is 64 lower-case hexadecimal digits");
  for (std::size_t i = 0; i < out.bytes.size(); ++i)
    out.bytes[i] =
        static_cast<std::uint8_t>(digits.find(hex[2 * i]) << 4 | digits.find(hex[2 * i + 1]));
  return out;
}

}  // namespace troupe
