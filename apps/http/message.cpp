#include "http/message.hpp"

#include "http/problem.hpp"
#include <arpa/inet.h>

#include <algorithm>

namespace troupe::http {
namespace {

char lower(char c) noexcept {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

int hex_digit(char c) noexcept {
  if (c >= '0' && c <= '9')
    return c - '0';
  c = lower(c);
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool decode(std::string_view text, bool plus_is_space, std::string& out) {
  if (text.find('%') == text.npos && (!plus_is_space || text.find('+') == text.npos)) {
    out = text;
    return true;
  }
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%') {
      if (text.size() - i < 3)
        return false;
      const int high = hex_digit(text[i + 1]);
      const int low = hex_digit(text[i + 2]);
      if (high < 0 || low < 0)
        return false;
      out.push_back(static_cast<char>(high * 16 + low));
      i += 2;
    } else {
      out.push_back(plus_is_space && text[i] == '+' ? ' ' : text[i]);
    }
  }
  return true;
}

/// Calls `f(piece)` for each piece between separators; ends early, with false, when `f` does.
template <class F>
bool split(std::string_view text, char separator, F f) {
  for (;;) {
    const auto at = text.find(separator);
    if (!f(text.substr(0, at)))
      return false;
    if (at == std::string_view::npos)
      return true;
    text.remove_prefix(at + 1);
  }
}

}  // namespace

bool iequals_of_a_size(std::string_view a, std::string_view b) noexcept {
  return a == b || std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) {
           return lower(x) == lower(y);
         });
}

const std::string* find_header(const std::vector<header>& headers, std::string_view name) noexcept {
  for (const auto& h : headers)
    if (iequals(h.name, name))
      return &h.value;
  return nullptr;
}

std::size_t count_header(const std::vector<header>& headers, std::string_view name) noexcept {
  std::size_t n = 0;
  for (const auto& h : headers)
    n += iequals(h.name, name) ? 1 : 0;
  return n;
}

const std::string* parsed_target::find_query(std::string_view name) const noexcept {
  for (const auto& p : query)
    if (p.name == name)
      return &p.value;
  return nullptr;
}

expected<parsed_target> parse_target(std::string_view target) {
  if (!target.starts_with('/'))
    return fail(errc::malformed, "a request target is an absolute path");
  parsed_target result;
  const auto mark = target.find('?');
  const auto path = target.substr(1, mark == std::string_view::npos ? mark : mark - 1);
  result.segments.reserve(8);  // no path of ours has more
  bool ok = path.empty() || split(path, '/', [&](std::string_view piece) {
              return decode(piece, false, result.segments.emplace_back());
            });
  if (ok && mark != std::string_view::npos)
    ok = split(target.substr(mark + 1), '&', [&](std::string_view piece) {
      if (piece.empty())
        return true;
      const auto equals = piece.find('=');
      auto& parameter = result.query.emplace_back();
      return decode(piece.substr(0, equals), true, parameter.name)
             && (equals == std::string_view::npos
                 || decode(piece.substr(equals + 1), true, parameter.value));
    });
  if (!ok)
    return fail(errc::malformed, "a '%' in the request target needs two hex digits behind it");
  return result;
}

std::string percent_encode(std::string_view text) {
  constexpr std::string_view plain =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
  constexpr std::string_view digits = "0123456789ABCDEF";
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    if (plain.find(c) != std::string_view::npos) {
      out.push_back(c);
    } else {
      const auto byte = static_cast<unsigned char>(c);
      out.push_back('%');
      out.push_back(digits[byte / 16]);
      out.push_back(digits[byte % 16]);
    }
  }
  return out;
}

responder& responder::operator=(responder&& other) noexcept {
  if (this != &other) {
    abandon();
    sink_ = std::move(other.sink_);
  }
  return *this;
}

responder::~responder() {
  abandon();
}

void responder::operator()(response answered) {
  if (const auto sink = std::move(sink_))
    sink->answer(std::move(answered));
}

void responder::stream(response answered, std::unique_ptr<body_stream> body) {
  if (const auto sink = std::move(sink_))
    sink->stream(std::move(answered), std::move(body));
}

void response_sink::stream(response answered, std::unique_ptr<body_stream> body) {
  answered.body.clear();
  for (auto part = body->next(); part && !part->empty(); part = body->next())
    answered.body += *part;
  answer(std::move(answered));
}

void responder::abandon() noexcept {
  if (!sink_)
    return;
  try {
    (*this)(problem(500, "internal", "the request was dropped without an answer"));
  } catch (...) {
    // Out of memory: the peer waits for its own timeout.
  }
}

bool is_loopback(std::string_view host) {
  if (iequals(host, "localhost") || host == "::1" || host == "[::1]")
    return true;
  in_addr address{};
  return inet_pton(AF_INET, std::string{host}.c_str(), &address) == 1
         && ntohl(address.s_addr) >> 24 == 127;
}

}  // namespace troupe::http
