#include <troupe/state/codec.hpp>
#include <troupe/state/internal/canonical.hpp>
#include <troupe/state/internal/compression.hpp>

#include <array>
#include <limits>
#include <utility>

namespace troupe {

namespace {

/// A document's own nesting beyond that of the values in it.
constexpr std::size_t stored_depth = limits{}.depth + 6;

/// Of an item, wherever it stands: deeper ones would not fit into the event that brings them back.
constexpr std::size_t item_depth = limits{}.depth;

/// Of an entry, as long as `entry_key` has room for; refs of forks are the longest.
constexpr std::size_t max_stored_key_bytes = 600;

/// Reads the fields of one stored array in order; after the first that does not fit, all that
/// follow are empty and `ok` is false.
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
  std::string_view bytes() { return take(next().as_binary()); }
  value any() { return value{next()}; }
  value_view array() {
    const auto x = next();
    ok_ = ok_ && x.type() == value_type::array;
    return x;
  }
  template <class Enum>
  Enum one_of(Enum first, Enum last) {
    const auto x = number();
    ok_ = ok_ && x >= static_cast<std::uint64_t>(first) && x <= static_cast<std::uint64_t>(last);
    return ok_ ? static_cast<Enum>(x) : first;
  }
  section which_section() { return one_of(section::info, section::schema); }
  std::string id() {
    auto out = text();
    ok_ = ok_ && checked_id(out).has_value();
    return out;
  }
  entity_ref ref() {
    field_reader in{next()};
    entity_ref out{in.id(), in.one_of(entity_kind::session, entity_kind::global), in.id()};
    ok_ = ok_ && in.ended();
    return out;
  }
  std::string key() {
    auto out = text();
    ok_ = ok_ && out.size() <= max_stored_key_bytes;
    return out;
  }

  /// The id of a user, or null.
  value owner() {
    auto out = any();
    const auto text = out.view().as_string();
    ok_ = ok_ && (out.is_null() || (text && checked_id(*text)));
    return out;
  }
  std::shared_ptr<const lineage> lineage_from(value_view stored) {
    field_reader in{stored};
    lineage out{in.ref(), in.number()};
    ok_ = ok_ && in.ended();
    return std::make_shared<const lineage>(std::move(out));
  }

  /// What a newer minor version has put behind the fields read so far: an array, or null.
  value rest() {
    std::vector<value_view> more;
    while (ok_ && cursor_.next())
      more.push_back(cursor_.item());
    if (more.empty())
      return {};
    value_writer out;
    out.begin_array(more.size());
    for (const auto x : more)
      out.raw(x);
    return out.finish();
  }

  [[nodiscard]] bool ok() const { return ok_; }
  /// All was good and nothing is left: what stands within events and snapshots has a fixed length,
  /// since what followed there would be lost.
  bool ended() {
    ok_ = ok_ && !cursor_.next();
    return ok_;
  }
  void refuse() { ok_ = false; }

private:
  template <class T>
  T take(std::optional<T> x) {
    ok_ = ok_ && x.has_value();
    return x.value_or(T{});
  }

  value_view::cursor cursor_;
  bool ok_;
};

/// The bytes of a document, decompressed where need be, and its version checked.
class document {
public:
  static expected<document> open(std::string_view bytes, std::string_view what) {
    document out;
    out.bytes_ = bytes;
    if (internal::is_compressed(bytes)) {
      auto plain = internal::decompressed(bytes, max_decoded_bytes);
      if (!plain)
        return tl::unexpected(plain.error());
      out.plain_ = std::make_unique<std::string>(*std::move(plain));
      out.bytes_ = *out.plain_;
    }
    if (!internal::well_formed(out.bytes_, stored_depth))
      return fail(errc::damaged, std::string{what} + " is not the msgpack it should be");
    auto fields = out.fields();
    const auto version = fields.number();
    if (!fields.ok() || version < oldest_codec_version)
      return fail(errc::damaged, std::string{what} + " has no version that this build reads");
    if (version > current_codec_version)
      return fail(errc::newer_format, std::string{what} + " has version " + std::to_string(version)
                                          + "; this build reads up to "
                                          + std::to_string(current_codec_version));
    return out;
  }

