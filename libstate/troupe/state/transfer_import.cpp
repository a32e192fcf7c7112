#include <troupe/state/commands.hpp>
#include <troupe/state/internal/canonical.hpp>
#include <troupe/state/internal/decider.hpp>
#include <troupe/state/internal/transfer_documents.hpp>
#include <troupe/state/json.hpp>
#include <troupe/state/transfer.hpp>
#include <troupe/state/workflow.hpp>

#include <algorithm>
#include <set>

namespace troupe {

namespace {

using internal::entry_document;
using internal::header_document;
using internal::item_document;

/// Levels of a document around a value, its tags, and what a newer version may have put in "extra".
constexpr std::size_t document_depth = limits{}.depth + 8;

/// What a team's item is.
struct team_message {
  std::string from{};
  std::optional<std::string> to{};
  value body{};
  static constexpr auto fields =
      std::tuple{field{"from", &team_message::from}, field{"to", &team_message::to},
                 field{"body", &team_message::body}};
};

std::string quantity(std::uint64_t count, std::string_view what) {
  return std::to_string(count) + ' ' + std::string{what};
}

/// Takes documents in their order and builds the entities they say.
class importer {
public:
  explicit importer(const import_limits& limits) : limits_{limits} {}

  expected<void> take(value_view document) {
    if (document.type() != value_type::map)
      return internal::wrong_type("an object", document);
    if (missing_entries_ > 0)
      return next<entry_document>(document, "an entry");
    if (missing_items_ > 0)
      return next<item_document>(document, "an item");
    if (const auto version = document.find("troupe")) {
      if (const auto number = version->as_uint64(); number && *number > transfer_version)
        return fail(errc::newer_format, "the export has format version " + std::to_string(*number)
                                            + "; this build reads up to "
                                            + std::to_string(transfer_version));
    }
    return next<header_document>(document, "a header");
  }

  /// After the last document.
  expected<std::vector<exported_entity>> finish() {
    if (missing_entries_ + missing_items_ > 0)
      return fail(errc::malformed, "the export ends early: " + quantity(missing_entries_, "entries")
                                       + " and " + quantity(missing_items_, "items")
                                       + " are missing");
    return std::move(done_);
  }

private:
  template <class Document>
  expected<void> next(value_view document, std::string_view wanted) {
    constexpr auto mark = std::get<0>(Document::fields).name;  // shows which kind it is
    if (!document.find(mark))
      return fail(errc::malformed, std::string{wanted} + " is expected here, with a member '"
                                       + std::string{mark} + "'");
    auto read = from_value<Document>(document, unknown_members::refused);
    if (!read)
      return tl::unexpected(std::move(read.error()));
    return add(*std::move(read));
  }

  expected<void> add(header_document h) {
    if (h.troupe != transfer_version)
      return fail(errc::malformed, "there is no such format version", "/troupe");
    if (done_.size() == limits_.entities)
      return internal::refuse_beyond(errc::too_many_elements, "too many entities in one import",
                                     limits_.entities);
    if (auto ok = internal::check_name(h.name_space, "/namespace"); !ok)
      return ok;
    if (auto ok = internal::check_name(h.id, "/id"); !ok)
      return ok;
    if (h.entries > limits_.entries)
      return internal::refuse_beyond(errc::quota_exceeded, "too many entries in one entity",
                                     limits_.entries, "/entries");
    if (auto ok = check_numbers(h); !ok)
      return ok;
    if (auto ok = check_origin(h); !ok)
      return ok;
    if (h.items > 0 && h.kind != entity_kind::session && h.kind != entity_kind::team)
      return fail(errc::wrong_scope, "only sessions and teams have items", "/items");
    if (h.extra
        && (h.extra->type() != value_type::array
            || !internal::well_formed(h.extra->bytes(), troupe::limits{}.depth + 6)))
      return fail(errc::wrong_type, "an array is expected", "/extra");
    if (h.extra && h.extra->bytes().size() > limits_.entity_bytes)
      return internal::refuse_beyond(errc::quota_exceeded, "too much in one entity",
                                     limits_.entity_bytes, "/extra");
    exported_entity one{.ref = {h.name_space, h.kind, h.id}};
    if (!refs_.insert(one.ref).second)
      return fail(errc::invalid_value, "this entity occurs twice", "/id");
    auto& state = one.state;
    state.status = h.status;
    if (h.status != lifecycle::absent)
      state.kind = h.kind;
    state.revision = h.revision;
    state.first_revision = h.first_revision;
    state.content_revision = h.content_revision;
    state.created = {h.created_ms};
    state.last_activity = {h.last_activity_ms};
    state.last_seq = h.last_seq;
    if (h.user)
      state.user = value{*h.user};
    if (h.forked_from) {
      const auto& [name_space, kind, id, at] = *h.forked_from;
      state.forked_from = std::make_shared<const lineage>(lineage{{name_space, kind, id}, at});
    }
    state.redo = h.redo;
    state.extra = h.extra.value_or(value{});
    missing_entries_ = h.entries;
    missing_items_ = h.items;
    last_key_.clear();
    done_.push_back(std::move(one));
    return {};
  }

