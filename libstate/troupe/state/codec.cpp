#include <troupe/state/codec.hpp>
#include <troupe/state/internal/canonical.hpp>

#include <utility>

namespace troupe {

namespace {

/// A document's own nesting beyond that of the values in it.
constexpr std::size_t stored_depth = limits{}.depth + 6;

/// Reads the fields of one stored array in order; after the first that does not fit, all that
/// follow are empty and `ok` is false. Fields behind the known ones are from a newer minor version
/// and are skipped.
class field_reader {
public:
  explicit field_reader(value_view array)
      : cursor_{array.children()},
        ok_{array.type() == value_type::array} {}

  value_view next() {
    if (ok_ && cursor_.next())
      return cursor_.item();
    ok_ = false;
    return {};
  }
  std::uint64_t number() { return take(next().as_uint64()); }
  timestamp time() { return {take(next().as_int64())}; }
  std::string text() { return std::string{take(next().as_string())}; }
  value any() { return value{next()}; }
  value map() {
    const auto x = next();
    ok_ = ok_ && x.type() == value_type::map;
    return value{x};
  }
  value_view array() {
    const auto x = next();
    ok_ = ok_ && x.type() == value_type::array;
    return x;
  }

  [[nodiscard]] bool ok() const { return ok_; }

private:
  template <class T>
  T take(std::optional<T> x) {
    ok_ = ok_ && x.has_value();
    return x.value_or(T{});
  }

  value_view::cursor cursor_;
  bool ok_;
};

/// The fields behind the version.
expected<field_reader> open_document(std::string_view bytes, std::string_view what) {
  if (!internal::well_formed(bytes, stored_depth))
    return fail(errc::damaged, std::string{what} + " is not the msgpack it should be");
  field_reader fields{value_view{bytes}};
  const auto version = fields.number();
  if (!fields.ok() || version < oldest_codec_version)
    return fail(errc::damaged, std::string{what} + " has no version");
  if (version > current_codec_version)
    return fail(errc::newer_format, std::string{what} + " has version " + std::to_string(version)
                                        + "; this build reads up to "
                                        + std::to_string(current_codec_version));
  return fields;
}

struct event_encoder {
  value_writer& out;

  void operator()(const session_created& e) { start(e, 2).string(e.user).raw(e.metadata); }
  void operator()(const session_deleted& e) { start(e, 0); }
  void operator()(const items_appended& e) {
    start(e, 2).unsigned_integer(e.first_seq).begin_array(e.items.size());
    for (const auto& item : e.items)
      out.raw(item);
  }
  void operator()(const key_set& e) { start(e, 2).string(e.key).raw(e.data); }
  void operator()(const key_deleted& e) { start(e, 1).string(e.key); }

  template <class Event>
  value_writer& start(const Event&, std::size_t fields) {
    return out.begin_array(fields + 1).unsigned_integer(Event::number);
  }
};

std::optional<session_event> decode_event(value_view stored) {
  field_reader in{stored};
  const auto number = in.number();
  std::optional<session_event> out;
  if (number == session_created::number) {
    session_created e{in.text(), in.map()};
    out = std::move(e);
  } else if (number == session_deleted::number) {
    out = session_deleted{};
  } else if (number == items_appended::number) {
    items_appended e;
    e.first_seq = in.number();
    const auto items = in.array();
    e.items.reserve(items.size());
    for (auto item = items.children(); item.next();) {
      if (item.item().type() != value_type::map)
        return std::nullopt;  // else the next snapshot could not be read
      e.items.emplace_back(item.item());
    }
    out = std::move(e);
  } else if (number == key_set::number) {
    key_set e{in.text(), in.any()};
    out = std::move(e);
  } else if (number == key_deleted::number) {
    out = key_deleted{in.text()};
  }
  if (!in.ok())
    return std::nullopt;
  return out;
}

}  // namespace

std::string encode(const change& what) {
  value_writer out;
  out.begin_array(4)
      .unsigned_integer(current_codec_version)
      .unsigned_integer(what.revision)
      .integer(what.at.ms);
  out.begin_array(what.events.size());
  for (const auto& event : what.events)
    std::visit(event_encoder{out}, event);
  return out.take();
}

expected<change> decode_change(std::string_view bytes) {
  auto fields = open_document(bytes, "a change");
  if (!fields)
    return tl::unexpected(fields.error());
  change out;
  out.revision = fields->number();
  out.at = fields->time();
  const auto events = fields->array();
  if (!fields->ok())
    return fail(errc::damaged, "a change lacks a field");
  for (auto stored = events.children(); stored.next();) {
    auto event = decode_event(stored.item());
    if (!event)
      return fail(errc::damaged, "a change holds an event that this version does not know");
    out.events.push_back(*std::move(event));
  }
  return out;
}

std::string encode(const session_state& state) {
  value_writer out;
  out.begin_array(10).unsigned_integer(current_codec_version);
  out.unsigned_integer(static_cast<std::uint64_t>(state.status)).unsigned_integer(state.revision);
  out.integer(state.created.ms).integer(state.last_activity.ms);
  out.string(state.user).raw(state.metadata).unsigned_integer(state.last_seq);
  out.begin_array(state.items.size());
  for (const auto& item : state.items)
    out.begin_array(3).unsigned_integer(item.seq).integer(item.at.ms).raw(item.fields);
  out.begin_array(state.entries.size());
  for (const auto& [key, entry] : state.entries)
    out.begin_array(3).string(key).unsigned_integer(entry.revision).raw(entry.data);
  return out.take();
}

expected<session_state> decode_session(std::string_view bytes) {
  auto fields = open_document(bytes, "a session");
  if (!fields)
    return tl::unexpected(fields.error());
  session_state out;
  const auto status = fields->number();
  out.status = static_cast<lifecycle>(status);
  out.revision = fields->number();
  out.created = fields->time();
  out.last_activity = fields->time();
  out.user = fields->text();
  out.metadata = fields->map();
  out.last_seq = fields->number();
  const auto items = fields->array();
  const auto entries = fields->array();
  bool ok = fields->ok() && status <= static_cast<std::uint64_t>(lifecycle::deleted);
  for (auto stored = items.children(); ok && stored.next();) {
    field_reader in{stored.item()};
    history_item item{in.number(), in.time(), in.map()};
    ok = in.ok();
    out.bytes += item.fields.bytes().size();
    out.items.push_back(std::move(item));
  }
  for (auto stored = entries.children(); ok && stored.next();) {
    field_reader in{stored.item()};
    auto key = in.text();
    const auto revision = in.number();
    auto data = in.any();
    ok = in.ok();
    out.bytes += key.size() + data.bytes().size();
    ok = out.entries.set(std::move(key), {std::move(data), revision}) && ok;  // a key stands once
  }
  if (!ok)
    return fail(errc::damaged, "a session lacks a field");
  return out;
}

expected<session_state> restore_session(std::string_view snapshot,
                                        const std::vector<std::string>& changes) {
  session_state state;
  if (!snapshot.empty()) {
    auto stored = decode_session(snapshot);
    if (!stored)
      return stored;
    state = *std::move(stored);
  }
  for (const auto& bytes : changes) {
    auto what = decode_change(bytes);
    if (!what)
      return tl::unexpected(what.error());
    state = evolve(std::move(state), *what);
  }
  return state;
}

expected<std::string> fold_session(std::string_view snapshot,
                                   const std::vector<std::string>& changes) {
  auto state = restore_session(snapshot, changes);
  if (!state)
    return tl::unexpected(state.error());
  return encode(*state);
}

}  // namespace troupe
