#include <troupe/state/internal/stored_document.hpp>

#include <stdexcept>

/// Changes as bytes.
namespace troupe {

using namespace internal;

namespace {

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
    if (!e.from)
      throw std::logic_error{"a fork without its lineage has no encoding"};
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
    return out.begin_array(fields + 1 + more.size()).unsigned_integer(Event::number);
  }
};

bool is_item(value_view x) {
  return x.type() == value_type::map && well_formed(x.bytes(), item_depth);
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

/// About as many as `what` takes: what is stored most often is written into one piece of memory.
std::size_t bytes_of(const change& what) {
  std::size_t out = 64;
  for (const auto& e : what.events) {
    if (const auto* appended = std::get_if<items_appended>(&e))
      for (const auto& item : appended->items)
        out += item.bytes().size();
    else if (const auto* set = std::get_if<entry_set>(&e))
      out += set->key.size() + set->data.bytes().size();
  }
  return out;
}

}  // namespace

std::string encode(const change& what, std::size_t zstd_threshold) {
  auto extra = what.extra.view().children();
  const auto next_rest = [&]() { return extra.next() ? extra.item() : value_view{}; };
  const auto own = next_rest();
  value_writer out;
  out.reserve(bytes_of(what));
  out.begin_array(5 + own.size())
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
  return compressed(out.take(), zstd_threshold);
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
    if (auto ok = in.known_section(); !ok)
      return tl::unexpected(std::move(ok.error()));
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

}  // namespace troupe
