#include <troupe/persistence/internal/bytes.hpp>
#include <troupe/persistence/internal/census.hpp>
#include <troupe/persistence/internal/child.hpp>
#include <troupe/persistence/internal/journal_impl.hpp>
#include <troupe/persistence/journal_store.hpp>

#include <fcntl.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cstring>
#include <exception>
#include <stdexcept>
#include <utility>

namespace troupe {

namespace {

using internal::data_directory;

/// LMDB's own codes say that the file is none of its making, or broken.
errc code_of_open(const lmdb::failure& what) {
  const bool broken = what.kind() == lmdb::failure_kind::fatal && what.code() < 0;
  return broken ? errc::damaged : code_of(what);
}

std::uint64_t map_of(const journal_options& options) {
  return options.quota_bytes == 0 ? options.map_bytes
                                  : std::min(options.map_bytes, options.quota_bytes);
}

/// Makes a complete store beside its final place and moves it there.
expected<void> create_store(data_directory& directory, const journal_options& options) {
  std::error_code ec;
  std::filesystem::remove_all(directory.creating(), ec);
  if (!std::filesystem::create_directory(directory.creating(), ec))
    return fail(errc::store_failed,
                "cannot create " + directory.creating().string() + ": " + ec.message());
  {
    auto env =
        lmdb::environment::open(directory.creating(), map_of(options), options.reserve_bytes);
    internal::create_layout(env);
  }
  return directory.adopt_created();
}

/// What LMDB relies on when it writes, before it sees the file.
expected<void> check_pages(const data_directory& directory) {
  const auto data = directory.open_file("data.mdb", O_RDONLY);
  if (!data)
    return unexpected{data.error()};
  lmdb::page_file pages{data->get()};
  lmdb::check_start(pages);
  return {};
}

/// Opens the environment and replays the journal.
expected<std::unique_ptr<journal_store::impl>> open_environment(data_directory directory,
                                                                const journal_options& options,
                                                                fold_function fold) {
  auto env = lmdb::environment::open(directory.path(), map_of(options), options.reserve_bytes);
  auto wal = internal::write_ahead_log::open(directory, options.log_bytes);
  if (!wal)
    return unexpected{wal.error()};
  auto out = std::make_unique<journal_store::impl>(std::move(directory), std::move(env),
                                                   std::move(*wal), options, std::move(fold));
  if (auto done = out->replay(); !done)
    return unexpected{done.error()};
  return out;
}

expected<std::unique_ptr<journal_store::impl>> open_store(data_directory directory,
                                                          const journal_options& options,
                                                          fold_function fold) {
  const bool made = !directory.has_store();
  if (made)
    if (auto done = create_store(directory, options); !done)
      return unexpected{done.error()};
  if (auto done = directory.prepare_to_open(); !done)
    return unexpected{done.error()};
  std::error_code ec;
  std::filesystem::remove_all(directory.replacing(), ec);  // of a tool that was killed
  if (auto done = check_pages(directory); !done)
    return unexpected{done.error()};
  auto marks = internal::mark_file::open(directory);
  if (!marks)
    return unexpected{marks.error()};
  auto before = marks->read();
  if (!before)
    return unexpected{before.error()};
  if (made)
    *before = internal::commit_mark{.clean = true};
  const bool unclean = !*before || !(*before)->clean;  // a copy has no mark
  if (unclean && options.check_in_child) {
    const auto fine = internal::run_in_child([&]() -> expected<std::string> {
      try {
        auto replayed = open_environment(std::move(directory), options, fold);
        return replayed ? expected<std::string>{std::string{}} : unexpected{replayed.error()};
      } catch (const lmdb::failure& what) {
        return fail(code_of_open(what), what.what());
      }
    });
    if (!fine)
      return unexpected{fine.error()};
  }
  auto out = open_environment(std::move(directory), options, std::move(fold));
  if (!out)
    return out;
  if (auto done = (*out)->directory.sync(); !done)
    return unexpected{done.error()};
  if (auto done = (*out)->begin_mark(std::move(*marks), *before); !done)
    return unexpected{done.error()};
  if (*before && unclean)
    spdlog::warn("{} was not closed by its last owner; it is whole",
                 (*out)->directory.path().string());
  for (const auto& warning : (*out)->started.warnings)
    spdlog::warn("{}: {}", (*out)->directory.path().string(), warning);
  return out;
}

}  // namespace

expected<journal_store> journal_store::open(const std::filesystem::path& directory,
                                            const journal_options& options, fold_function fold) {
  auto owned = data_directory::acquire(directory, options.allow_remote_fs);
  if (!owned)
    return unexpected{owned.error()};
  const auto name = owned->path().string() + ": ";
  try {
    auto opened = open_store(std::move(*owned), options, std::move(fold));
    if (!opened)
      return unexpected{error{opened.error().code, name + opened.error().message}};
    return journal_store{std::move(*opened)};
  } catch (const lmdb::failure& what) {
    return fail(code_of_open(what), name + what.what());
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

lmdb::transaction journal_store::impl::begin_write() {
  auto out = lmdb::transaction::write(env);
  name_spaces.aborted();  // what one before it left that threw
  if (wal.empty())
    return out;
  lmdb::cursor journal{out, dbs.journal};
  for (const auto& [at, value] : wal.records())
    std::memcpy(journal.append(internal::be64(at), value.size()), value.data(), value.size());
  return out;
}

void journal_store::impl::settle() {
  if (wal.empty())
    return;
  env.reserve(wal.bytes(), lmdb::purpose::add);  // it was room for all when it was taken
  auto txn = begin_write();
  finish(txn);
}

void journal_store::impl::settle(std::string_view key) {
  if (const auto* known = index.find(key);
      known != nullptr && known->value.newest.position > settled())
    settle();
}

void journal_store::impl::close() noexcept {
  if (!mark_ || failure)
    return;
  try {
    settle();
    wal.truncate();
    if (const auto done = write_mark(true); !done)
      throw std::runtime_error{done.error().message};
  } catch (const std::exception& why) {
    spdlog::warn("the next start takes this end for an unclean one: {}", why.what());
  }
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
  wal.clear();
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

expected<bool> journal_store::compact(std::uint64_t keep_from,
                                      std::optional<std::uint64_t> kept_bytes) {
  return guarded(*impl_, [&] { return impl_->compact(keep_from, kept_bytes); });
}

expected<listing> journal_store::list(const list_request& request) {
  return guarded(*impl_, [&] { return impl_->list(request); });
}

expected<void> journal_store::adopt(std::span<const adopted_entity> entities) {
  return guarded(*impl_, [&] { return impl_->adopt(entities); });
}

expected<erasure> journal_store::erase(const entity_ref& entity) {
  return guarded(*impl_, [&] { return impl_->erase(entity); });
}

expected<bool> journal_store::materialise() {
  return guarded(*impl_, [&] { return impl_->materialise(); });
}

expected<std::unique_ptr<fold_job>> journal_store::begin_fold(const state_lookup& live) {
  return guarded(*impl_, [&] { return impl_->begin_fold(live); });
}

expected<bool> journal_store::end_fold(fold_job& job) {
  return guarded(*impl_, [&] { return impl_->end_fold(job); });
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

expected<void> journal_store::for_each_change(
    const entity_ref& entity, std::uint64_t after,
    const std::function<bool(const journal_record& record)>& next) {
  return guarded(*impl_, [&] { return impl_->for_each_change(entity, after, next); });
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
          .changes = impl_->committed,
          .folds = impl_->folded,
          .live_folds = impl_->folded_live,
          .epoch = impl_->epoch};
}

expected<store_stats> journal_store::full_stats() {
  return guarded(*impl_, [&]() -> expected<store_stats> {
    auto out = stats();
    auto txn = lmdb::transaction::read(impl_->env);
    // Those in both are not looked up: with few in one of the two, the other is nearly all of them.
    out.entities = std::max<std::uint64_t>(txn.entries(impl_->dbs.entities), impl_->index.tails());
    out.bytes = impl_->env.used_bytes();
    return out;
  });
}

const start_report& journal_store::started() const noexcept {
  return impl_->started;
}

bool journal_store::short_of_room() const noexcept {
  return impl_->env.short_of_room();
}

expected<std::uint64_t> journal_store::live_bytes() {
  return guarded(*impl_, [&]() -> expected<std::uint64_t> { return impl_->env.live_bytes(); });
}

const journal_options& journal_store::options() const noexcept {
  return impl_->options;
}

const error* journal_store::failed() const noexcept {
  return impl_->failure ? &*impl_->failure : nullptr;
}

}  // namespace troupe
