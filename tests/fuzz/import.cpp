/// One export, as JSON Lines and as msgpack: refused for a reason that helps, or entities that
/// commands could have left, which can be written and read again without loss.

#include "fuzz/documents.hpp"
#include "fuzz/entities.hpp"
#include "support/allocations.hpp"

#include <algorithm>
#include <cstdint>
#include <set>
#include <vector>

using namespace troupe;
using namespace troupe::fuzz;

namespace {

/// What inputs of a few bytes reach.
constexpr import_limits tight_limits{
    .entities = 2, .document_bytes = 300, .entity_bytes = 150, .entries = 4};

using entities = std::vector<exported_entity>;

void require_refused_well(const error& why, std::string_view unit) {
  require(why.message.starts_with(unit), "a refusal tells where");
  require(testing::naive_utf8(why.message), "a refusal is text");
  require(testing::naive_pointer(why.path), "a refusal's path is a JSON pointer");
  require(static_cast<unsigned>(why.code) < 100 || why.code == errc::newer_format,
          "the file is at fault, not we");
}

void require_name(std::string_view id) {
  require(checked_id(id).has_value(), "an id is an id");
}

/// The rules of entity.hpp and commands.hpp for what can have come about.
void require_possible(const exported_entity& one) {
  const auto& [ref, s] = one;
  require_name(ref.name_space);
  require_name(ref.id);
  if (!s.user.is_null())
    require_name(user_of(s));
  if (s.forked_from) {
    require_name(s.forked_from->parent.name_space);
    require_name(s.forked_from->parent.id);
  }
  if (s.live()) {
    require(s.kind == ref.kind, "an entity is of the kind that its name says");
    require(s.first_revision >= 1 && s.content_revision >= s.first_revision
                && s.revision >= s.content_revision,
            "revisions stand in their order");
  } else {
    require(s.bytes() == 0 && s.items.empty() && s.last_seq == 0 && s.redo.is_null()
                && !s.forked_from && s.user.is_null(),
            "only a live entity holds anything");
    require((s.revision == 0) == (s.status == lifecycle::absent), "what was there has a revision");
  }
  require(s.items.empty() || ref.kind == entity_kind::session || ref.kind == entity_kind::team,
          "only sessions and teams have items");
  for (auto to = s.redo.view().children(); to.next();) {
    const auto at = to.item().as_uint64();
    require(at && *at >= 1 && *at <= s.revision, "redo goes to revisions that there are");
  }
  for_each_stored_entry(s, [&](const std::string& key, const entry& held) {
    const auto in = section_of(key);
    require(has_section(s.kind, in), "an entry stands in a section that its kind has");
    require(held.revision >= 1 && held.revision <= s.revision, "an entry's revision was there");
    require(in == section::state || held.expires.ms == 0, "only key-value state expires");
    require(in == section::merges || key_of(key).size() <= max_key_bytes, "a key is short");
    require(testing::naive_utf8(key_of(key)), "a key is text");
    require_canonical(held.data);
  });
  for (const auto& item : s.items) {
    require_canonical(item.fields);
    if (s.kind == entity_kind::team)
      require(item.fields.find("from").value_or(value_view{}).as_string().has_value()
                  && item.fields.find("body").has_value(),
              "a team's item is a message");
    else
      require(!item.fields.find("seq") && !item.fields.find("at"), "seq and at are Troupe's");
  }
  for (const auto& pin : checkpoints_of(s))
    require(pin.revision <= s.revision || pin.revision > 0, "a checkpoint pins a revision");
}

/// The next command to it is no different from any other.
void require_goes_on(const exported_entity& one) {
  const auto& [ref, s] = one;
  const auto step = decide(s,
                           {.entity = ref,
                            .operations = {s.live() ? operation{patch_state{{set_key{"new", 1}}}}
                                                    : operation{create{}}}},
                           {.now = {1}});
  if (!step) {
    require(step.error().code == errc::quota_exceeded || !s.user.is_null(),
            "a full entity or a foreign one refuses, no other");
    return;
  }
  require(step->next.revision == s.revision + (step->answer.changed ? 1 : 0)
              && step->next.revision >= s.revision,
          "revisions go on");
  require_sound(step->next);
  if (ref.kind != entity_kind::session)
    return;
  const std::vector<value> items(3, value::map({{"x", 1}}));
  const auto more = decide(s, {.entity = ref, .operations = {append_items{items}}}, {.now = {1}});
  if (more) {
    require(more->next.items.size() == s.items.size() + 3 && more->next.last_seq == s.last_seq + 3,
            "no item is lost");
    require_sound(more->next);
  }
}

std::string written(const entities& all, bool json) {
  std::string out;
  for (const auto& [ref, state] : all)
    out += json ? export_jsonl(ref, state) : export_msgpack(ref, state);
  return out;
}

bool same(const entities& a, const entities& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const auto& x, const auto& y) {
    return x.ref == y.ref && x.state == y.state && x.state.extra == y.state.extra
           && encode(x.state, uncompressed) == encode(y.state, uncompressed);
  });
}

void require_transferable(const entities& all) {
  std::set<entity_ref> refs;
  for (const auto& one : all) {
    require(refs.insert(one.ref).second, "each entity stands once");
    require_sound(one.state);
    require_possible(one);
    require_readable(one.state, one.ref);
    require_goes_on(one);
  }
  const auto text = written(all, true), bytes = written(all, false);
  const auto from_text = import_jsonl(text);
  require(from_text && same(*from_text, all), "JSON Lines give the entities back");
  require(written(*from_text, true) == text, "JSON Lines are written again as they stood");
  const auto from_bytes = import_msgpack(bytes);
  require(from_bytes && same(*from_bytes, all), "msgpack gives the entities back");
  require(written(*from_bytes, false) == bytes, "msgpack is written again as it stood");
}

template <class Import>
void check(std::string_view file, std::string_view unit, Import import) {
  const testing::allocation_watch watch;
  const auto read = import(file, import_limits{});
  require(watch.total() <= 2048 * file.size() + (64 << 10), "memory is bounded by what was read");
  if (read)
    require_transferable(*read);
  else
    require_refused_well(read.error(), unit);
  const auto little = import(file, tight_limits);
  if (!little) {
    require_refused_well(little.error(), unit);
    return;
  }
  require(read && same(*read, *little), "limits only refuse");
  require(little->size() <= tight_limits.entities, "no more entities than allowed");
  for (const auto& one : *little)
    require(one.state.bytes() <= tight_limits.entity_bytes
                && one.state.entries.size() + one.state.own.size() <= tight_limits.entries,
            "an entity is as small as it has to be");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view file{reinterpret_cast<const char*>(data), size};
  check(file, "line ", import_jsonl);
  check(file, "document ", import_msgpack);
  return 0;
}
