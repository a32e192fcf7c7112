#include <troupe/messages/messages.hpp>
#include <troupe/persistence/internal/layout.hpp>
#include <troupe/persistence/internal/staging.hpp>
#include <troupe/persistence/internal/write_ahead_log.hpp>
#include <troupe/persistence/migrate.hpp>

#include <algorithm>
#include <optional>
#include <utility>

namespace troupe {

namespace fs = std::filesystem;

using internal::current_store_format;
using internal::data_directory;
using internal::staging;

namespace {

constexpr std::uint64_t batch_bytes = 8 << 20;  // of one transaction of the new store

expected<std::uint64_t> format_of(lmdb::environment& env) {
  auto txn = lmdb::transaction::read(env);
  const auto meta = txn.find_database("meta");
  if (!meta)
    return fail(errc::damaged, "the file is LMDB's, but no Troupe store");
  return internal::read_number(txn, *meta, internal::meta_key::format);
}

/// The steps from `format` to the current one.
expected<std::vector<const migration*>> chain_from(std::uint64_t format,
                                                   std::span<const migration> migrations) {
  std::vector<const migration*> out;
  for (auto at = format; at < current_store_format; ++at) {
    const auto step = std::ranges::find(migrations, at, &migration::from);
    if (step == migrations.end())
      return fail(errc::damaged, "the store has format " + std::to_string(format)
                                     + ", and this build has no migration from format "
                                     + std::to_string(at));
    out.push_back(&*step);
  }
  return out;
}

/// Entries on their way into a store that begins empty, one transaction for some MiB of them.
class entry_writer {
public:
  explicit entry_writer(const fs::path& directory)
      : env_{lmdb::environment::open(directory, journal_options{}.map_bytes)} {
    internal::create_layout(env_);
  }

  void write(const stored_entry& entry) {
    batch_.push_back(
        {std::string{entry.database}, std::string{entry.key}, std::string{entry.value}});
    bytes_ += entry.key.size() + entry.value.size();
    if (bytes_ >= batch_bytes)
      flush();
  }

  void flush() {
    env_.reserve(bytes_ + batch_.size() * 64);
    auto txn = lmdb::transaction::write(env_);
    for (const auto& [database, key, value] : batch_)
      txn.put(txn.create_database(database.c_str()), key, value);
    txn.commit();
    batch_.clear();
    bytes_ = 0;
  }

private:
  struct owned_entry {
    std::string database, key, value;
  };

  lmdb::environment env_;
  std::vector<owned_entry> batch_;
  std::uint64_t bytes_ = 0;
};

/// Reads a whole store and hands out what its entries become.
class rewriter {
public:
  rewriter(std::span<const migration* const> steps, const migration_options& options,
           migration_report& report, entry_writer* writer)
      : steps_{steps},
        options_{options},
        report_{report},
        writer_{writer} {}

  expected<void> run(lmdb::environment& env) {
    auto txn = lmdb::transaction::read(env);
    const auto names = txn.database_names();
    const auto& known = steps_.front()->databases;
    for (const auto& name : names)
      if (std::ranges::find(known, name) == known.end())
        return fail(errc::newer_format, "the store has a database that format "
                                            + std::to_string(steps_.front()->from)
                                            + " does not have: " + name);
    for (const auto& name : names)
      if (auto done = run(txn, name); !done)
        return done;
    if (writer_ != nullptr)
      writer_->flush();
    return {};
  }

private:
  expected<void> run(lmdb::transaction& txn, const std::string& database) {
    const auto handle = txn.find_database(database.c_str());
    if (!handle)
      return fail(errc::damaged, "the database " + database + " cannot be read");
    lmdb::cursor at{txn, *handle};
    for (auto entry = at.first(); entry; entry = at.next()) {
      ++report_.entries;
      if (options_.progress && !options_.progress(report_.entries, report_.entries))
        return fail(errc::store_failed, "given up; nothing has changed");
      if (database == "meta" && entry->key == internal::meta_key::format)
        continue;  // a new store has the current one
      const stored_entry before{database, entry->key, entry->value};
      bool same = false;
      std::size_t parts = 0;
      auto done = rewrite(0, before, [&](const stored_entry& after) {
        ++parts;
        same = after.database == before.database && after.key == before.key
               && after.value == before.value;
        if (writer_ != nullptr)
          writer_->write(after);
      });
      if (!done)
        return done;
      report_.changed += same && parts == 1 ? 0 : 1;
    }
    return {};
  }

