#include "http/wire.hpp"
#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/rfc7230.hpp>

#include <algorithm>
#include <limits>
#include <utility>

namespace troupe::http {
namespace {

namespace beast = boost::beast::http;
using boost::beast::error_code;
using beast_view = boost::beast::string_view;

constexpr std::size_t usual_line = 256;  // of a head; room for one stays with the connection

std::string_view view(beast_view s) noexcept {
  return {s.data(), s.size()};
}

bool is_digits(std::string_view s) noexcept {
  return !s.empty() && std::ranges::all_of(s, [](char c) { return c >= '0' && c <= '9'; });
}

/// Whether a request line ends with a well-formed version that Beast does not speak either.
bool has_other_version(std::string_view line) noexcept {
  const auto v = line.substr(line.rfind(' ') + 1);
  return v.size() == 10 && v.starts_with("HTTP/") && is_digits(v.substr(5, 1)) && v[6] == '.'
         && is_digits(v.substr(7, 1)) && v.ends_with("\r\n") && !v.starts_with("HTTP/1.0")
         && !v.starts_with("HTTP/1.1");
}

/// Whether the line is "Content-Length:" and one decimal number.
bool has_number(std::string_view line) noexcept {
  const auto first = line.find_first_not_of(" \t", std::string_view{"Content-Length:"}.size());
  const auto end = line.find_first_not_of("0123456789", first);
  return end > first && line.find_first_not_of(" \t\r\n", end) == std::string_view::npos;
}

/// uri-host [":" port], by its characters only.
bool is_host(std::string_view s) noexcept {
  constexpr std::string_view others = "-._~%!$&'()*+;=:[]";
  return !s.empty() && std::ranges::all_of(s, [&](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
           || others.find(c) != std::string_view::npos;
  });
}

}  // namespace

/// One request. A line of the head or of the chunk framing is collected until it is complete and
/// then given to Beast whole: no byte is searched twice, and where the stream was cut cannot
/// matter. What is checked here is what Beast 1.74 lets pass (each place says what) and the limits.
class request_parser::exchange final : private beast::basic_parser<true> {
  friend request_parser;

public:
  exchange(const limits& bounds, const http::body_limit& longest_body)
      : limits_{bounds},
        longest_body_{longest_body} {
    header_limit(std::numeric_limits<std::uint32_t>::max());  // it sees only lines within ours
  }

  std::size_t feed(std::string_view input) {
    const auto all = input.size();
    while (!input.empty() && state_ < state::done)
      input.remove_prefix(state_ == state::fixed_body || state_ == state::chunk_data
                              ? take_data(input)
                              : take_line(input));
    return all - input.size();
  }

private:
  enum class state {
    request_line,
    header_line,
    fixed_body,
    chunk_line,  // the line end of the chunk before, and the size of this one
    chunk_data,
    trailer,
    done,
    failed,
  };

  /// The first reason counts: a callback may have had one before Beast hears of it.
  void fail(int status, std::string_view code, std::string detail) {
    if (state_ != state::failed)
      error_ = {status, code, std::move(detail)};
    state_ = state::failed;
  }
  void malformed(std::string detail) { fail(400, "malformed", std::move(detail)); }
  void headers_too_large(std::string detail) { fail(431, "headers_too_large", std::move(detail)); }
  std::size_t longest_body() const {
    return longest_body_ ? longest_body_(request_.method, request_.target) : limits_.body;
  }

  std::size_t body_bytes() const {
    if (chunked())
      return longest_body();
    const auto declared = content_length();
    return declared ? static_cast<std::size_t>(*declared) : 0;
  }

  std::size_t take_data(std::string_view input) {
    error_code ec;
    const auto used = put({input.data(), input.size()}, ec);
    if (is_done())
      state_ = state::done;
    return used;
  }

  std::size_t take_line(std::string_view input) {
    const bool chunk = state_ == state::chunk_line;
    const auto room =  // two line ends and 16 digits, or one line end
        (chunk ? 20 + limits_.chunk_extension : 2 + limits_.header_line) - line_.size();
    const auto part = input.substr(0, room);
    const auto end = part.find('\n');
    const auto n = std::min(end, part.size() - 1) + 1;
    if (line_.capacity() < usual_line)
      line_.reserve(usual_line);
    line_.append(part, 0, n);
    if (end != std::string_view::npos)
      on_line();
    else if (n < room)
      return n;
    else if (chunk)
      malformed("a chunk is longer than it says or its extension is too long");
    else if (const auto most = std::to_string(limits_.header_line); state_ == state::request_line)
      fail(414, "uri_too_long", "a request line may have at most " + most + " bytes");
    else
      headers_too_large("a header line may have at most " + most + " bytes");
    return n;
  }

