#include <troupe/persistence/cache_store.hpp>
#include <troupe/persistence/internal/bytes.hpp>
#include <troupe/persistence/internal/cache_record.hpp>
#include <troupe/persistence/internal/data_directory.hpp>
#include <troupe/persistence/internal/layout.hpp>
#include <troupe/persistence/internal/lmdb.hpp>

#include <spdlog/spdlog.h>

#include <cstring>
#include <fstream>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace troupe {

namespace {

using internal::be64;
using internal::data_directory;
using internal::get_be64;

constexpr std::uint64_t format = 1;
constexpr int max_ended_loads = 2;  // starts that ended while loading; then: thrown away

struct databases {
  lmdb::dbi meta = 0;
  lmdb::dbi entries = 0;  // position to record
  lmdb::dbi keys = 0;     // key to position
};

std::string_view bytes_of(const cache_key& key) {
  return {reinterpret_cast<const char*>(key.digest.bytes.data()), key.digest.bytes.size()};
}

void create_layout(lmdb::environment& env) {
  env.reserve(0);
  auto txn = lmdb::transaction::write(env);
  const auto meta = txn.create_database("meta");
  for (const auto* name : {"entries", "keys"})
    static_cast<void>(txn.create_database(name));
  internal::write_number(txn, meta, "cache_format", format);
  txn.commit();
}

expected<databases> find_layout(lmdb::environment& env) {
  auto txn = lmdb::transaction::read(env);
  const auto meta = txn.find_database("meta");
  const auto entries = txn.find_database("entries"), keys = txn.find_database("keys");
  if (!meta || !entries || !keys)
    return fail(errc::damaged, "the file is LMDB's, but no saved cache");
  const auto found = internal::read_number(txn, *meta, "cache_format");
  if (!found)
    return unexpected{found.error()};
  if (*found != format)
    return fail(errc::newer_format, "it has format " + std::to_string(*found));
  txn.commit();  // an aborted transaction would close the handles
  return databases{*meta, *entries, *keys};
}

}  // namespace

class cache_store::impl {
public:
  impl(data_directory directory, const cache_store_options& options)
      : directory_{std::move(directory)},
        options_{options} {}

  /// What is there, or, where that cannot be used, an empty one.
  expected<void> open() {
    const auto ended = ended_loads();
    if (ended < max_ended_loads) {
      auto opened = try_open();
      if (opened) {
        note_load(newest_ > 0 ? ended + 1 : 0);
        return {};
      }
      return throw_away(opened.error().message);
    }
    return throw_away("the last starts ended while it was loaded");
  }

  expected<void> write(const save_cached& what) {
    if (!env_)
      return fail(errc::store_failed, "the saved results cannot be written any more");
    try {
      commit(what);
      return {};
    } catch (const lmdb::failure& why) {
      return throw_away(why.what());
    }
  }

  loaded_cached load(std::uint64_t after) {
    loaded_cached out;
    out.last = after;
    if (!env_)
      return out;
    std::string fault;
    try {
      fault = read(out);
    } catch (const lmdb::failure& why) {
      fault = why.what();
    }
    if (!fault.empty()) {
      out = {};
      if (auto done = throw_away(fault); !done)
        spdlog::error("{}", done.error().message);
    }
    if (!out.more)
      note_load(0);
    return out;
  }

  [[nodiscard]] cache_store_stats stats() const {
    auto out = stats_;
    std::error_code ec;
    const auto bytes = std::filesystem::file_size(directory_.data_file(), ec);
    out.file_bytes = ec ? 0 : bytes;
    return out;
  }

private:
  /// Answers with what is wrong, or nothing.
  std::string read(loaded_cached& out) {
    auto txn = lmdb::transaction::read(*env_);
    lmdb::cursor at{txn, dbs_.entries};
    std::size_t bytes = 0;
    for (auto one = at.seek(be64(out.last + 1)); one; one = at.next()) {
      if (out.entries.size() == load_slice_entries || bytes >= load_slice_bytes) {
        out.more = true;
        break;
      }
      auto saved = internal::decode_cache_record(one->key, one->value);
      if (!saved)
        return "record " + std::to_string(get_be64(one->key)) + ": " + saved.error().message;
      if (txn.get(dbs_.keys, bytes_of(saved->saved.key)) != one->key)
        return "record " + std::to_string(get_be64(one->key)) + " is not the one of its key";
      bytes += one->value.size();
      out.last = get_be64(one->key);
      out.entries.push_back(*std::move(saved));
    }
    return {};
  }