  /// Behind an entity's last entry: what no single one shows.
  expected<void> check_entries() {
    if (missing_entries_ > 0)
      return {};
    std::vector<node_definition> nodes;
    for (auto& one : nodes_of(done_.back().state))
      nodes.push_back({std::move(one.id), std::move(one.after)});
    if (auto ok = internal::check_graph(nodes); !ok) {
      auto refused = std::move(ok.error());  // its path is none of a document
      refused.message += " (" + refused.path + " in order of position)";
      refused.path = "/value/after";
      return tl::unexpected(std::move(refused));
    }
    return {};
  }

  /// What a checkpoint pins has been.
  expected<void> check_pinned(const entry_document& one) const {
    const auto revision = one.data.view().find("revision");
    const auto pinned = revision ? revision->as_uint64().value_or(0) : 0;
    if (pinned == 0 || pinned > done_.back().state.revision)
      return fail(errc::invalid_value, "a checkpoint pins a revision of its entity",
                  "/value/revision");
    return {};
  }

  static expected<void> check_numbers(const header_document& h) {
    if (h.status == lifecycle::live) {
      if (h.first_revision == 0 || h.content_revision < h.first_revision
          || h.revision < h.content_revision)
        return fail(errc::invalid_value,
                    "1 <= first_revision <= content_revision <= revision does not hold",
                    "/revision");
    } else if ((h.entries | h.items | h.last_seq) != 0 || !h.redo.is_null() || h.user
               || h.forked_from) {
      return fail(errc::invalid_value, "only a live entity holds anything", "/status");
    } else if (h.status == lifecycle::absent
                   ? (h.revision | h.first_revision | h.content_revision) != 0 || h.created_ms != 0
                         || h.last_activity_ms != 0
                   : h.revision == 0 || h.first_revision > h.revision
                         || h.content_revision > h.revision) {
      return fail(errc::invalid_value, "no entity of this status has such revisions", "/revision");
    }
    if (h.revision > max_number)
      return fail(errc::invalid_value, "revisions end at 2^63 - 1", "/revision");
    if (h.last_seq > max_number)
      return fail(errc::invalid_value, "numbers of items end at 2^63 - 1", "/last_seq");
    return check_redo(h);
  }

  static expected<void> check_origin(const header_document& h) {
    if (h.user) {
      if (auto ok = internal::check_name(*h.user, "/user"); !ok)
        return ok;
    }
    if (!h.forked_from)
      return {};
    if (auto ok = internal::check_name(h.forked_from->name_space, "/forked_from/namespace"); !ok)
      return ok;
    return internal::check_name(h.forked_from->id, "/forked_from/id");
  }

  static expected<void> check_redo(const header_document& h) {
    if (h.redo.is_null())
      return {};
    const auto stack = from_value<std::vector<std::uint64_t>>(h.redo);
    if (!stack)
      return internal::inside(stack.error(), "redo");
    if (stack->empty() || stack->size() > max_redo
        || std::any_of(stack->begin(), stack->end(),
                       [&](std::uint64_t to) { return to == 0 || to > h.revision; }))
      return fail(errc::invalid_value, "redo goes to 1 to 1,000 revisions that there are", "/redo");
    return {};
  }