  [[nodiscard]] field_reader fields() const { return field_reader{value_view{bytes_}}; }

private:
  std::unique_ptr<std::string> plain_;
  std::string_view bytes_;
};

std::size_t rest_size(value_view rest) {
  return rest.size();
}

void write_rest(value_writer& out, value_view rest) {
  for (auto field = rest.children(); field.next();)
    out.raw(field.item());
}

// Events
// ------------------------------------------------------------------------------------------------

void write_ref(value_writer& out, const entity_ref& ref) {
  out.begin_array(3).string(ref.name_space);
  out.unsigned_integer(static_cast<std::uint64_t>(ref.kind)).string(ref.id);
}

void write_lineage(value_writer& out, const lineage& from) {
  write_ref(out.begin_array(2), from.parent);
  out.unsigned_integer(from.at);
}

template <class Number>
std::uint64_t number_of(Number x) {
  return static_cast<std::uint64_t>(x);
}

struct event_encoder {
  value_writer& out;
  value_view more;  // fields of a newer minor version, counted here and written behind

  void operator()(const entity_created& e) const {
    start(e, 2).unsigned_integer(number_of(e.kind)).raw(e.user);
  }
  void operator()(const entity_deleted& e) const { start(e, 0); }
  void operator()(const items_appended& e) const {
    start(e, 2).unsigned_integer(e.first_seq).begin_array(e.items.size());
    for (const auto& item : e.items)
      out.raw(item);
  }
  void operator()(const items_removed& e) const {
    start(e, 2).unsigned_integer(e.keep).unsigned_integer(e.removed);
  }
  void operator()(const items_restored& e) const {
    start(e, 1).begin_array(e.items.size());
    for (const auto& item : e.items)
      out.begin_array(3).unsigned_integer(item.seq).integer(item.at.ms).raw(item.fields);
  }
  void operator()(const entry_set& e) const {
    start(e, 4).unsigned_integer(number_of(e.in)).string(e.key).raw(e.data).integer(e.expires.ms);
  }
  void operator()(const entry_erased& e) const {
    start(e, 3).unsigned_integer(number_of(e.in)).string(e.key).boolean(e.expired);
  }
  void operator()(const section_cleared& e) const { start(e, 1).unsigned_integer(number_of(e.in)); }
  void operator()(const entity_forked& e) const {
    write_lineage(start(e, 2), *e.from);
    out.raw(e.user);
  }
  void operator()(const content_reverted& e) const {
    start(e, 3).unsigned_integer(number_of(e.cause)).unsigned_integer(e.to).raw(e.redo);
  }
  void operator()(const fork_merged& e) const {
    write_ref(start(e, 2), e.fork);
    out.unsigned_integer(e.revision);
  }

