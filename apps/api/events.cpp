#include <troupe/actors/subscription.hpp>
#include <troupe/state/binding.hpp>
#include <troupe/state/json.hpp>

#include "api/entity_name.hpp"
#include "api/live_streams.hpp"
#include "api/route.hpp"

#include <algorithm>
#include <atomic>
#include <initializer_list>
#include <iterator>
#include <memory>
#include <set>
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

/// What may take an entity from those who follow it.
bool changes_access(const event& what) {
  const auto of = [](section in) { return in == section::shares || in == section::members; };
  if (const auto* set = std::get_if<entry_set>(&what))
    return of(set->in);
  if (const auto* erased = std::get_if<entry_erased>(&what))
    return of(erased->in);
  if (const auto* cleared = std::get_if<section_cleared>(&what))
    return of(cleared->in);
  return std::holds_alternative<entity_created>(what)
         || std::holds_alternative<entity_forked>(what);
}

/// Their names, for a filter.
std::vector<std::string> access_events() {
  std::vector<std::string> out{name_of(entity_created{}), name_of(entity_forked{})};
  for (const auto in : {section::shares, section::members})
    for (const event& one :
         std::initializer_list<event>{entry_set{.in = in}, entry_erased{.in = in},
                                      entry_erased{.in = in, .expired = true}, section_cleared{in}})
      out.push_back(name_of(one));
  return out;
}

/// Follows one entity for a principal who may lose it: a change that may have taken it is told only
/// after another look.
class lasting_access {
public:
  lasting_access(entity_access of, std::vector<std::string> events, std::function<void()> wake)
      : of_{std::move(of)},
        events_{std::move(events)},
        wake_{std::move(wake)} {}

  enum class verdict : std::uint8_t { asking, tell, leave_out, gone };

  /// `asking`: the stream is woken with the answer, and asks again.
  verdict of(const event_delivery& what) {
    const auto* change = std::get_if<std::shared_ptr<const committed_change>>(&what.what);
    if (change == nullptr)
      return verdict::tell;
    if (std::ranges::any_of((**change).what.events, changes_access)) {
      const auto seen = asked_ ? asked_->load() : answer::old;
      if (seen == answer::old)
        ask((**change).what.revision);
      if (*asked_ == answer::waiting || *asked_ == answer::old)
        return verdict::asking;
      if (std::exchange(asked_, nullptr)->load() == answer::refused)
        return verdict::gone;
    }
    const auto named = [this](const event& one) {
      return events_.empty() || std::ranges::find(events_, name_of(one)) != events_.end();
    };
    return std::ranges::any_of((**change).what.events, named) ? verdict::tell : verdict::leave_out;
  }

private:
  enum class answer : std::uint8_t { waiting, old, granted, refused };

  /// What readers are shown may be a moment behind an event.
  void ask(std::uint64_t revision) {
    asked_ = std::make_shared<std::atomic<answer>>(answer::waiting);
    of_.header([to = asked_, wake = wake_, revision](expected<entity_header> found) {
      *to = !found ? answer::refused : found->revision < revision ? answer::old : answer::granted;
      wake();
    });
  }

  entity_access of_;
  std::vector<std::string> events_;  ///< that the client asked for; empty: all
  std::function<void()> wake_;
  std::shared_ptr<std::atomic<answer>> asked_{};
};

/// Ends when the subscription does: the client comes back with its cursor.
class event_body final : public http::body_stream {
public:
  event_body(subscription changes, std::shared_ptr<live_streams::entry> own,
             std::unique_ptr<lasting_access> access)
      : changes_{std::move(changes)},
        own_{std::move(own)},
        access_{std::move(access)} {}

