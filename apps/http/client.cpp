#include "http/client.hpp"

#include "http/wire.hpp"
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <memory>
#include <system_error>
#include <utility>

namespace troupe::http {
namespace {

using clock = std::chrono::steady_clock;

std::string reason(int number) {
  return std::generic_category().message(number);
}

/// How long a request waits, and who may end that.
struct patience {
  clock::time_point deadline;
  const std::function<bool()>& given_up;
};

/// 1: ready. 0: the deadline passed, or it was given up. -1: errno.
int wait_for(int socket, short events, const patience& until) {
  const long long longest = until.given_up ? 100 : 1'000'000'000;
  for (;;) {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(until.deadline - clock::now()).count();
    pollfd p{.fd = socket, .events = events, .revents = 0};
    const int n = ::poll(&p, 1, static_cast<int>(std::clamp<long long>(left, 0, longest)));
    if (n > 0 || (n < 0 && errno != EINTR))
      return n;
    if (left <= longest && n == 0)
      return 0;
    if (until.given_up && until.given_up())
      return 0;
  }
}

template <class T>
bool parse_number(std::string_view text, T& out, int base = 10) {
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), out, base);
  return ec == std::errc{} && end == text.data() + text.size() && !text.empty();
}

std::string_view trim(std::string_view s) noexcept {
  const auto first = s.find_first_not_of(" \t");
  return first == std::string_view::npos ? std::string_view{}
                                         : s.substr(first, s.find_last_not_of(" \t") - first + 1);
}

unexpected unknown(std::string why) {
  return fail(errc::outcome_unknown, "the request was sent, but " + std::move(why));
}

expected<std::string> serialize(const request& asked, const std::string& host, std::uint16_t port) {
  const bool target_ok = !asked.target.empty() && std::ranges::all_of(asked.target, [](char c) {
    return c > 0x20 && c < 0x7F && c != '#';
  });
  if (!is_token(asked.method) || !target_ok)
    return fail(errc::malformed, "a method is a token and a target is percent-encoded");
  std::string out = asked.method + " " + asked.target + " HTTP/1.1\r\n";
  if (asked.find_header("host") == nullptr)
    out += "Host: " + (host.find(':') == std::string::npos ? host : "[" + host + "]") + ":"
           + std::to_string(port) + "\r\n";
  const bool wants_length =
      asked.method == "POST" || asked.method == "PUT" || asked.method == "PATCH";
  if (!asked.body.empty() || wants_length)
    out += "Content-Length: " + std::to_string(asked.body.size()) + "\r\n";
  for (const auto& h : asked.headers) {
    if (!is_token(h.name) || !is_field_value(h.value))
      return fail(errc::malformed, "a header has a byte that it must not have");
    if (iequals(h.name, "content-length") || iequals(h.name, "transfer-encoding"))
      return fail(errc::malformed, "the client frames the body itself");
    out += h.name + ": " + h.value + "\r\n";
  }
  out += "\r\n";
  out += asked.body;
  return out;
}

}  // namespace

expected<endpoint> parse_url(std::string_view url) {
  if (url.starts_with("https://"))
    return fail(errc::not_supported, "this client speaks http only");
  if (!url.starts_with("http://"))
    return fail(errc::malformed, "a server is given as http://host:port");
  url.remove_prefix(7);
  if (url.ends_with('/'))
    url.remove_suffix(1);
  endpoint result;
  std::string_view rest;
  if (url.starts_with('[')) {
    const auto close = url.find(']');
    if (close == std::string_view::npos)
      return fail(errc::malformed, "an IPv6 address ends with ']'");
    result.host = url.substr(1, close - 1);
    rest = url.substr(close + 1);
  } else {
    const auto colon = std::min(url.find(':'), url.size());
    result.host = url.substr(0, colon);
    rest = url.substr(colon);
  }
  const bool host_ok = !result.host.empty() && std::ranges::all_of(result.host, [](char c) {
    return c > 0x20 && c < 0x7F && std::string_view{"/?#@[]\\"}.find(c) == std::string_view::npos;
  });
  const bool port_ok =
      rest.empty()
      || (rest[0] == ':' && parse_number(rest.substr(1), result.port) && result.port > 0);
  if (!host_ok || !port_ok)
    return fail(errc::malformed, "a server is given as http://host:port");
  return result;
}

/// Reads one answer from a socket. What it has read is gone when it fails.
class client::reader {
public:
  reader(int socket, const patience& until, std::size_t longest)
      : socket_{socket},
        until_{until},
        longest_{longest} {}

  expected<response> read(bool head_only);

  /// Whether the connection may carry another request.
  bool keep_alive() const noexcept { return keep_alive_ && buffer_.size() == begin_; }

