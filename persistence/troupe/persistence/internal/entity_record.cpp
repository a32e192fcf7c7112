#include <troupe/persistence/internal/bytes.hpp>
#include <troupe/persistence/internal/entity_record.hpp>

#include <algorithm>

namespace troupe::internal {

namespace {

template <std::unsigned_integral T>
void append_le(std::string& out, T number) {
  const auto at = out.size();
  out.resize(at + sizeof(T));
  put_le(out.data() + at, number);
}

/// Reads numbers off the front; after the first that is not there, all are 0 and `ok` is false.
class number_reader {
public:
  explicit number_reader(std::string_view& from) : from_{from} {}

  template <std::unsigned_integral T>
  T take() {
    if (from_.size() < sizeof(T)) {
      ok_ = false;
      return 0;
    }
    const auto out = get_le<T>(from_.data());
    from_.remove_prefix(sizeof(T));
    return out;
  }
  /// How many of `bytes` each follow: never more than there are.
  std::size_t count(std::size_t bytes) {
    const auto out = take<std::uint32_t>();
    ok_ = ok_ && out <= from_.size() / bytes;
    return ok_ ? out : 0;
  }
  [[nodiscard]] bool ok() const { return ok_; }

private:
  std::string_view& from_;
  bool ok_ = true;
};

}  // namespace

std::string encode(const entity_head& head) {
  std::string out;
  append_le(out, head.position);
  append_le(out, head.base);
  append_le(out, head.first_revision);
  append_le(out, std::uint8_t{head.owns_log});
  append_le(out, static_cast<std::uint32_t>(head.logs.size()));
  for (const auto log : head.logs)
    append_le(out, log);
  return out;
}

expected<entity_head> take_head(std::string_view& payload) {
  number_reader in{payload};
  entity_head out;
  out.position = in.take<std::uint64_t>();
  out.base = in.take<std::uint64_t>();
  out.first_revision = in.take<std::uint64_t>();
  out.owns_log = in.take<std::uint8_t>() != 0;
  out.logs.resize(in.count(sizeof(std::uint64_t)));
  for (auto& log : out.logs)
    log = in.take<std::uint64_t>();
  if (!in.ok() || (out.owns_log && out.logs.empty()))
    return fail(errc::damaged, "it is cut off");
  return out;
}

std::string encode(std::span<const chunk_ref> chunks) {
  std::string out;
  std::uint32_t runs = 0;
  append_le(out, runs);
  for (auto at = chunks.begin(); at != chunks.end(); ++runs) {
    const auto end =
        std::find_if(at, chunks.end(), [&](const auto& x) { return x.log != at->log; });
    append_le(out, at->log);
    append_le(out, static_cast<std::uint32_t>(end - at));
    for (; at != end; ++at)
      append_le(out, at->check);
  }
  put_le(out.data(), runs);
  return out;
}

expected<chunk_list> take_chunks(std::string_view& payload) {
  number_reader in{payload};
  chunk_list out;
  for (auto runs = in.count(sizeof(std::uint64_t) + sizeof(std::uint32_t)); runs > 0; --runs) {
    const auto log = in.take<std::uint64_t>();
    for (auto left = in.count(sizeof(std::uint32_t)); left > 0; --left)
      out.push_back({log, in.take<std::uint32_t>()});
  }
  if (!in.ok())
    return fail(errc::damaged, "its list of chunks is cut off");
  return out;
}

kept_versions plan_versions(std::span<const std::uint64_t> bodies, std::uint64_t newest,
                            std::uint64_t first_revision, std::uint64_t keep_from,
                            std::uint64_t kept_back, std::span<const std::uint64_t> pins) {
  kept_versions out{.revisions = {}, .base = first_revision == 0 ? 0 : first_revision - 1};
  for (const auto body : bodies)
    if (body <= keep_from && body > out.base)
      out.base = body;
  if (keep_from >= newest)
    out.base = newest;
  const auto promised = std::max(kept_back, newest - std::min(newest, keep_from));
  const auto spacing = std::max<std::uint64_t>(1, promised / 2);
  auto last = out.base;
  for (const auto body : bodies) {
    const bool pinned =
        body >= first_revision && std::binary_search(pins.begin(), pins.end(), body);
    const bool next_base = body > out.base && body - last >= spacing;
    if (body != out.base && !pinned && !next_base)
      continue;
    out.revisions.push_back(body);
    last = std::max(last, body);
  }
  return out;
}

}  // namespace troupe::internal
