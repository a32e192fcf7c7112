#include <troupe/persistence/internal/bytes.hpp>
#include <troupe/persistence/internal/journal_impl.hpp>

#include <algorithm>

namespace troupe {

namespace {

constexpr std::size_t before_id = sizeof(internal::namespace_hash) + 1;

}  // namespace

/// Walks the entities behind a key in order of their keys: those that have a record, merged with
/// those that have a tail.
class journal_store::impl::entity_walk {
public:
  struct step {
    std::string_view key;
    const internal::tail_index::node* tail;  ///< null: there is none
  };

  entity_walk(impl& self, lmdb::transaction& txn, std::string_view from)
      : tails_{self.index.sorted()},
        records_{txn, self.dbs.entities} {
    tail_ = std::lower_bound(tails_.begin(), tails_.end(), from,
                             [](const auto* x, std::string_view key) { return x->key() < key; });
    record_ = from.empty() ? records_.first() : records_.seek(from);
  }

  /// The next entity, or nothing at the end.
  std::optional<step> next() {
    if (!record_ && tail_ == tails_.end())
      return {};
    const bool only_tail = !record_ || (tail_ != tails_.end() && (*tail_)->key() < record_->key);
    if (only_tail)
      return step{(*tail_)->key(), *std::exchange(tail_, std::next(tail_))};
    step out{record_->key, nullptr};
    if (tail_ != tails_.end() && (*tail_)->key() == record_->key)
      out.tail = *std::exchange(tail_, std::next(tail_));
    record_ = records_.next();
    return out;
  }

private:
  std::vector<const internal::tail_index::node*> tails_;
  std::vector<const internal::tail_index::node*>::const_iterator tail_;
  lmdb::cursor records_;
  std::optional<lmdb::entry> record_;
};

/// An entity with a tail is folded for its header; that of any other stands in its record.
expected<entity_header> journal_store::impl::header_of(lmdb::transaction& txn, entity_kind kind,
                                                       std::string_view key,
                                                       const internal::tail_entry* tail) {
  if (tail == nullptr) {
    const auto known = read_known(txn, key, internal::verify::checksum);
    return known ? decode_header(known->header) : unexpected{known.error()};
  }
  const auto stored = internal::read_entity(txn, dbs, key, tail);
  if (!stored)
    return unexpected{stored.error()};
  const auto made = fold(kind, stored->parts);
  return made ? decode_header(made->parts.header) : unexpected{made.error()};
}

expected<listing> journal_store::impl::list(const list_request& request) {
  const auto limit = std::clamp<std::size_t>(request.limit, 1, max_listed);
  const auto look_at = std::max<std::size_t>(request.look_at, 1);
  const auto prefix =
      internal::entity_key(name_spaces.hash_of(request.name_space), request.kind, "");
  const auto after = prefix + request.after;
  settle();
  auto txn = lmdb::transaction::read(env);
  entity_walk walk{*this, txn, after};
  listing out;
  std::string id;
  for (std::size_t looked = 0;;) {
    const auto at = walk.next();
    if (!at || !at->key.starts_with(prefix))
      return out;
    if (at->key == after && !request.including)
      continue;
    if (out.rows.size() == limit || looked++ == look_at) {
      out.next = std::move(id);
      return out;
    }
    id = at->key.substr(before_id);
    auto header =
        header_of(txn, request.kind, at->key, at->tail == nullptr ? nullptr : &at->tail->value);
    if (!header)
      return fail(header.error().code, "the header of " + id + ": " + header.error().message);
    if (request.wanted ? request.wanted(*header) : header->live())
      out.rows.push_back({id, *std::move(header)});
  }
}

expected<void> journal_store::impl::for_each_entity(
    const std::function<bool(const entity_ref&, std::uint64_t)>& next) {
  settle();  // so that none of the loads that `next` makes has to
  auto txn = lmdb::transaction::read(env);
  entity_walk walk{*this, txn, ""};
  while (const auto at = walk.next()) {
    if (at->key.size() <= before_id)
      return fail(errc::damaged, "an entity's key is too short");
    const auto what = internal::split_entity_key(at->key);
    auto name = name_spaces.name_of(txn, dbs, what.name_space);
    if (!name)
      return fail(name.error().code, std::string{what.id} + ": " + name.error().message);
    auto sequence = at->tail == nullptr ? 0 : at->tail->value.newest.sequence;
    if (at->tail == nullptr) {
      const auto known = read_known(txn, at->key, internal::verify::header);
      if (!known)
        return unexpected{known.error()};
      sequence = known->revision;
    }
    if (!next({std::move(*name), what.kind, std::string{what.id}}, sequence))
      break;
  }
  return {};
}

}  // namespace troupe
