#pragma once

#include <troupe/state/json.hpp>

#include "api/live_streams.hpp"
#include "http/message.hpp"

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace troupe::api {

/// An answer on its way to a client as server-sent events: `text`, again and again, then `done` or
/// `error`. Written by the turn, read by the connection; any thread.
class told_answer {
public:
  explicit told_answer(std::function<void()> wake) : wake_{std::move(wake)} {}

  void text(std::string_view piece) {
    std::string data = R"({"content":)";
    append_json_string(data, piece);
    add("text", data + '}', false);
  }
  /// `data` is JSON on one line.
  void end(std::string_view event, std::string_view data) { add(event, data, true); }

  /// What there is to send; nothing: all was sent.
  std::optional<std::string> take() {
    const std::lock_guard lock{mutex_};
    if (waiting_.empty() && ended_)
      return std::nullopt;
    return std::exchange(waiting_, {});
  }

private:
  void add(std::string_view event, std::string_view data, bool last) {
    {
      const std::lock_guard lock{mutex_};
      if (ended_)
        return;
      waiting_.append("event: ").append(event).append("\ndata: ").append(data).append("\n\n");
      ended_ = last;
    }
    wake_();
  }

  std::function<void()> wake_;
  std::mutex mutex_;
  std::string waiting_;  // of one answer, so it is bounded as that is
  bool ended_ = false;
};

class told_body final : public http::body_stream {
public:
  told_body(std::shared_ptr<told_answer> what, std::shared_ptr<live_streams::entry> own)
      : what_{std::move(what)},
        own_{std::move(own)} {}
  std::optional<std::string> next() override { return own_->cut ? std::nullopt : what_->take(); }
  std::string heartbeat() override { return ":\n\n"; }
  /// With the turn, which a node that stops has end with `error`.
  [[nodiscard]] bool ends() const override { return true; }

private:
  std::shared_ptr<told_answer> what_;
  std::shared_ptr<live_streams::entry> own_;  // whose token is revoked hears no more
};

}  // namespace troupe::api