  template <class Event>
  value_writer& start(const Event&, std::size_t fields) const {
    return out.begin_array(fields + 1 + rest_size(more)).unsigned_integer(Event::number);
  }
};

bool is_item(value_view x) {
  return x.type() == value_type::map && internal::well_formed(x.bytes(), item_depth);
}

/// Reads items into `push`, which says whether the next snapshot could be read with it.
template <class Push>
void read_maps(field_reader& in, value_view array, Push push) {
  for (auto item = array.children(); item.next();) {
    if (!push(item.item()))
      in.refuse();
  }
}

template <class Event>
Event read_event(field_reader& in);

template <>
entity_created read_event(field_reader& in) {
  const auto kind = in.one_of(entity_kind::session, entity_kind::global);
  return {kind, in.owner()};
}
template <>
entity_deleted read_event(field_reader&) {
  return {};
}
template <>
items_appended read_event(field_reader& in) {
  items_appended e{.first_seq = in.number(), .items = {}};
  read_maps(in, in.array(), [&](value_view item) {
    e.items.emplace_back(item);
    return is_item(item);
  });
  return e;
}
template <>
items_removed read_event(field_reader& in) {
  const auto keep = in.number();
  return {keep, in.number()};
}
template <>
items_restored read_event(field_reader& in) {
  items_restored e;
  read_maps(in, in.array(), [&](value_view stored) {
    field_reader item{stored};
    kept_item one{.seq = item.number(), .at = item.time(), .fields = item.any()};
    const bool good = item.ended() && is_item(one.fields);
    e.items.push_back(std::move(one));
    return good;
  });
  return e;
}
template <>
entry_set read_event(field_reader& in) {
  entry_set e{.in = in.which_section(), .key = in.key(), .data = {}, .expires = {}};
  e.data = in.any();
  e.expires = in.time();
  return e;
}
template <>
entry_erased read_event(field_reader& in) {
  entry_erased e{.in = in.which_section(), .key = in.key()};
  const auto expired = in.next().as_bool();
  if (!expired)
    in.refuse();
  e.expired = expired.value_or(false);
  return e;
}
template <>
section_cleared read_event(field_reader& in) {
  return {in.which_section()};
}
template <>
entity_forked read_event(field_reader& in) {
  auto from = in.lineage_from(in.next());
  return {std::move(from), in.owner()};
}
template <>
content_reverted read_event(field_reader& in) {
  content_reverted e{.cause = in.one_of(revert_cause::undo, revert_cause::restore),
                     .to = in.number(),
                     .redo = in.any()};
  if (e.redo.type() != value_type::null && e.redo.type() != value_type::array)
    in.refuse();
  return e;
}
template <>
fork_merged read_event(field_reader& in) {
  auto fork = in.ref();
  return {std::move(fork), in.number()};
}

/// The event of this number, out of the variant's alternatives.
template <std::size_t I = 0>
std::optional<event> read_numbered(std::uint64_t number, field_reader& in) {
  if constexpr (I == std::variant_size_v<event>) {
    return std::nullopt;
  } else {
    using candidate = std::variant_alternative_t<I, event>;
    if (number == candidate::number)
      return read_event<candidate>(in);
    return read_numbered<I + 1>(number, in);
  }
}

/// [fields of the change itself or null, fields of its events or null ...], or null when there are
/// none.
class collected_rests {
public:
  void add(value rest) {
    any_ = any_ || !rest.is_null();
    rests_.push_back(std::move(rest));
  }
  [[nodiscard]] value finish() const {
    if (!any_)
      return {};
    value_writer out;
    out.begin_array(rests_.size());
    for (const auto& rest : rests_)
      out.raw(rest);
    return out.finish();
  }

private:
  std::vector<value> rests_;
  bool any_ = false;
};

}  // namespace

std::string encode(const change& what, std::size_t zstd_threshold) {
  auto extra = what.extra.view().children();
  const auto next_rest = [&]() { return extra.next() ? extra.item() : value_view{}; };
  const auto own = next_rest();
  value_writer out;
  out.begin_array(5 + rest_size(own))
      .unsigned_integer(current_codec_version)
      .unsigned_integer(what.revision)
      .integer(what.at.ms);
  out.begin_array(what.events.size());
  for (const auto& e : what.events) {
    const auto more = next_rest();
    std::visit(event_encoder{out, more}, e);
    write_rest(out, more);
  }
  if (what.asked_by)
    out.begin_array(3)
        .string(what.asked_by->principal)
        .string(what.asked_by->key)
        .binary(what.asked_by->body_hash);
  else
    out.null();
  write_rest(out, own);
  return internal::compressed(out.take(), zstd_threshold);
}

expected<change> decode_change(std::string_view bytes) {
  const auto stored = document::open(bytes, "a change");
  if (!stored)
    return tl::unexpected(stored.error());
  auto fields = stored->fields();
  fields.number();  // the version
  change out{.revision = fields.number(), .at = fields.time(), .events = {}};
  const auto events = fields.array();
  const auto asked_by = fields.next();
  collected_rests rests;
  rests.add(fields.rest());
  if (!fields.ok())
    return fail(errc::damaged, "a change lacks a field");
  for (auto at = events.children(); at.next();) {
    field_reader in{at.item()};
    const auto number = in.number();
    auto e = read_numbered(number, in);
    if (!e && in.ok())
      return fail(errc::newer_format, "a change holds event " + std::to_string(number)
                                          + ", which this build does not know");
    rests.add(in.rest());
    if (!in.ok())
      return fail(errc::damaged, "an event of a change lacks a field");
    out.events.push_back(*std::move(e));
  }
  if (!asked_by.is_null()) {
    field_reader in{asked_by};
    idempotency once{.principal = in.text(), .key = in.text(), .body_hash = {}};
    once.body_hash = in.bytes();
    if (!in.ended())
      return fail(errc::damaged, "a change's idempotency key lacks a field");
    out.asked_by = std::move(once);
  }
  out.extra = rests.finish();
  return out;
}