  expected<void> add(entry_document one) {
    auto& state = done_.back().state;
    if (!has_section(state.kind, one.in))
      return fail(errc::wrong_scope,
                  "a " + std::string{to_string(state.kind)} + " has no such section", "/in");
    if (auto ok = internal::check_entry(one); !ok)
      return ok;
    auto stored_key = entry_key{one.in, one.key}.str();
    if (stored_key <= last_key_)
      return fail(errc::invalid_value, "entries ascend by section and key, each stands once",
                  "/key");
    if (one.revision == 0 || one.revision > state.revision)
      return fail(errc::invalid_value, "an entry's revision is one of its entity's", "/revision");
    if (one.in == section::checkpoints) {
      if (auto ok = check_pinned(one); !ok)
        return ok;
    }
    in_section_ = !last_key_.empty() && section_of(last_key_) == one.in ? in_section_ + 1 : 1;
    if (in_section_ > rules_of(one.in).most)
      return internal::refuse_beyond(errc::too_many_elements,
                                     "too many " + std::string{rules_of(one.in).name},
                                     rules_of(one.in).most, "/key");
    last_key_ = stored_key;
    (rules_of(one.in).forks ? state.entry_bytes : state.own_bytes) +=
        one.key.size() + one.data.bytes().size();
    state.entries_of(one.in).set(std::move(stored_key),
                                 entry{std::move(one.data), one.revision, {one.expires_ms}});
    --missing_entries_;
    if (auto ok = check_bytes(state); !ok)
      return ok;
    return check_entries();
  }

  expected<void> add(item_document one) {
    auto& [ref, state] = done_.back();
    if (auto ok = internal::check_map("an item", one.item, "/fields"); !ok)
      return ok;
    if (ref.kind == entity_kind::team) {
      if (auto ok = from_value<team_message>(one.item, unknown_members::refused); !ok)
        return internal::inside(std::move(ok.error()), "fields");
    } else {
      for (const std::string field : {"seq", "at"}) {
        if (one.item.view().find(field))
          return fail(errc::reserved_field, "'" + field + "' belongs to Troupe",
                      "/fields/" + field);
      }
    }
    if (one.seq <= state.items.last_seq())
      return fail(errc::invalid_value, "numbers of items ascend from 1 on", "/seq");
    if (one.seq > state.last_seq)
      return fail(errc::invalid_value,
                  "last_seq of the header is " + std::to_string(state.last_seq), "/seq");
    state.items.append(one.seq, {one.at_ms}, one.item);
    --missing_items_;
    return check_bytes(state);
  }

  [[nodiscard]] expected<void> check_bytes(const entity_state& state) const {
    if (state.bytes() <= limits_.entity_bytes)
      return {};
    return internal::refuse_beyond(errc::quota_exceeded,
                                   "an entity holds at most so many bytes of items, keys, values",
                                   limits_.entity_bytes);
  }

  import_limits limits_;
  std::vector<exported_entity> done_;
  std::set<entity_ref> refs_;
  // Of the newest entity:
  std::uint64_t missing_entries_ = 0, missing_items_ = 0;
  std::string last_key_;
  std::size_t in_section_ = 0;  // entries of the section that `last_key_` stands in
};

unexpected at_document(std::string_view unit, std::size_t number, error below) {
  below.message.insert(0, std::string{unit} + ' ' + std::to_string(number) + ": ");
  return unexpected{std::move(below)};
}

limits budget_of(const import_limits& limits) {
  return {.bytes = limits.document_bytes, .depth = document_depth, .elements = 4'000'000};
}

}  // namespace

expected<std::vector<exported_entity>> import_jsonl(std::string_view text,
                                                    const import_limits& limits) {
  importer all{limits};
  std::size_t number = 0;
  while (!text.empty()) {
    ++number;
    const auto line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    if (line.find_first_not_of(" \t\r") == std::string_view::npos)
      continue;
    auto read = value_from_json(line, budget_of(limits))
                    .and_then([](const value& x) { return internal::without_binary_tags(x); })
                    .and_then([&](const value& x) { return all.take(x); });
    if (!read)
      return at_document("line", number, std::move(read.error()));
  }
  auto done = all.finish();
  if (!done)
    return at_document("line", number, std::move(done.error()));
  return done;
}

expected<std::vector<exported_entity>> import_msgpack(std::string_view bytes,
                                                      const import_limits& limits) {
  importer all{limits};
  const auto budget = budget_of(limits);
  std::size_t number = 0;
  while (!bytes.empty()) {
    ++number;
    // Where the document ends; 0 when it is none, and reading it says why.
    const auto size = internal::well_formed_extent(bytes, document_depth);
    auto document = value_from_msgpack(bytes.substr(0, size == 0 ? bytes.size() : size), budget);
    if (document && size == 0)
      document = fail(errc::malformed, "this is no msgpack that Troupe writes");
    auto read = document.and_then([&](const value& x) { return all.take(x); });
    if (!read)
      return at_document("document", number, std::move(read.error()));
    bytes.remove_prefix(size);
  }
  auto done = all.finish();
  if (!done)
    return at_document("document", number, std::move(done.error()));
  return done;
}

}  // namespace troupe
