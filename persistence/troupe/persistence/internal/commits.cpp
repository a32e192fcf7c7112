#include <troupe/persistence/internal/commits.hpp>

#include <limits>
#include <utility>

namespace troupe::internal {

namespace {

/// How much one slice has looked at.
class budget {
public:
  [[nodiscard]] bool spent() const {
    return changes_ >= max_slice_changes || bytes_ >= max_slice_bytes;
  }
  void look(const journal_record& at) {
    ++changes_;
    bytes_ += at.payload.size();
  }

private:
  std::size_t changes_ = 0, bytes_ = 0;
};

change_slice::row row_of(const journal_record& record) {
  return {record.entity, record.position, record.part,
          record.parts,  record.sequence, std::string{record.payload}};
}

expected<change_slice> read_one(store& from, const entity_ref& entity, std::uint64_t after,
                                change_slice out) {
  out.through = out.newest = after;
  budget looked;
  const auto done = from.for_each_change(entity, after, [&](const journal_record& record) {
    if (looked.spent()) {
      out.more = true;
      return false;
    }
    looked.look(record);
    out.rows.push_back(row_of(record));
    out.through = out.newest = record.sequence;
    return true;
  });
  if (done)
    return out;
  if (done.error().code != errc::revision_gone)
    return unexpected{done.error()};
  out.kept = false;
  out.newest = done.error().current_revision.value_or(0);
  return out;
}

/// Ends between two records only: what is made together is read together.
expected<change_slice> read_all(store& from, const read_changes& request, change_slice out) {
  out.kept = *request.after <= out.position && *request.after + 1 >= from.stats().first;
  if (!out.kept)
    return out;
  out.through = *request.after;
  budget looked;
  const auto done =
      from.for_each_record(*request.after + 1, out.position, [&](const journal_record& record) {
        if (looked.spent() && record.position != out.through) {
          out.more = true;
          return false;
        }
        looked.look(record);
        if (!request.wanted || request.wanted(record.entity))
          out.rows.push_back(row_of(record));
        out.through = record.position;
        return true;
      });
  if (!done)
    return unexpected{done.error()};
  return out;
}

}  // namespace

void tell_commits(commit_feed& feed, std::uint64_t before, const store_stats& now,
                  std::span<commit_request> requests,
                  std::span<const expected<commit_receipt>> results) {
  if (now.position == before)
    return;
  committed_batch out;
  out.epoch = now.epoch;
  out.after = before;
  out.through = now.position;
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < requests.size(); ++i)
    if (results[i])
      bytes += requests[i].payload.size();
  out.complete = feed.bytes + bytes <= commit_feed::max_bytes;
  for (std::size_t i = 0; i < requests.size() && out.complete;) {
    const auto parts = requests[i].together + 1;
    for (std::uint32_t part = 0; part < parts; ++part, ++i)
      if (results[i])
        out.changes.push_back({std::move(requests[i]), results[i]->position, part, parts});
  }
  if (out.complete)
    feed.bytes += bytes;
  feed.tell(std::move(out));
}

expected<change_slice> read_slice(store& from, const read_changes& request) {
  change_slice out;
  out.epoch = from.stats().epoch;
  out.position = out.through = from.stats().position;
  if (!request.after)
    return out;
  if (request.of)
    return read_one(from, *request.of, *request.after, std::move(out));
  return read_all(from, request, std::move(out));
}

}  // namespace troupe::internal
