#include <troupe/messages/messages.hpp>
#include <troupe/persistence/internal/record.hpp>
#include <troupe/persistence/memory_store.hpp>

#include <algorithm>
#include <deque>
#include <map>
#include <utility>

namespace troupe {

struct memory_store::impl {
  struct entity {
    std::uint64_t sequence = 0;
    std::uint64_t base = 0;  // revision that `begins` is at
    stored_parts begins;
    std::vector<std::string> changes;  // of base + 1, base + 2 ...
    std::vector<std::string> answers;  // of earlier lives of its id
  };
  struct record {
    std::uint64_t position;
    entity_ref entity;
    std::uint64_t sequence;
    std::string payload;
    std::uint32_t part, parts;
  };
  /// As the journal's: namespaces in the order of their hashes.
  struct by_key {
    bool operator()(const entity_ref& a, const entity_ref& b) const { return key(a) < key(b); }
    static std::string key(const entity_ref& x) {
      return internal::entity_key(internal::hash_namespace(x.name_space), x.kind, x.id);
    }
  };

  fold_function fold;
  journal_options options;
  std::map<entity_ref, entity, by_key> entities;
  std::deque<record> journal;
  std::uint64_t position = 0;
  std::uint64_t watermark = 0;
  std::uint64_t commits = 0;

  expected<void> check(const commit_request& request) const {
    for (const auto* name : {&request.entity.id, &request.entity.name_space})
      if (name->empty() || name->size() > max_id_bytes)
        return fail(errc::bad_id, "an id and a namespace have 1 to 256 bytes");
    const auto found = entities.find(request.entity);
    const auto stored = found == entities.end() ? 0 : found->second.sequence;
    if (request.base ? request.sequence > stored : request.sequence == stored + 1)
      return {};
    return unexpected{error{errc::store_failed,
                            "change " + std::to_string(request.sequence) + " of "
                                + to_string(request.entity)
                                + " does not follow the stored revision " + std::to_string(stored),
                            {},
                            stored}};
  }

  /// An id that becomes a fork keeps of its earlier life what it answered, and nothing else.
  void keep_answers(entity_kind kind, entity& of) const {
    if (of.changes.empty())
      return;
    auto parts = of.begins;
    parts.changes = of.changes;
    if (const auto made = fold(kind, parts))
      for (const auto& one : made->answers)
        of.answers.push_back(one.answer);
  }

