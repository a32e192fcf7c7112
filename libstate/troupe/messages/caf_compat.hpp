#pragma once

/// The one place that knows what CAF 0.18 and CAF 1.x spell differently. Everything else says
/// `compat::...`.

#include <caf/actor_system_config.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/send.hpp>
#include <caf/stateful_actor.hpp>
#include <caf/typed_actor.hpp>
#include <caf/typed_event_based_actor.hpp>
#if CAF_MAJOR_VERSION >= 1
#include <caf/anon_mail.hpp>
#endif

#include <chrono>
#include <functional>
#include <unordered_map>
#include <utility>

namespace troupe::compat {

#if CAF_MAJOR_VERSION >= 1

template <class Self, class Dst, class... Ts>
void send(const Self& self, const Dst& dst, Ts&&... xs) {
  self->mail(std::forward<Ts>(xs)...).send(dst);
}

template <class Dst, class... Ts>
void anon_send(const Dst& dst, Ts&&... xs) {
  caf::anon_mail(std::forward<Ts>(xs)...).send(dst);
}

/// Hands a request on: who asked is answered by `dst`.
template <class Self, class Dst, class... Ts>
auto delegate(const Self& self, const Dst& dst, Ts&&... xs) {
  return self->mail(std::forward<Ts>(xs)...).delegate(dst);
}

/// A CAF timer: for a few hundred actors at most, not for entries.
template <class Self, class Dst, class Rep, class Period, class... Ts>
void send_after(const Self& self, const Dst& dst, std::chrono::duration<Rep, Period> delay,
                Ts&&... xs) {
  self->mail(std::forward<Ts>(xs)...).delay(delay).send(dst);
}

/// Without a timeout: inside a node a CAF timer for each request costs more than the request.
template <class Self, class Dst, class... Ts>
[[nodiscard]] auto request(const Self& self, const Dst& dst, Ts&&... xs) {
  return self->mail(std::forward<Ts>(xs)...).request(dst, caf::infinite);
}

/// The monitors of one actor; lives in its state.
class monitors {
public:
  template <class Self, class Handle, class F>
  void monitor(const Self& self, const Handle& handle, F on_down) {
    self->monitor(handle, std::move(on_down));
  }
};

#else  // 0.18

template <class Self, class Dst, class... Ts>
void send(const Self& self, const Dst& dst, Ts&&... xs) {
  self->send(dst, std::forward<Ts>(xs)...);
}

template <class Dst, class... Ts>
void anon_send(const Dst& dst, Ts&&... xs) {
  caf::anon_send(dst, std::forward<Ts>(xs)...);
}

/// Hands a request on: who asked is answered by `dst`.
template <class Self, class Dst, class... Ts>
auto delegate(const Self& self, const Dst& dst, Ts&&... xs) {
  return self->delegate(dst, std::forward<Ts>(xs)...);
}

/// A CAF timer: for a few hundred actors at most, not for entries.
template <class Self, class Dst, class Rep, class Period, class... Ts>
void send_after(const Self& self, const Dst& dst, std::chrono::duration<Rep, Period> delay,
                Ts&&... xs) {
  self->delayed_send(dst, delay, std::forward<Ts>(xs)...);
}

/// Without a timeout: inside a node a CAF timer for each request costs more than the request.
template <class Self, class Dst, class... Ts>
[[nodiscard]] auto request(const Self& self, const Dst& dst, Ts&&... xs) {
  return self->request(dst, caf::infinite, std::forward<Ts>(xs)...);
}

/// The monitors of one actor; lives in its state.
class monitors {
public:
  template <class Self, class Handle, class F>
  void monitor(const Self& self, const Handle& handle, F on_down) {
    if (callbacks_.empty()) {
      self->set_down_handler([this](caf::down_msg& msg) {
        if (auto node = callbacks_.extract(msg.source))
          node.mapped()(msg.reason);
      });
    }
    callbacks_.insert_or_assign(handle.address(), std::move(on_down));
    self->monitor(handle);
  }

private:
  std::unordered_map<caf::actor_addr, std::function<void(const caf::error&)> > callbacks_;
};

#endif

}  // namespace troupe::compat
