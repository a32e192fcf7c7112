#include <troupe/persistence/internal/journal_impl.hpp>
#include <troupe/persistence/journal_store.hpp>

#include <utility>

namespace troupe {

namespace {

using internal::data_directory;

errc code_of(const lmdb::failure& what) {
  return what.kind() == lmdb::failure_kind::full ? errc::store_full : errc::store_failed;
}

/// Makes a complete store beside its final place and moves it there.
expected<void> create_store(data_directory& directory) {
  std::error_code ec;
  std::filesystem::remove_all(directory.creating(), ec);
  if (!std::filesystem::create_directory(directory.creating(), ec))
    return fail(errc::store_failed,
                "cannot create " + directory.creating().string() + ": " + ec.message());
  {
    auto env = lmdb::environment::open(directory.creating(), 16ULL << 20);
    internal::create_layout(env);
  }
  return directory.adopt_created();
}

expected<std::unique_ptr<journal_store::impl>> open_store(data_directory directory,
                                                          const journal_options& options,
                                                          fold_function fold) {
  if (!directory.has_store())
    if (auto done = create_store(directory); !done)
      return unexpected{done.error()};
  if (auto done = directory.prepare_to_open(); !done)
    return unexpected{done.error()};
  std::error_code ec;
  std::filesystem::remove_all(directory.replacing(), ec);  // of a tool that was killed
  auto env = lmdb::environment::open(directory.path(), options.map_bytes);
  auto out = std::make_unique<journal_store::impl>(std::move(directory), std::move(env), options,
                                                   std::move(fold));
  if (auto done = out->directory.sync(); !done)
    return unexpected{done.error()};
  if (auto done = out->replay(); !done)
    return unexpected{done.error()};
  return out;
}

}  // namespace

expected<journal_store> journal_store::open(const std::filesystem::path& directory,
                                            const journal_options& options, fold_function fold) {
  auto owned = data_directory::acquire(directory);
  if (!owned)
    return unexpected{owned.error()};
  const auto name = owned->path().string() + ": ";
  try {
    auto opened = open_store(std::move(*owned), options, std::move(fold));
    if (!opened)
      return unexpected{error{opened.error().code, name + opened.error().message}};
    return journal_store{std::move(*opened)};
  } catch (const lmdb::failure& what) {
    const bool broken =
        what.kind() == lmdb::failure_kind::fatal && what.code() < 0;  // LMDB's own codes
    return fail(broken ? errc::damaged : code_of(what), name + what.what());
  }
}

journal_store::journal_store(std::unique_ptr<impl> self) : impl_{std::move(self)} {}
journal_store::journal_store(journal_store&&) noexcept = default;
journal_store& journal_store::operator=(journal_store&&) noexcept = default;
journal_store::~journal_store() = default;

namespace {

/// The border: nothing is answered after an I/O error, and none leaves as an exception.
template <class F>
auto guarded(journal_store::impl& self, F call) -> decltype(call()) {
  if (self.failure)
    return fail(errc::store_failed, "the store stopped: " + self.failure->message);
  try {
    return call();
  } catch (const lmdb::failure& what) {
    if (what.kind() == lmdb::failure_kind::fatal)
      return unexpected{self.stop(errc::store_failed, what.what())};
    return fail(code_of(what), what.what());
  }
}

}  // namespace

error journal_store::impl::stop(errc code, std::string message) {
  if (!failure)
    failure = error{code, std::move(message)};
  return {code, failure->message};
}

void journal_store::impl::finish(lmdb::transaction& txn) {
  const auto before = txn.id() - 1;
  try {
    txn.commit();
  } catch (const lmdb::failure& what) {
    if (what.kind() == lmdb::failure_kind::fatal || !env.still_at(before))
      stop(errc::outcome_unknown, what.what());
    throw;
  }
}

expected<stored_entity> journal_store::load(const entity_ref& entity) {
  return guarded(*impl_, [&] { return impl_->load(entity); });
}

expected<stored_entity> journal_store::load_at(const entity_ref& entity, std::uint64_t revision) {
  return guarded(*impl_, [&] { return impl_->load_at(entity, revision); });
}

expected<void> journal_store::materialise(const entity_ref& entity) {
  return guarded(*impl_, [&] { return impl_->materialise(entity); });
}

expected<bool> journal_store::compact(std::uint64_t keep_from) {
  return guarded(*impl_, [&] { return impl_->compact(keep_from); });
}

expected<listing> journal_store::list(const list_request& request) {
  return guarded(*impl_, [&] { return impl_->list(request); });
}

expected<void> journal_store::adopt(std::span<const adopted_entity> entities) {
  return guarded(*impl_, [&] { return impl_->adopt(entities); });
}

expected<bool> journal_store::materialise() {
  return guarded(*impl_, [&] { return impl_->materialise(); });
}

expected<void> journal_store::for_each_entity(
    const std::function<bool(const entity_ref& entity, std::uint64_t sequence)>& next) {
  return guarded(*impl_, [&] { return impl_->for_each_entity(next); });
}

expected<void> journal_store::for_each_record(
    std::uint64_t from, std::uint64_t to,
    const std::function<bool(const journal_record& record)>& next) {
  return guarded(*impl_, [&] { return impl_->for_each_record(from, to, next); });
}

std::vector<expected<commit_receipt>> journal_store::commit(
    std::span<const commit_request> requests) {
  if (!impl_->failure)
    return impl_->commit(requests);
  return {requests.size(),
          expected<commit_receipt>{
              fail(errc::store_failed, "the store stopped: " + impl_->failure->message)}};
}

store_stats journal_store::stats() const {
  return {.position = impl_->position,
          .materialised = impl_->watermark,
          .first = impl_->first,
          .covered_bytes = impl_->covered,
          .tail_bytes = impl_->tail_bytes,
          .commits = impl_->commits,
          .changes = impl_->committed};
}

const journal_options& journal_store::options() const noexcept {
  return impl_->options;
}

const error* journal_store::failed() const noexcept {
  return impl_->failure ? &*impl_->failure : nullptr;
}

}  // namespace troupe