  void write(const commit_request& request, std::size_t part, std::size_t parts) {
    auto& to = entities[request.entity];
    if (request.base) {
      keep_answers(request.entity.kind, to);
      const auto& chunks = request.base->chunks;
      to.begins = {request.base->body, {chunks.begin(), chunks.end()}, {}};
      to.base = request.sequence - 1;
      to.changes.clear();
    }
    to.sequence = request.sequence;
    to.changes.push_back(request.payload);
    journal.push_back({position, request.entity, request.sequence, request.payload,
                       static_cast<std::uint32_t>(part), static_cast<std::uint32_t>(parts)});
  }
};

memory_store::memory_store(fold_function fold, const journal_options& options)
    : impl_{std::make_unique<impl>()} {
  impl_->fold = std::move(fold);
  impl_->options = options;
}
memory_store::memory_store(memory_store&&) noexcept = default;
memory_store& memory_store::operator=(memory_store&&) noexcept = default;
memory_store::~memory_store() = default;

std::vector<expected<commit_receipt>> memory_store::commit(
    std::span<const commit_request> requests) {
  std::vector<expected<commit_receipt>> out;
  while (!requests.empty()) {
    const auto group = requests.first(
        std::min<std::size_t>(requests.size(), std::size_t{1} + requests.front().together));
    expected<void> fine;
    for (std::size_t i = 0; i < group.size() && fine; ++i) {
      fine = impl_->check(group[i]);
      for (std::size_t k = 0; k < i && fine; ++k)
        if (group[k].entity == group[i].entity)
          fine = fail(errc::store_failed, "a set names " + to_string(group[i].entity) + " twice");
    }
    if (fine) {
      ++impl_->position;
      for (std::size_t i = 0; i < group.size(); ++i)
        impl_->write(group[i], i, group.size());
      out.resize(out.size() + group.size(), commit_receipt{impl_->position});
    } else {
      out.resize(out.size() + group.size(), unexpected{fine.error()});
    }
    requests = requests.subspan(group.size());
  }
  ++impl_->commits;
  return out;
}

expected<stored_entity> memory_store::load(const entity_ref& entity) {
  if (entity.id.empty() || entity.id.size() > max_id_bytes)
    return fail(errc::bad_id, "an id has 1 to 256 bytes");
  const auto found = impl_->entities.find(entity);
  if (found == impl_->entities.end())
    return stored_entity{};
  stored_entity out{found->second.begins, found->second.sequence, found->second.answers};
  out.parts.changes = found->second.changes;
  return out;
}

expected<stored_entity> memory_store::load_at(const entity_ref& entity, std::uint64_t revision) {
  auto out = load(entity);
  if (!out)
    return out;
  const auto base = out->sequence - out->parts.changes.size();
  if (revision <= base || revision > out->sequence)
    return fail(errc::revision_gone, "revision " + std::to_string(revision) + " is not kept");
  out->parts.changes.resize(revision - base);
  out->sequence = revision;
  return out;
}

expected<bool> memory_store::materialise() {
  impl_->watermark = impl_->position;
  return false;
}

expected<void> memory_store::materialise(const entity_ref&) {
  return {};
}

expected<bool> memory_store::compact(std::uint64_t, std::optional<std::uint64_t>) {
  return false;
}

expected<listing> memory_store::list(const list_request& request) {
  const auto limit = std::clamp<std::size_t>(request.limit, 1, max_listed);
  const auto look_at = std::max<std::size_t>(request.look_at, 1);
  std::size_t looked = 0;
  listing out;
  std::string looked_at;
  for (const auto& [ref, stored] : impl_->entities) {
    const bool behind = ref.id > request.after || (request.including && ref.id == request.after);
    if (ref.name_space != request.name_space || ref.kind != request.kind || !behind)
      continue;
    if (out.rows.size() == limit || looked++ == look_at) {
      out.next = std::move(looked_at);
      return out;
    }
    auto parts = stored.begins;
    parts.changes = stored.changes;
    const auto made = impl_->fold(ref.kind, parts);
    auto header = made ? decode_header(made->parts.header) : unexpected{made.error()};
    if (!header)
      return fail(header.error().code, "the header of " + ref.id + ": " + header.error().message);
    if (request.wanted ? request.wanted(*header) : header->live())
      out.rows.push_back({ref.id, *std::move(header)});
    looked_at = ref.id;
  }
  return out;
}

expected<void> memory_store::for_each_entity(
    const std::function<bool(const entity_ref&, std::uint64_t)>& next) {
  for (const auto& [ref, stored] : impl_->entities)
    if (!next(ref, stored.sequence))
      break;
  return {};
}

expected<void> memory_store::for_each_record(
    std::uint64_t from, std::uint64_t to, const std::function<bool(const journal_record&)>& next) {
  for (const auto& record : impl_->journal) {
    if (record.position < from)
      continue;
    if (record.position > to
        || !next({record.position, record.sequence, 1, 0, record.entity, record.payload,
                  record.part, record.parts}))
      break;
  }
  return {};
}

expected<store_stats> memory_store::full_stats() {
  auto out = stats();
  out.entities = impl_->entities.size();
  return out;
}

expected<void> memory_store::for_each_change(
    const entity_ref& entity, std::uint64_t after,
    const std::function<bool(const journal_record&)>& next) {
  const auto found = impl_->entities.find(entity);
  const auto newest = found == impl_->entities.end() ? 0 : found->second.sequence;
  if (after > newest)
    return unexpected{
        error{errc::revision_gone,
              to_string(entity) + " has not come to revision " + std::to_string(after),
              {},
              newest}};
  for (const auto& record : impl_->journal)
    if (record.entity == entity && record.sequence > after
        && !next({record.position, record.sequence, 1, 0, record.entity, record.payload}))
      break;
  return {};
}

store_stats memory_store::stats() const {
  return {.position = impl_->position,
          .materialised = impl_->watermark,
          .first = 1,
          .covered_bytes = 0,
          .tail_bytes = 0,
          .commits = impl_->commits,
          .changes = impl_->journal.size(),
          .epoch = 1};
}

const journal_options& memory_store::options() const noexcept {
  return impl_->options;
}

bool memory_store::short_of_room() const noexcept {
  return false;
}

const error* memory_store::failed() const noexcept {
  return nullptr;
}

}  // namespace troupe
