#include <troupe/actors/subscription.hpp>
#include <troupe/state/binding.hpp>
#include <troupe/state/json.hpp>

#include "api/entity_name.hpp"
#include "api/route.hpp"

#include <algorithm>
#include <memory>
#include <utility>

/// Committed changes as server-sent events.
namespace troupe::api {

namespace {

constexpr std::size_t part_bytes = 16 * 1024;       // of a stream at a time; then: the next part
constexpr std::size_t waiting_bytes = 1024 * 1024;  // then: the client is cut off

struct change_event {
  std::string scope{}, id{};
  std::uint64_t revision = 0;
  timestamp at{};
  std::vector<std::string> events{};
  std::optional<std::uint32_t> part{}, parts{};  ///< of the changes of one set
  static constexpr auto fields =
      std::tuple{field{"scope", &change_event::scope},       field{"id", &change_event::id},
                 field{"revision", &change_event::revision}, field{"at", &change_event::at},
                 field{"events", &change_event::events},     field{"part", &change_event::part},
                 field{"parts", &change_event::parts}};
};
struct gap_event {
  std::string reason{};
  std::uint64_t revision = 0;
  static constexpr auto fields =
      std::tuple{field{"reason", &gap_event::reason}, field{"revision", &gap_event::revision}};
};

template <described T>
void append_event(std::string& out, std::string_view name, const std::string& cursor,
                  const T& data) {
  value_writer body;
  binding<T>::write(body, data);
  out += "event: ";
  out += name;
  out += "\nid: " + cursor + "\ndata: ";
  append_json(out, value_view{body.bytes()});
  out += "\n\n";
}

void append_delivery(std::string& out, const event_delivery& what) {
  if (const auto* gap = std::get_if<event_gap>(&what.what)) {
    const auto* reason = gap->why == event_gap::cause::slow ? "slow" : "not_kept";
    return append_event(out, "gap", gap->cursor, gap_event{reason, gap->revision});
  }
  const auto& one = *std::get<std::shared_ptr<const committed_change>>(what.what);
  change_event shown{.scope = std::string{to_string(one.entity.kind)},
                     .id = one.entity.id,
                     .revision = one.what.revision,
                     .at = one.what.at};
  for (const auto& happened : one.what.events)
    shown.events.push_back(name_of(happened));
  if (one.parts > 1) {
    shown.part = one.part;
    shown.parts = one.parts;
  }
  append_event(out, "change", what.cursor, shown);
}

/// Ends when the subscription does: the client comes back with its cursor.
class event_body final : public http::body_stream {
public:
  explicit event_body(subscription changes) : changes_{std::move(changes)} {}

  std::optional<std::string> next() override {
    auto out = std::exchange(first_, {});
    while (out.size() < part_bytes) {
      const auto one = changes_.try_next();
      if (!one && out.empty())
        return std::nullopt;
      if (!one || !*one)
        break;
      append_delivery(out, **one);
    }
    return out;
  }
  std::string heartbeat() override { return ":\n\n"; }

private:
  std::string first_ = "retry: 1000\n\n";
  subscription changes_;
};

std::vector<std::string> listed(const std::string* text) {
  std::vector<std::string> out;
  for (std::size_t at = 0; text != nullptr && at <= text->size();) {
    const auto end = std::min(text->find(',', at), text->size());
    out.push_back(text->substr(at, end - at));
    at = end + 1;
  }
  return out;
}

expected<subscribe_options> wanted(const call& c) {
  subscribe_options out{.max_bytes = waiting_bytes};
  const auto children = c.flag("children");
  if (!children)
    return tl::unexpected(children.error());
  out.filter.children = *children;
  for (const auto& scope : listed(c.query("scopes"))) {
    const auto kind = kind_of(scope, "scopes");
    if (!kind)
      return tl::unexpected(kind.error());
    out.filter.kinds.push_back(*kind);
  }
  out.filter.events = listed(c.query("events"));
  // A browser comes back to the same target with the header, which therefore is the newer.
  const auto* after = c.request.find_header("Last-Event-ID");
  if (after == nullptr || after->empty())
    after = c.query("after");
  if (after != nullptr)
    out.after = *after;
  return out;
}

void follow(const call_ptr& c, const std::optional<entity_access>& of) {
  auto options = wanted(*c);
  if (!options)
    return c->refuse(options.error());
  options->wake = c->waker();
  c->doors.subscribe(c->who, of, *std::move(options), [c](expected<subscription> changes) {
    if (!changes)
      return c->refuse(changes.error());
    http::response head{.headers = {{"Cache-Control", "no-store"}}};
    head.content_type = "text/event-stream";
    c->stream(std::move(head), std::make_unique<event_body>(*std::move(changes)));
  });
}

void get_events(const call_ptr& c) {
  follow(c, c->entity);
}

void get_all_events(const call_ptr& c) {
  follow(c, std::nullopt);
}

constexpr route rows[] = {
    {"GET", "{S}/events", every_scope, role::reader, get_events,
     "Committed changes as server-sent events, from `Last-Event-ID` or `after`, or from now on; "
     "`children`: and of the entities that belong to it",
     "children scopes events after", nullptr, nullptr, 200, "text/event-stream"},
    {"GET", "/v1/events", no_scope, role::reader, get_all_events,
     "The same of all that the principal may see: an admin the namespace, a user what is theirs",
     "scopes events after", nullptr, nullptr, 200, "text/event-stream"},
};

}  // namespace

std::span<const route> event_routes() {
  return rows;
}

}  // namespace troupe::api