  /// Whether not one byte of an answer came.
  bool silent() const noexcept { return !any_; }

private:
  expected<void> fill();
  expected<std::string> line();
  expected<void> head(response& out);
  expected<void> body(response& out);
  expected<void> take(std::uint64_t n, std::string& out);
  expected<void> chunks(std::string& out);

  int socket_;
  patience until_;
  std::size_t longest_;
  std::string buffer_;
  std::size_t begin_ = 0;
  std::size_t head_bytes_ = 0;
  bool any_ = false;
  bool ended_ = false;
  bool keep_alive_ = false;
};

/// More bytes, or an error; at the end of the stream `ended_`.
expected<void> client::reader::fill() {
  if (begin_ == buffer_.size()) {
    buffer_.clear();
    begin_ = 0;
  }
  const int ready = wait_for(socket_, POLLIN, until_);
  if (ready == 0)
    return unknown("the answer did not arrive in time");
  const auto before = buffer_.size();
  buffer_.resize(before + 16 * 1024);
  const auto n = ready < 0 ? -1 : ::recv(socket_, buffer_.data() + before, 16 * 1024, 0);
  const int number = errno;
  buffer_.resize(before + static_cast<std::size_t>(std::max<ssize_t>(n, 0)));
  if (n < 0)
    return unknown("the connection broke: " + reason(number));
  any_ = any_ || n > 0;
  ended_ = n == 0;
  return {};
}

expected<std::string> client::reader::line() {
  constexpr std::size_t longest_head = 256 * 1024;
  for (;;) {
    const auto end = buffer_.find('\n', begin_);
    if (end != std::string::npos) {
      const bool crlf = end > begin_ && buffer_[end - 1] == '\r';
      auto result = buffer_.substr(begin_, end - begin_ - (crlf ? 1 : 0));
      head_bytes_ += end + 1 - begin_;
      begin_ = end + 1;
      return result;
    }
    if (head_bytes_ + buffer_.size() - begin_ > longest_head)
      return unknown("the answer has too long a head");
    if (auto more = fill(); !more)
      return tl::make_unexpected(more.error());
    if (ended_)
      return unknown("the server closed the connection before its answer was complete");
  }
}

expected<void> client::reader::head(response& out) {
  const auto status = line();
  if (!status)
    return tl::make_unexpected(status.error());
  const std::string_view s = *status;
  if (s.size() < 12 || !s.starts_with("HTTP/1.") || !parse_number(s.substr(9, 3), out.status)
      || out.status < 100)
    return unknown("what came back is not HTTP/1.1");
  keep_alive_ = s[7] == '1';
  out.headers.clear();
  for (;;) {
    const auto field = line();
    if (!field)
      return tl::make_unexpected(field.error());
    if (field->empty())
      break;
    const auto colon = field->find(':');
    if (colon == std::string::npos || !is_token(std::string_view{*field}.substr(0, colon)))
      return unknown("the answer has a broken header");
    out.headers.push_back(
        {field->substr(0, colon), std::string{trim(std::string_view{*field}.substr(colon + 1))}});
  }
  if (const auto* c = out.find_header("connection"))
    keep_alive_ = iequals(*c, "keep-alive") || (keep_alive_ && !iequals(*c, "close"));
  const auto* type = out.find_header("content-type");
  out.content_type = type != nullptr ? *type : std::string{};
  return {};
}

expected<void> client::reader::take(std::uint64_t n, std::string& out) {
  if (n > longest_ - out.size())
    return fail(errc::too_large, "the answer is longer than this client reads", std::string{},
                std::nullopt, longest_);
  while (n > 0) {
    if (begin_ == buffer_.size()) {
      if (auto more = fill(); !more)
        return more;
      if (ended_)
        return unknown("the server closed the connection before its answer was complete");
    }
    const auto part = static_cast<std::size_t>(std::min<std::uint64_t>(n, buffer_.size() - begin_));
    out.append(buffer_, begin_, part);
    begin_ += part;
    n -= part;
  }
  return {};
}

expected<void> client::reader::chunks(std::string& out) {
  for (;;) {
    head_bytes_ = 0;
    const auto size = line();
    if (!size)
      return tl::make_unexpected(size.error());
    std::uint64_t n = 0;
    if (!parse_number(trim(std::string_view{*size}.substr(0, size->find(';'))), n, 16))
      return unknown("the answer has a broken chunk");
    if (n == 0)
      break;
    if (auto ok = take(n, out); !ok)
      return ok;
    if (const auto end = line(); !end || !end->empty())
      return unknown("the answer has a broken chunk");
  }
  for (;;) {
    const auto trailer = line();
    if (!trailer)
      return tl::make_unexpected(trailer.error());
    if (trailer->empty())
      return {};
  }
}