  std::optional<std::string> next() override {
    if (own_->cut)
      return std::nullopt;
    auto out = std::exchange(first_, {});
    while (out.size() < part_bytes) {
      auto one = held_ ? expected<std::optional<event_delivery>>{std::exchange(held_, std::nullopt)}
                       : changes_.try_next();
      if (!one && out.empty())
        return std::nullopt;
      if (!one || !*one)
        break;
      using enum lasting_access::verdict;
      const auto what = access_ ? access_->of(**one) : tell;
      if (what == gone)
        own_->cut = true;
      if (what == asking)
        held_ = *std::move(one);
      if (what == asking || what == gone)
        break;
      if (what == tell)
        append_delivery(out, **one);
    }
    if (out.empty() && own_->cut)
      return std::nullopt;
    return out;
  }
  std::string heartbeat() override { return ":\n\n"; }

private:
  std::string first_ = "retry: 1000\n\n";
  subscription changes_;
  std::shared_ptr<live_streams::entry> own_;
  std::unique_ptr<lasting_access> access_;  ///< null where nobody can lose it
  std::optional<event_delivery> held_{};    ///< until `access_` is answered
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

/// What events may be called: a filter that names no such thing would stay silent for ever.
const std::set<std::string, std::less<>>& event_names() {
  static const auto all = [] {
    std::set<std::string, std::less<>> out;
    for (const event& one : std::initializer_list<event>{
             entity_created{}, entity_deleted{}, entity_forked{}, fork_merged{}, items_appended{},
             items_removed{}, items_restored{}, content_reverted{.cause = revert_cause::undo},
             content_reverted{.cause = revert_cause::redo},
             content_reverted{.cause = revert_cause::restore}})
      out.insert(name_of(one));
    for (const auto& in : all_sections)
      for (const event& one : std::initializer_list<event>{
               entry_set{.in = in.id}, entry_erased{.in = in.id},
               entry_erased{.in = in.id, .expired = true}, section_cleared{in.id}})
        out.insert(name_of(one));
    return out;
  }();
  return all;
}

expected<void> check_events(const std::vector<std::string>& given) {
  const auto unknown = std::ranges::find_if(
      given, [](const std::string& name) { return !event_names().contains(name); });
  if (unknown == given.end())
    return {};
  std::string all;
  for (const auto& name : event_names())
    all += (all.empty() ? "" : ", ") + name;
  return fail(errc::invalid_value, "one of " + all + " is expected", "events");
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
  if (auto ok = check_events(out.filter.events); !ok)
    return tl::unexpected(std::move(ok.error()));
  // A browser comes back to the same target with the header, which therefore is the newer.
  const auto* after = c.request.find_header("Last-Event-ID");
  if (after == nullptr || after->empty())
    after = c.query("after");
  if (after != nullptr)
    out.after = *after;
  return out;
}

/// Of an entity comes its own kind, and with its children what stands below it.
expected<void> check_scopes(const std::vector<entity_kind>& given, entity_kind of, bool children) {
  const auto comes = [&](entity_kind one) { return one == of || (children && one < of); };
  if (given.empty() || std::ranges::any_of(given, comes))
    return {};
  return fail(errc::invalid_value,
              "this stream has changes of the " + std::string{to_string(of)}
                  + (children ? " and of what belongs to it only" : " only: see `children`"),
              "scopes");
}

void follow(const call_ptr& c, const std::optional<entity_access>& of) {
  auto options = wanted(*c);
  if (!options)
    return c->refuse(options.error());
  if (of)
    if (auto ok = check_scopes(options->filter.kinds, of->ref().kind, options->filter.children);
        !ok)
      return c->refuse(ok.error());
  auto own = c->doors.streams()->add(c->who, c->waker());
  options->wake = c->waker();
  std::optional<std::vector<std::string>> asked;
  if (of && !c->who.by.trusted && !options->filter.children) {
    asked = options->filter.events;
    if (!asked->empty())
      std::ranges::move(access_events(), std::back_inserter(options->filter.events));
  }
  c->doors.subscribe(
      c->who, of, *std::move(options), [c, own, asked](expected<subscription> changes) {
        if (!changes)
          return c->refuse(changes.error());
        http::response head{.headers = {{"Cache-Control", "no-store"}}};
        head.content_type = "text/event-stream";
        auto access = asked ? std::make_unique<lasting_access>(c->entity, *asked, own->wake)
                            : std::unique_ptr<lasting_access>{};
        c->stream(std::move(head),
                  std::make_unique<event_body>(*std::move(changes), own, std::move(access)));
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
