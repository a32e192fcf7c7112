#include <troupe/persistence/internal/journal_impl.hpp>

#include <algorithm>

namespace troupe {

using internal::record_type;

void journal_store::impl::write_body(lmdb::transaction& txn, lmdb::dbi to, std::string_view key,
                                     internal::record what, std::string_view chunks,
                                     std::string_view body) {
  what.type = record_type::snapshot;
  const auto payload = std::string{chunks}.append(body);
  what.payload = payload;
  internal::encode_record(txn.reserve(to, key, internal::encoded_size(what)), key, what);
}

void journal_store::impl::write_known(lmdb::transaction& txn, std::string_view key,
                                      internal::record what, const internal::entity_head& head,
                                      std::string_view header) const {
  what.type = record_type::entity;
  const auto payload = encode(head).append(header);
  what.payload = payload;
  internal::encode_record(txn.reserve(dbs.entities, key, internal::encoded_size(what)), key, what);
}

}  // namespace troupe
