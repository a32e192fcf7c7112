#include "responders/openai.hpp"

#include "responders/chat_completion.hpp"
#include "responders/fetch.hpp"
#include "responders/openai_messages.hpp"

#include <algorithm>
#include <unordered_map>
#include <utility>

namespace troupe::responders {

namespace {

using clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

/// One prompt under way. What the fetcher tells carries its number, so what comes for one that was
/// given up is nobody's. Attempts follow each other: one has ended before the next begins.
struct exchange {
  prompt what;
  caf::typed_response_promise<reply> promise;
  clock::time_point deadline;
  unsigned attempt = 0;
  chat_stream stream{};
  std::string body{};  // what is no stream
  std::optional<error> fault{};
};

bool is_type(std::string_view header, std::string_view type) {
  const auto end = header.find_first_of("; ");
  const auto own = header.substr(0, end);
  return std::ranges::equal(own, type, [](char a, char b) {
    return (a >= 'A' && a <= 'Z' ? static_cast<char>(a - 'A' + 'a') : a) == b;
  });
}

bool is_stream(const fetch_head& head) {
  return head.status == 200 && is_type(head.content_type, "text/event-stream");
}

class openai_behavior {
public:
  static inline const char* name = "troupe.openai_responder";

  openai_behavior(openai_actor::pointer self, openai_options options)
      : self_{self},
        options_{std::move(options)} {
    headers_ = {"Content-Type: application/json", "Accept: text/event-stream", "Expect:"};
    if (!options_.key.empty())
      headers_.push_back("Authorization: Bearer " + options_.key);
    while (options_.url.ends_with('/'))
      options_.url.pop_back();
  }

  openai_actor::behavior_type make_behavior() {
    return {[this](prompt& what) { return on_prompt(std::move(what)); },
            [this](const try_again& x) { on_try_again(x); },
            [this](const fetched_bytes& x) { on_bytes(x); },
            [this](const fetched_all& x) { on_end(x); }};
  }

private:
  caf::result<reply> on_prompt(prompt what) {
    auto promise = self_->make_response_promise<reply>();
    if (under_way_.size() >= options_.parallel) {
      promise.deliver(to_caf({.code = errc::busy,
                              .message = "too many messages wait for an answer",
                              .limit = options_.parallel}));
      return promise;
    }
    const auto number = ++last_;
    under_way_.emplace(number, exchange{.what = std::move(what),
                                        .promise = promise,
                                        .deadline = clock::now() + options_.timeout});
    ask(number);
    return promise;
  }

  void ask(std::uint64_t number) {
    auto& x = under_way_.at(number);
    const auto left = std::chrono::duration_cast<milliseconds>(x.deadline - clock::now());
    if (left.count() <= 0)
      return finish(number, timed_out());
    x.stream = {};
    x.body.clear();
    ++x.attempt;
    const auto part = [number, me = openai_actor{self_}](const fetch_head& head,
                                                         std::string_view bytes) {
      compat::anon_send(me, fetched_bytes{number, head, std::string{bytes}});
    };
    const auto end = [number, me = openai_actor{self_}](fetch_end how) {
      compat::anon_send(me, fetched_all{number, std::move(how)});
    };
    net_.start({.url = options_.url + "/chat/completions",
                .headers = headers_,
                .body = chat_request(x.what, options_.model),
                .timeout = left,
                .connect_timeout = std::min(left, options_.connect_timeout),
                .ca_file = options_.ca_file},
               part, end);
  }

  exchange* find(std::uint64_t number) {
    const auto found = under_way_.find(number);
    return found != under_way_.end() ? &found->second : nullptr;
  }

  void on_try_again(const try_again& again) {
    if (find(again.number) != nullptr)
      ask(again.number);
  }

  void on_bytes(const fetched_bytes& got) {
    auto* x = find(got.number);
    if (x == nullptr || x->fault)
      return;
    if (!is_stream(got.head)) {
      x->body += got.bytes;
      if (x->body.size() > chat_stream::max_line) {
        x->fault = {errc::responder_failed, "the answer is longer than 1 MiB"};
        give_up(got.number);
      }
      return;
    }
    auto said = x->stream.take(got.bytes);
    if (!said) {
      x->fault = std::move(said.error());
      return give_up(got.number);
    }
    if (said->empty())
      return;
    if (x->what.on_text)
      x->what.on_text(*said);
  }