  void commit(const save_cached& what) {
    std::vector<std::string> records;
    std::uint64_t bytes = 0;
    auto position = newest_;
    for (const auto& one : what.written) {
      records.push_back(internal::encode_cache_record(be64(++position), one));
      bytes += records.back().size();
    }
    env_->reserve(bytes);
    auto txn = lmdb::transaction::write(*env_);
    for (const auto& key : what.erased)
      erase(txn, bytes_of(key));
    {
      position = newest_;
      for (const auto& one : what.written)
        erase(txn, bytes_of(one.saved.key));
      lmdb::cursor entries{txn, dbs_.entries};
      for (const auto& record : records) {
        const auto key = be64(++position);
        std::memcpy(entries.append(key, record.size()), record.data(), record.size());
      }
    }
    position = newest_;
    for (const auto& one : what.written)
      txn.put(dbs_.keys, bytes_of(one.saved.key), be64(++position));
    txn.commit();
    newest_ = position;
    ++stats_.commits;
  }

  void erase(lmdb::transaction& txn, std::string_view key) {
    lmdb::cursor keys{txn, dbs_.keys};
    const auto found = keys.seek(key);
    if (!found || found->key != key)
      return;
    const std::string position{found->value};
    keys.erase();
    lmdb::cursor entries{txn, dbs_.entries};
    if (const auto at = entries.seek(position); at && at->key == position)
      entries.erase();
  }

  expected<void> try_open() {
    try {
      if (!directory_.has_store()) {
        if (auto done = create(); !done)
          return done;
      }
      if (auto done = directory_.prepare_to_open(); !done)
        return done;
      env_.emplace(lmdb::environment::open(directory_.path(), options_.map_bytes));
      const auto found = find_layout(*env_);
      if (!found)
        return unexpected{found.error()};
      dbs_ = *found;
      auto txn = lmdb::transaction::read(*env_);
      lmdb::cursor at{txn, dbs_.entries};
      const auto newest = at.last();
      newest_ = newest ? get_be64(newest->key) : 0;
      return {};
    } catch (const lmdb::failure& why) {
      return fail(errc::store_failed, why.what());
    }
  }

  expected<void> create() {
    std::error_code ec;
    std::filesystem::remove_all(directory_.creating(), ec);
    if (!std::filesystem::create_directory(directory_.creating(), ec))
      return fail(errc::store_failed,
                  "cannot create " + directory_.creating().string() + ": " + ec.message());
    {
      auto env = lmdb::environment::open(directory_.creating(), 1ULL << 20);
      create_layout(env);
    }
    if (auto done = directory_.adopt_created(); !done)
      return done;
    return directory_.sync();
  }

  /// Everything goes and an empty store takes its place. Gone means gone from disk: the names are
  /// synced.
  expected<void> throw_away(const std::string& why) {
    spdlog::warn("the saved results in {} are thrown away: {}", directory_.path().string(), why);
    ++stats_.resets;
    env_.reset();
    newest_ = 0;
    std::error_code ec;
    for (const auto& file : {directory_.data_file(), directory_.path() / "lock.mdb"}) {
      std::filesystem::remove_all(file, ec);
      if (ec)
        return fail(errc::store_failed, "cannot remove " + file.string() + ": " + ec.message());
    }
    auto opened = try_open();
    note_load(0);
    if (!opened)
      env_.reset();
    return opened;
  }

  // Starts that began to load and did not come to its end.
  [[nodiscard]] std::filesystem::path load_file() const { return directory_.path() / "loading"; }

  [[nodiscard]] int ended_loads() const {
    int out = 0;
    std::ifstream{load_file()} >> out;
    return out;
  }

  void note_load(int count) {
    std::error_code ec;
    if (count == 0)
      std::filesystem::remove(load_file(), ec);
    else
      std::ofstream{load_file()} << count << '\n';
  }

  data_directory directory_;
  cache_store_options options_;
  std::optional<lmdb::environment> env_;  // none: even an empty one could not be made
  databases dbs_;
  std::uint64_t newest_ = 0;  // position
  cache_store_stats stats_;
};

expected<cache_store> cache_store::open(const std::filesystem::path& data_directory,
                                        const cache_store_options& options) {
  auto owned = internal::data_directory::acquire(data_directory / "cache");
  if (!owned)
    return unexpected{owned.error()};
  auto self = std::make_unique<impl>(*std::move(owned), options);
  if (auto done = self->open(); !done)
    return unexpected{done.error()};
  return cache_store{std::move(self)};
}

cache_store::cache_store(std::unique_ptr<impl> self) : impl_{std::move(self)} {}
cache_store::cache_store(cache_store&&) noexcept = default;
cache_store& cache_store::operator=(cache_store&&) noexcept = default;
cache_store::~cache_store() = default;

expected<void> cache_store::write(const save_cached& what) {
  return impl_->write(what);
}

loaded_cached cache_store::load(std::uint64_t after) {
  return impl_->load(after);
}

cache_store_stats cache_store::stats() const {
  return impl_->stats();
}

}  // namespace troupe