  expected<void> rewrite(std::size_t step, const stored_entry& entry, const entry_sink& sink) {
    if (step == steps_.size()) {
      sink(entry);
      return {};
    }
    expected<void> deeper;
    auto done = steps_[step]->rewrite(entry, [&](const stored_entry& next) {
      if (deeper)
        deeper = rewrite(step + 1, next, sink);
    });
    return done ? deeper : done;
  }

  std::span<const migration* const> steps_;
  const migration_options& options_;
  migration_report& report_;
  entry_writer* writer_;
};

expected<migration_report> walk_current(const fs::path& directory, fold_function fold,
                                        migration_report report, const migration_options& options) {
  auto store = journal_store::open(directory, journal_options{}, std::move(fold));
  if (!store)
    return unexpected{store.error()};
  const auto walked = walk_store(*store, options.progress);
  if (!walked)
    return unexpected{walked.error()};
  report.entries = walked->entities + walked->records;
  return report;
}

/// Writes the new store beside the old one and puts it in its place.
expected<void> replace_store(data_directory directory, lmdb::environment env,
                             std::span<const migration* const> steps, fold_function fold,
                             const migration_options& options, migration_report& report) {
  auto made = staging::begin(directory.replacing());
  if (!made)
    return unexpected{made.error()};
  {
    entry_writer writer{made->path()};
    if (auto done = rewriter{steps, options, report, &writer}.run(env); !done)
      return done;
  }
  if (const auto walked = made->walk(std::move(fold), {}); !walked)
    return fail(
        walked.error().code,
        "the migrated store does not read back, so nothing has changed: " + walked.error().message);
  if (auto done = made->settle(); !done)
    return done;
  { const auto closed = std::move(env); }
  return directory.replace_data(made->data_file());  // still locked
}

expected<migration_report> migrate(data_directory directory, fold_function fold,
                                   const migration_options& options,
                                   std::span<const migration> migrations) {
  const auto path = directory.path();
  if (!directory.has_store())
    return fail(errc::damaged, path.string() + " holds no store of Troupe");
  if (auto done = directory.prepare_to_open(); !done)
    return unexpected{done.error()};
  auto env = lmdb::environment::open(path, journal_options{}.map_bytes);
  const auto format = format_of(env);
  if (!format)
    return unexpected{format.error()};
  migration_report out;
  out.format = *format;
  out.target = current_store_format;
  if (*format >= current_store_format) {
    {
      const auto closed = std::pair{std::move(env), std::move(directory)};
    }
    return walk_current(path, std::move(fold), std::move(out), options);  // refuses a newer one
  }
  if (const auto log = internal::bytes_of_log(path); !log || !log->empty())
    return log ? fail(errc::store_failed,
                      "its last owner did not close it: start it once with the "
                      "version that wrote it")
               : unexpected{log.error()};
  const auto steps = chain_from(*format, migrations);
  if (!steps)
    return unexpected{steps.error()};
  for (const auto* step : *steps)
    out.steps.push_back(step->what);
  const auto done = options.dry_run ? rewriter{*steps, options, out, nullptr}.run(env)
                                    : replace_store(std::move(directory), std::move(env), *steps,
                                                    std::move(fold), options, out);
  if (!done)
    return unexpected{done.error()};
  return out;
}

}  // namespace

std::span<const migration> registered_migrations() {
  return {};  // no store of a format before this build's is read yet
}

std::uint64_t written_store_format() noexcept {
  return current_store_format;
}

expected<migration_report> migrate_store(const fs::path& directory, fold_function fold,
                                         const migration_options& options,
                                         std::span<const migration> migrations) {
  if (std::error_code ec; !fs::is_directory(fs::symlink_status(directory, ec)))
    return fail(errc::damaged, directory.string() + " is no directory");
  auto owned = data_directory::acquire(directory);
  if (!owned)
    return unexpected{owned.error()};
  const auto name = owned->path().string() + ": ";
  try {
    auto out = migrate(std::move(*owned), std::move(fold), options, migrations);
    if (!out && !out.error().message.starts_with(name))
      return fail(out.error().code, name + out.error().message);
    return out;
  } catch (const lmdb::failure& what) {
    const bool full = what.kind() == lmdb::failure_kind::full;
    const bool broken = what.kind() == lmdb::failure_kind::fatal && what.code() < 0;
    return fail(full     ? errc::store_full
                : broken ? errc::damaged
                         : errc::store_failed,
                name + what.what());
  }
}

}  // namespace troupe
