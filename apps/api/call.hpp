#pragma once

#include <troupe/state/binding.hpp>

#include "api/access.hpp"
#include "api/admission.hpp"
#include "http/message.hpp"

#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// One request on its way through: what was asked, of whom, and who waits for the answer.
namespace troupe::api {

/// What a handler answers: a body as canonical msgpack, sent as JSON or msgpack as the client
/// accepts.
struct answer {
  int status = 200;
  std::string body{};                   ///< empty: none
  std::optional<std::uint64_t> etag{};  ///< the revision of what is shown
  std::vector<http::header> headers{};
};

template <described T>
[[nodiscard]] answer to_answer(const T& body, std::uint64_t etag, int status = 200) {
  value_writer out;
  out.reserve(64);  // most are short
  binding<T>::write(out, body);
  return {status, out.take(), etag, {}};
}

/// Of no entity, so without a revision.
template <described T>
[[nodiscard]] answer to_answer(const T& body) {
  auto out = to_answer(body, 0);
  out.etag.reset();
  return out;
}

/// `{"revision":42}`: the whole answer of many changes.
struct revision_body {
  std::uint64_t revision = 0;
  static constexpr auto fields = std::tuple{field{"revision", &revision_body::revision}};
};
[[nodiscard]] answer revision_answer(const outcome& done);
/// 204 with the new revision as ETag.
[[nodiscard]] answer deleted_answer(const outcome& done);

struct route;

/// Shared by the callbacks of one request; used by one thread at a time.
class call {
public:
  call(const gate& all, http::request asked, http::parsed_target where, http::responder to)
      : doors{all},
        request{std::move(asked)},
        target{std::move(where)},
        respond_{std::move(to)} {}

  const gate& doors;
  http::request request;
  http::parsed_target target;
  std::string request_id{};
  identity who{};
  admission::ticket admitted{};         ///< in flight until it was answered
  entity_access entity{};               ///< of {S}
  std::vector<std::string> parameters;  ///< what the pattern's other {names} stand for, in order

  void refuse(const error& why);
  void send(answer what);
  /// As it is: a type and bytes of its own.
  void send(http::response what) { respond_(std::move(what)); }
  /// An answer that goes on; `waker` before it.
  void stream(http::response head, std::unique_ptr<http::body_stream> body) {
    respond_.stream(std::move(head), std::move(body));
  }
  [[nodiscard]] std::function<void()> waker() const { return respond_.waker(); }

  // The body. Errors: `unsupported_media_type`, `malformed` (also: none, unless `optional_body`),
  // those of the codecs; of `body_as`, also `wrong_type`, `invalid_value`, `unknown_field`.

  /// JSON or msgpack; further types that are read as one of the two may be named.
  [[nodiscard]] expected<value> body(std::string_view also_json = {}) const;
  template <described T>
  [[nodiscard]] expected<T> body_as() const {
    auto read = body();
    if (!read)
      return tl::unexpected(std::move(read.error()));
    auto out = from_value<T>(*read, unknown_members::refused);
    if (!out && read->type() == value_type::map && !internal::keeps_others<T>())
      for (auto at = read->view().children(); at.next();)
        if (!internal::is_field<T>(at.key()))  // before what is missing, which it may stand for
          return tl::unexpected(not_a_member(std::move(out.error()), at.key()));
    return out;
  }
  /// As `T{}` when there is none.
  template <described T>
  [[nodiscard]] expected<T> optional_body_as() const {
    return request.body.empty() ? expected<T>{T{}} : body_as<T>();
  }
  [[nodiscard]] std::string_view media_type() const;

  // The query. The route table names the parameters there are.

  [[nodiscard]] const std::string* query(std::string_view name) const {
    return target.find_query(name);
  }
  /// Nothing without the parameter. Errors: `invalid_value`.
  [[nodiscard]] expected<std::optional<std::uint64_t>> number(
      std::string_view name, std::uint64_t least = 0,
      std::uint64_t most = std::numeric_limits<std::uint64_t>::max()) const;
  /// `true` or `false`. Errors: `invalid_value`.
  [[nodiscard]] expected<bool> flag(std::string_view name) const;
  /// `?consistency=latest`. Errors: `invalid_value`.
  [[nodiscard]] expected<bool> latest() const;

  /// `If-Match: "42"`. Nothing without the header. Errors: `malformed`.
  [[nodiscard]] expected<std::optional<std::uint64_t>> if_match() const;
  /// `If-None-Match: *`. Errors: `malformed` for any other.
  [[nodiscard]] expected<bool> if_absent() const;

  /// An id of 32 hexadecimal digits: random, or with an `Idempotency-Key` always the same for one
  /// principal, entity and key, so that a repeat finds what the first request made.
  [[nodiscard]] std::string new_id() const;

  /// A command as the headers have it: `Idempotency-Key`, `Prefer: durability=`. Errors:
  /// `malformed`.
  [[nodiscard]] expected<command> envelope() const;

private:
  [[nodiscard]] static error not_a_member(error why, std::string_view name);

  http::responder respond_;
};
using call_ptr = std::shared_ptr<call>;

/// Reads {S} and answers `shape(state)`, which may be an error.
void read(const call_ptr& c, std::function<expected<answer>(const entity_state&)> shape);

/// Executes under `If-Match` and answers `shape(result)`, with what durability it has.
void execute(const call_ptr& c, std::vector<operation> what,
             std::function<answer(const command_result&)> shape);
/// The same on `entity`, with the revision that is expected of it.
void execute(const call_ptr& c, const entity_access& entity, std::vector<operation> what,
             std::optional<std::uint64_t> expected_revision,
             std::function<void(expected<command_result>)> done);
/// The answer to a change, with its durability.
void send_result(const call_ptr& c, answer what, const command_result& result);

}  // namespace troupe::api