// Snapshots
// ------------------------------------------------------------------------------------------------

std::string encode(const entity_state& state, std::size_t zstd_threshold) {
  value_writer out;
  out.begin_array(14 + rest_size(state.extra)).unsigned_integer(current_codec_version);
  out.unsigned_integer(number_of(state.status)).unsigned_integer(number_of(state.kind));
  out.unsigned_integer(state.revision).unsigned_integer(state.first_revision);
  out.unsigned_integer(state.content_revision);
  out.integer(state.created.ms).integer(state.last_activity.ms);
  out.unsigned_integer(state.last_seq).raw(state.user);
  if (state.forked_from)
    write_lineage(out, *state.forked_from);
  else
    out.null();
  out.raw(state.redo);
  std::size_t chunks = 0;
  state.items.for_each_chunk([&](const packed_chunk&) { ++chunks; });
  out.begin_array(chunks);
  state.items.for_each_chunk([&](const packed_chunk& chunk) { out.binary(chunk.bytes); });
  out.begin_array(state.entries.size() + state.own.size());
  for_each_stored_entry(state, [&](const std::string& key, const entry& held) {
    out.begin_array(5).unsigned_integer(number_of(section_of(key))).string(key_of(key));
    out.unsigned_integer(held.revision).integer(held.expires.ms).raw(held.data);
  });
  write_rest(out, state.extra);
  return internal::compressed(out.take(), zstd_threshold);
}

expected<entity_state> decode_entity(std::string_view bytes) {
  const auto stored = document::open(bytes, "a snapshot");
  if (!stored)
    return tl::unexpected(stored.error());
  auto fields = stored->fields();
  fields.number();  // the version
  entity_state out;
  out.status = fields.one_of(lifecycle::absent, lifecycle::deleted);
  out.kind = fields.one_of(entity_kind::session, entity_kind::global);
  out.revision = fields.number();
  out.first_revision = fields.number();
  out.content_revision = fields.number();
  out.created = fields.time();
  out.last_activity = fields.time();
  out.last_seq = fields.number();
  out.user = fields.owner();
  if (const auto from = fields.next(); !from.is_null())
    out.forked_from = fields.lineage_from(from);
  out.redo = fields.any();
  const auto chunks = fields.array();
  const auto entries = fields.array();
  out.extra = fields.rest();
  bool ok = fields.ok() && (out.redo.is_null() || out.redo.type() == value_type::array);
  std::vector<std::string_view> packed;
  for (auto chunk = chunks.children(); ok && chunk.next();) {
    ok = chunk.item().type() == value_type::binary;
    packed.push_back(chunk.item().as_binary().value_or(""));
  }
  if (ok && !packed.empty()) {
    auto items = history::from_chunks(packed, item_depth);
    if (!items)
      return tl::unexpected(items.error());
    out.items = *std::move(items);
  }
  ok = ok && out.items.last_seq() <= out.last_seq
       && out.last_seq != std::numeric_limits<std::uint64_t>::max();  // so that there is a next one
  for (auto at = entries.children(); ok && at.next();) {
    field_reader in{at.item()};
    const auto which = in.which_section();
    const auto key = in.key();
    entry held{.data = {}, .revision = in.number(), .expires = in.time()};
    held.data = in.any();
    ok = in.ended();
    (rules_of(which).forks ? out.entry_bytes : out.own_bytes) +=
        key.size() + held.data.bytes().size();
    // A key stands once.
    ok = ok && out.entries_of(which).set(entry_key{which, key}.str(), std::move(held));
  }
  if (!ok)
    return fail(errc::damaged, "a snapshot lacks a field");
  return out;
}

expected<entity_state> restore_entity(std::string_view snapshot,
                                      const std::vector<std::string>& changes) {
  entity_state state;
  if (!snapshot.empty()) {
    auto stored = decode_entity(snapshot);
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

expected<std::string> fold_entity(std::string_view snapshot,
                                  const std::vector<std::string>& changes) {
  auto state = restore_entity(snapshot, changes);
  if (!state)
    return tl::unexpected(state.error());
  return encode(*state);
}

}  // namespace troupe