expected<void> client::reader::body(response& out) {
  if (const auto* coding = out.find_header("transfer-encoding")) {
    if (!iequals(*coding, "chunked"))
      return unknown("the answer has an unknown transfer coding");
    return chunks(out.body);
  }
  if (const auto* length = out.find_header("content-length")) {
    std::uint64_t n = 0;
    if (!parse_number(*length, n))
      return unknown("the answer has a broken Content-Length");
    return take(n, out.body);
  }
  keep_alive_ = false;  // the end of the stream is the end of the body
  while (!ended_) {
    if (auto ok = take(buffer_.size() - begin_, out.body); !ok)
      return ok;
    if (auto more = fill(); !more)
      return more;
  }
  return {};
}

expected<response> client::reader::read(bool head_only) {
  response out;
  do {
    if (auto ok = head(out); !ok)
      return tl::make_unexpected(ok.error());
  } while (out.status < 200);
  if (!head_only && has_body(out.status))
    if (auto ok = body(out); !ok)
      return tl::make_unexpected(ok.error());
  return out;
}

client::client(std::string host, std::uint16_t port, std::chrono::milliseconds timeout)
    : host_{std::move(host)},
      port_{port},
      timeout_{timeout} {}

client::~client() {
  close();
}

client::client(client&& other) noexcept
    : longest_answer{other.longest_answer},
      given_up{std::move(other.given_up)},
      host_{std::move(other.host_)},
      port_{other.port_},
      timeout_{other.timeout_},
      socket_{std::exchange(other.socket_, -1)} {}

client& client::operator=(client&& other) noexcept {
  if (this != &other) {
    close();
    longest_answer = other.longest_answer;
    given_up = std::move(other.given_up);
    host_ = std::move(other.host_);
    port_ = other.port_;
    timeout_ = other.timeout_;
    socket_ = std::exchange(other.socket_, -1);
  }
  return *this;
}

void client::close() noexcept {
  if (socket_ >= 0)
    ::close(std::exchange(socket_, -1));
}

/// Whether a kept connection is neither closed by the server nor has bytes that nobody asked for.
bool client::is_fresh() noexcept {
  char byte = 0;
  return ::recv(socket_, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0
         && (errno == EAGAIN || errno == EWOULDBLOCK);
}

expected<void> client::connect(clock::time_point deadline) {
  const auto to = host_ + " port " + std::to_string(port_);
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* list = nullptr;
  if (const int rc = ::getaddrinfo(host_.c_str(), std::to_string(port_).c_str(), &hints, &list))
    return fail(errc::busy, "cannot resolve " + host_ + ": " + ::gai_strerror(rc));
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owner{list, ::freeaddrinfo};
  int number = 0;
  for (const addrinfo* a = list; a != nullptr; a = a->ai_next) {
    socket_ = ::socket(a->ai_family, a->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, a->ai_protocol);
    if (socket_ < 0) {
      number = errno;
      continue;
    }
    number = ::connect(socket_, a->ai_addr, a->ai_addrlen) == 0 ? 0 : errno;
    if (number == EINPROGRESS) {
      const int ready = wait_for(socket_, POLLOUT, {deadline, given_up});
      socklen_t size = sizeof number;
      if (ready <= 0)
        number = ready == 0 ? ETIMEDOUT : errno;
      else if (::getsockopt(socket_, SOL_SOCKET, SO_ERROR, &number, &size) != 0)
        number = errno;
    }
    if (number == 0) {
      const int on = 1;
      ::setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      return {};
    }
    close();
  }
  return fail(errc::busy, "cannot connect to " + to + ": " + reason(number));
}

expected<response> client::send(const request& asked) {
  const auto bytes = serialize(asked, host_, port_);
  if (!bytes)
    return tl::make_unexpected(bytes.error());
  const auto deadline = clock::now() + timeout_;
  if (socket_ >= 0 && !is_fresh())
    close();
  if (socket_ < 0)
    if (auto ok = connect(deadline); !ok)
      return tl::make_unexpected(ok.error());

  std::string_view rest = *bytes;
  int number = 0;
  while (!rest.empty() && number == 0) {
    const auto n = ::send(socket_, rest.data(), rest.size(), MSG_NOSIGNAL);
    if (n >= 0)
      rest.remove_prefix(static_cast<std::size_t>(n));
    else if (errno == EAGAIN || errno == EWOULDBLOCK)
      number = wait_for(socket_, POLLOUT, {deadline, given_up}) > 0 ? 0 : ETIMEDOUT;
    else if (errno != EINTR)
      number = errno;
  }

  // A server that refuses early stops reading: its answer counts more than our broken write.
  reader in{socket_, {deadline, given_up}, longest_answer};
  auto answered = in.read(asked.method == "HEAD");
  if (!answered || !in.keep_alive() || !rest.empty())
    close();
  if (!answered && !rest.empty() && in.silent())
    return fail(errc::busy, "the request was not sent whole: " + reason(number));
  return answered;
}

}  // namespace troupe::http
