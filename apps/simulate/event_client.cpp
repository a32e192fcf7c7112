#include "simulate/event_client.hpp"

#include <troupe/state/json.hpp>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <utility>

namespace troupe::simulate {

namespace {

std::int64_t now_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

/// To an IPv4 address, which is where nodes of ours listen; -1: nobody is there.
int connect_to(const http::endpoint& at) {
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(at.port);
  if (::inet_pton(AF_INET, at.host == "localhost" ? "127.0.0.1" : at.host.c_str(), &to.sin_addr)
      != 1)
    return -1;
  const int out = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr generic{};
  static_assert(sizeof generic == sizeof to);
  std::memcpy(&generic, &to, sizeof to);
  if (::connect(out, &generic, sizeof generic) == 0)
    return out;
  ::close(out);
  return -1;
}

/// Bytes of a chunked body as they come. The sizes of chunks are dropped.
class chunked_body {
public:
  /// Appends the payload of what is whole to `out`. False: the body has ended.
  bool feed(std::string_view bytes, std::string& out) {
    in_.append(bytes);
    while (true) {
      if (left_ == 0) {
        const auto end = in_.find("\r\n");
        if (end == std::string::npos)
          return true;
        const auto size = std::strtoull(in_.c_str(), nullptr, 16);
        in_.erase(0, end + 2);
        if (size == 0)
          return false;
        left_ = static_cast<std::size_t>(size) + 2;
      }
      const auto part = std::min(left_, in_.size());
      if (part == 0)
        return true;
      const auto payload = left_ > 2 ? std::min(part, left_ - 2) : 0;
      out.append(in_, 0, payload);
      in_.erase(0, part);
      left_ -= part;
    }
  }

private:
  std::string in_;
  std::size_t left_ = 0;  ///< of this chunk, with the line's end behind it
};

}  // namespace

event_client::event_client(node_address& address, std::string token, std::string prefix,
                           event_check& check)
    : address_{address},
      token_{std::move(token)},
      prefix_{std::move(prefix)},
      check_{check},
      thread_{[this] { run(); }} {}

void event_client::stop() {
  stopped_ = true;
  if (thread_.joinable())
    thread_.join();
}

bool event_client::wait_for_open() const {
  for (int i = 0; i < 1'000 && !open_; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds{10});
  return open_;
}

void event_client::wait_for_quiet() const {
  const auto begun = now_ms();
  while (now_ms() - std::max(begun, last_ms_.load()) < 1'500)
    std::this_thread::sleep_for(std::chrono::milliseconds{20});
}

void event_client::run() {
  while (!stopped_) {
    const int socket = connect_to(address_.get());
    if (socket >= 0) {
      follow(socket);
      ::close(socket);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds{20});
  }
}

/// Until the stream ends.
void event_client::follow(int socket) {
  std::string head = "GET /v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n";
  if (!token_.empty())
    head += "Authorization: Bearer " + token_ + "\r\n";
  if (!id_.empty())
    head += "Last-Event-ID: " + id_ + "\r\n";
  head += "\r\n";
  if (::send(socket, head.data(), head.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(head.size()))
    return;
  std::string in, text;
  bool in_body = false;
  chunked_body body;
  kind_.clear();
  data_.clear();
  while (!stopped_) {
    pollfd waiting{.fd = socket, .events = POLLIN, .revents = 0};
    if (::poll(&waiting, 1, 100) == 0)
      continue;
    char bytes[1 << 16];
    const auto n = ::read(socket, bytes, sizeof bytes);
    if (n <= 0)
      return;
    in.append(bytes, static_cast<std::size_t>(n));
    if (!in_body) {
      const auto end = in.find("\r\n\r\n");
      if (end == std::string::npos)
        continue;
      if (!in.starts_with("HTTP/1.1 200"))
        return;
      in.erase(0, end + 4);
      in_body = true;
      open_ = true;
    }
    const bool more = body.feed(std::exchange(in, {}), text);
    std::size_t at = 0;
    for (auto end = text.find('\n'); end != std::string::npos; end = text.find('\n', at)) {
      take_line(std::string_view{text}.substr(at, end - at));
      at = end + 1;
    }
    text.erase(0, at);
    if (!more)
      return;
  }
}

void event_client::take_line(std::string_view line) {
  if (line.ends_with('\r'))
    line.remove_suffix(1);
  if (line.empty())
    return take_event();
  const auto colon = line.find(": ");
  const auto name = line.substr(0, colon);
  const auto rest = colon == std::string_view::npos ? std::string_view{} : line.substr(colon + 2);
  if (name == "id")
    next_id_ = rest;
  else if (name == "event")
    kind_ = rest;
  else if (name == "data")
    data_ += rest;
}

/// An id counts when its event is whole.
void event_client::take_event() {
  if (!next_id_.empty())
    id_ = std::exchange(next_id_, {});
  const auto kind = std::exchange(kind_, {});
  const auto data = std::exchange(data_, {});
  if (kind == "gap")
    return check_.on_gap(data);
  if (kind != "change")
    return;
  last_ms_ = now_ms();
  const auto read = value_from_json(data);
  const auto id = read ? read->view().find("id") : std::nullopt;
  const auto revision = read ? read->view().find("revision") : std::nullopt;
  if (!id || !id->as_string() || !revision || !revision->as_uint64())
    return check_.on_gap("an event that is none: " + data.substr(0, 80));
  auto name = *id->as_string();
  if (!name.starts_with(prefix_))
    return;  // somebody else's
  name.remove_prefix(prefix_.size());
  check_.on_change(std::string{name}, *revision->as_uint64(), {});
}

}  // namespace troupe::simulate