  void on_line() {
    const bool blank = line_ == "\r\n";
    if (state_ == state::chunk_line) {
      if (blank)
        return;           // the end of a chunk: Beast wants the next size with it
      give_line("\r\n");  // so the last chunk ends the body, and trailers do not become headers
    } else if (head_bytes_ += line_.size(); head_bytes_ > limits_.head) {
      headers_too_large("request line and headers may have at most " + std::to_string(limits_.head)
                        + " bytes together");
    } else if (state_ == state::request_line) {
      if (!blank || std::exchange(skipped_blank_, true))  // RFC 9112 2.2: one is forgiven
        give_line();
    } else if (blank && state_ == state::header_line) {
      on_head_end();
    } else if (blank) {
      state_ = state::done;
    } else if (++header_count_ > limits_.headers) {
      headers_too_large("a request may have at most " + std::to_string(limits_.headers)
                        + " headers");
    } else if (line_[0] == ' ' || line_[0] == '\t') {
      malformed("a header line is folded");  // Beast unfolds it; others may not
    } else if (state_ == state::header_line) {
      give_line("\r");
    } else {
      on_trailer();
    }
    line_.clear();
  }

  /// Gives the line to Beast. `behind` is what Beast must see behind a line to judge it at once.
  void give_line(std::string_view behind = {}) {
    const auto size = line_.size();
    line_ += behind;
    error_code ec;
    const auto used = put({line_.data(), line_.size()}, ec);
    if (used < size || (ec && ec != beast::error::need_more))
      refuse(ec);
  }

  /// Beast's reason as ours. A length beyond 64 bits is malformed to Beast: it is just too large.
  void refuse(error_code why) {
    if (why == beast::error::body_limit
        || (why == beast::error::bad_content_length && lengths_ + codings_ == 0
            && has_number(line_)))
      fail(413, "too_large",
           "a body here may have at most " + std::to_string(longest_body()) + " bytes");
    else if (why == beast::error::bad_version && has_other_version(line_))
      fail(505, "version_not_supported", "this server speaks HTTP/1.1");
    else
      malformed("not HTTP/1.1: "
                + (why == beast::error::need_more ? "a line ends too early" : why.message()));
  }

  void on_request_impl(beast::verb, beast_view method, beast_view target, int version,
                       error_code& ec) override {
    // Beast takes '#' and bytes beyond ASCII: a target has no fragment and is percent-encoded.
    if (std::ranges::any_of(view(target), [](char c) { return c == '#' || (c & 0x80) != 0; }))
      ec = beast::error::bad_target;
    // Enough for most: growing one by one costs more than parsing. And less than the 1 KiB for
    // which malloc first merges what is free.
    request_.headers.reserve(12);
    request_.method = view(method);
    request_.target = view(target);
    http10_ = version == 10;
    state_ = state::header_line;
  }

  void on_field_impl(beast::field field, beast_view name, beast_view beast_value,
                     error_code& ec) override {
    const auto value = view(beast_value);
    request_.headers.push_back({std::string{view(name)}, std::string{value}});
    switch (field) {
      case beast::field::content_length:  // Beast takes repeats, "1, 1" and one behind "xchunked"
        if (lengths_++ > 0 || codings_ > 0 || !is_digits(value))
          ec = beast::error::bad_content_length;
        break;
      case beast::field::transfer_encoding:  // Beast takes one of HTTP/1.0 and one behind "gzip"
        if (codings_++ > 0 || http10_)
          ec = beast::error::bad_transfer_encoding;
        unknown_coding_ = !iequals(value, "chunked");  // no body to Beast, or one behind "gzip,"
        break;
      case beast::field::connection:
        closes_ = closes_ || beast::token_list{beast_value}.exists("close");
        break;
      case beast::field::content_encoding:
        encoded_ = encoded_ || !iequals(value, "identity");
        break;
      case beast::field::expect:
        (iequals(value, "100-continue") ? expects_continue_ : unknown_expectation_) = true;
        break;
      default: break;
    }
  }

  /// Framing first, because nothing behind it can be trusted otherwise; then what this server does
  /// not do.
  void on_head_end() {
    const auto hosts = count_header(request_.headers, "host");  // Beast does not look at any
    if (hosts > 1 || (hosts == 0 && !http10_))
      return malformed("a request has one Host header");
    if (hosts == 1 && !is_host(host()))
      return malformed("the Host header is not a host");
    if (!check_target())
      return malformed("the target is not an absolute path of this host");
    if (request_.method == "TRACE" || request_.method == "CONNECT")
      return fail(405, "method_not_allowed",
                  "the methods are GET, HEAD, POST, PUT, PATCH, DELETE and OPTIONS");
    if (unknown_coding_)
      return fail(501, "not_supported", "the only transfer coding is chunked");
    if (encoded_)
      return fail(415, "unsupported_media_type", "a request body is sent without content coding");
    if (unknown_expectation_)
      return fail(417, "expectation_failed", "the only expectation is 100-continue");
    body_limit(longest_body());
    state_ = chunked() ? state::chunk_line : state::fixed_body;
    give_line();
    if (is_done())
      state_ = state::done;
  }

  std::string_view host() const noexcept {
    const auto* value = request_.find_header("host");
    return value != nullptr ? std::string_view{*value} : std::string_view{};
  }