  /// There is nothing more to wait for.
  void give_up(std::uint64_t number) {
    auto why = *std::move(under_way_.at(number).fault);
    finish(number, tl::unexpected(std::move(why)));
  }

  void on_end(const fetched_all& all) {
    auto* x = find(all.number);
    if (x == nullptr)
      return;
    const auto& how = all.how;
    if (x->fault)
      return give_up(all.number);
    if (how.is == fetch_end::what::timed_out)
      return finish(all.number, timed_out());
    const bool later =
        how.is == fetch_end::what::complete && (how.head.status == 429 || how.head.status == 503);
    if (later || how.is == fetch_end::what::not_connected)
      return repeat(all.number, *x, how);
    if (how.is != fetch_end::what::complete)
      return finish(all.number,
                    fail(errc::responder_failed, "the endpoint broke the connection: " + how.why));
    finish(all.number, result_of(*x, how.head));
  }

  static expected<reply> result_of(exchange& x, const fetch_head& head) {
    if (head.status != 200)
      return fail(errc::responder_failed, refusal(x, head));
    if (is_stream(head))
      return x.stream.finish();
    if (is_type(head.content_type, "application/json")) {
      auto out = whole_completion(x.body);
      if (out && x.what.on_text)
        x.what.on_text(out->text);
      return out;
    }
    return fail(errc::responder_failed, "the endpoint answers with " + head.content_type
                                            + ", which is neither a stream nor JSON");
  }

  static std::string refusal(const exchange& x, const fetch_head& head) {
    const auto said = error_text(x.body);
    return "the endpoint answers " + std::to_string(head.status)
           + (said.empty() ? std::string{} : ": " + said);
  }

  void repeat(std::uint64_t number, exchange& x, const fetch_end& how) {
    const auto why = how.is == fetch_end::what::complete
                         ? refusal(x, how.head)
                         : "the endpoint cannot be reached: " + how.why;
    milliseconds pause = options_.first_pause * (1u << std::min(x.attempt - 1, 10u));
    if (how.head.retry_after)
      pause = std::max<milliseconds>(pause, *how.head.retry_after);
    const bool last = x.attempt >= options_.attempts;
    const bool too_late = clock::now() + pause >= x.deadline;
    if (last || too_late) {
      std::string asked =
          x.attempt == 1 ? "asked once" : "asked " + std::to_string(x.attempt) + " times";
      if (!last)
        asked += "; the next time would be in " + std::to_string((pause.count() + 999) / 1000)
                 + " s, beyond the time for one answer";
      return finish(number, fail(errc::responder_failed, why + " (" + asked + ")"));
    }
    compat::send_after(self_, openai_actor{self_}, pause, try_again{number});
  }

  expected<reply> timed_out() const {
    return fail(errc::responder_timeout, "the endpoint gave no whole answer within "
                                             + std::to_string(options_.timeout.count())
                                             + " ms; the message is kept");
  }

  void finish(std::uint64_t number, expected<reply> answer) {
    auto x = std::move(under_way_.extract(number).mapped());
    if (answer)
      x.promise.deliver(*std::move(answer));
    else
      x.promise.deliver(to_caf(std::move(answer.error())));
  }

  openai_actor::pointer self_;
  openai_options options_;
  std::vector<std::string> headers_;
  std::uint64_t last_ = 0;
  std::unordered_map<std::uint64_t, exchange> under_way_;
  fetcher net_;  // the first to go: its thread sends to this actor
};

}  // namespace

responder spawn_openai(const runtime& of, openai_options options) {
  const auto made = system_of(of).spawn<caf::stateful_actor<openai_behavior, openai_actor::base>>(
      std::move(options));
  return handle_of(caf::actor_cast<responder_actor>(made), "openai");
}

}  // namespace troupe::responders