  /// Leaves an absolute path, or "*" of OPTIONS. An absolute URL must name the host that Host
  /// names: whoever checks one of them has then checked both.
  bool check_target() {
    auto& target = request_.target;
    if (target.starts_with('/') || request_.method == "CONNECT"
        || (target == "*" && request_.method == "OPTIONS"))
      return true;
    const auto scheme = std::string_view{target}.substr(0, target.find("://"));
    if (!iequals(scheme, "http") && !iequals(scheme, "https"))
      return false;
    const auto begin = std::min(scheme.size() + 3, target.size());
    const auto end = std::min(target.find_first_of("/?", begin), target.size());
    if (begin == end || !iequals(std::string_view{target}.substr(begin, end - begin), host()))
      return false;
    target.erase(0, end);
    if (!target.starts_with('/'))
      target.insert(target.begin(), '/');
    return true;
  }

  void on_chunk_header_impl(std::uint64_t size, beast_view extension, error_code& ec) override {
    const auto body = request_.body.size();
    const auto digits = extension.data() - line_.data() - (body > 0 ? 2 : 0);
    framing_bytes_ += line_.size() - 2;
    state_ = size > 0 ? state::chunk_data : state::trailer;
    // Beast takes any number of zeros before the size, any length, and control bytes in quotes.
    if (digits > 16 || extension.size() > limits_.chunk_extension
        || !is_field_value(view(extension)))
      ec = beast::error::bad_chunk_extension;
    if (framing_bytes_ > limits_.framing_slack
        && framing_bytes_ - limits_.framing_slack > (body + size) / 4) {
      malformed("the chunks are so small that most of the body is framing");
      ec = beast::error::bad_chunk;
    }
  }

  /// Checked like a header and then dropped: nothing in Troupe reads one.
  void on_trailer() {
    const auto line = std::string_view{line_}.substr(0, line_.size() - 2);
    const auto colon = line.find(':');
    if (!line_.ends_with("\r\n") || colon == std::string_view::npos
        || !is_token(line.substr(0, colon)) || !is_field_value(line.substr(colon + 1)))
      malformed("a trailer line is not a header line");
  }

  std::size_t on_body_impl(beast_view data, error_code&) override {
    request_.body.append(data.data(), data.size());
    return data.size();
  }
  std::size_t on_chunk_body_impl(std::uint64_t left, beast_view data, error_code& ec) override {
    if (left == data.size())
      state_ = state::chunk_line;
    return on_body_impl(data, ec);
  }
  void on_response_impl(int, beast_view, int, error_code&) override {}
  void on_header_impl(error_code&) override {}
  void on_body_init_impl(const boost::optional<std::uint64_t>&, error_code&) override {}
  void on_finish_impl(error_code&) override {}

  const limits& limits_;
  const http::body_limit& longest_body_;
  state state_ = state::request_line;
  request request_{};
  protocol_error error_{};
  std::string line_{};  ///< of which the end has not come yet

  std::size_t head_bytes_ = 0;
  std::size_t header_count_ = 0;
  std::size_t framing_bytes_ = 0;  ///< of the chunks, data not counted
  std::size_t lengths_ = 0;
  std::size_t codings_ = 0;
  bool unknown_coding_ = false;
  bool encoded_ = false;
  bool unknown_expectation_ = false;
  bool expects_continue_ = false;
  bool closes_ = false;
  bool http10_ = false;
  bool skipped_blank_ = false;
};

request_parser::request_parser(const limits& bounds, const body_limit& longest_body)
    : exchange_{std::make_unique<exchange>(bounds, longest_body)} {}

request_parser::~request_parser() = default;

std::size_t request_parser::feed(std::string_view input) {
  return exchange_->feed(input);
}

bool request_parser::head_done() const noexcept {
  return exchange_->state_ > exchange::state::header_line;
}

bool request_parser::done() const noexcept {
  return exchange_->state_ == exchange::state::done;
}

bool request_parser::failed() const noexcept {
  return exchange_->state_ == exchange::state::failed;
}

const protocol_error& request_parser::error() const noexcept {
  return exchange_->error_;
}

bool request_parser::expects_continue() const noexcept {
  return exchange_->expects_continue_ && !http10() && exchange_->request_.body.empty()
         && exchange_->line_.empty();  // who sends already does not wait
}

bool request_parser::keep_alive() const noexcept {
  return exchange_->keep_alive() && !exchange_->closes_;  // of both in HTTP/1.0 Beast heeds the one
}

bool request_parser::http10() const noexcept {
  return exchange_->http10_;
}

bool request_parser::is_head() const noexcept {
  return exchange_->request_.method == "HEAD";
}

const request& request_parser::head() const noexcept {
  return exchange_->request_;
}

std::size_t request_parser::body_bytes() const {
  return exchange_->body_bytes();
}

request request_parser::take() {
  auto result = std::move(exchange_->request_);
  auto line = std::move(exchange_->line_);
  exchange_ = std::make_unique<exchange>(exchange_->limits_, exchange_->longest_body_);
  if (line.capacity() <= usual_line)
    exchange_->line_ = std::move(line);
  return result;
}

}  // namespace troupe::http
