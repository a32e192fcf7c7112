#include <troupe/persistence/internal/bytes.hpp>
#include <troupe/persistence/internal/census.hpp>
#include <troupe/persistence/internal/child.hpp>
#include <troupe/persistence/internal/commit_mark.hpp>
#include <troupe/persistence/internal/crc32c.hpp>
#include <troupe/persistence/internal/layout.hpp>
#include <troupe/persistence/verify.hpp>

#include <fcntl.h>

#include <array>
#include <map>
#include <optional>
#include <unordered_map>

namespace troupe {

namespace {

using internal::be64;
using internal::get_be64;
using internal::record;
using internal::record_type;

/// The name of what a key stands for, for people.
std::string name_of(const record& what) {
  return std::string{to_string(what.kind)} + "/" + std::string{what.id};
}

class verification {
public:
  verification(const internal::data_directory& directory, const verify_options& options)
      : directory_{directory},
        options_{options} {}

  expected<verify_report> run() {
    const auto data = directory_.open_file("data.mdb", O_RDONLY);
    if (!data)
      return unexpected{data.error()};
    lmdb::page_file pages{data->get()};
    const auto census = lmdb::take_census(pages, [this](const std::string& what) { fault(what); });
    report_.pages = census.pages;
    report_.free_pages = census.free;

    expected<void> readable;
    part("databases", [&] { readable = read_records(); });
    if (!readable && readable.error().code != errc::damaged)
      return unexpected{readable.error()};
    if (!readable)
      fault(readable.error().message);
    return std::move(report_);
  }

private:
  struct entity {
    std::uint64_t snapshot = 0;  // its sequence; 0: there is none
    std::uint64_t newest = 0;    // the newest change seen; 0: none
  };

  void fault(std::string what) {
    ++report_.fault_count;
    if (report_.faults.size() < options_.max_faults)
      report_.faults.push_back(std::move(what));
  }

  /// What a damaged page cuts short is a fault of this part, not of the others.
  template <class F>
  void part(const char* name, F read) {
    try {
      read();
    } catch (const lmdb::failure& what) {
      if (what.kind() != lmdb::failure_kind::damaged)
        throw;
      fault(std::string{"the "} + name + " cannot be read to the end: " + what.what());
    }
  }

  expected<void> read_records() {
    constexpr std::uint64_t map_bytes = 64ULL << 30;  // or as much as the file has
    auto env = lmdb::environment::open(directory_.path(), map_bytes);
    auto found = internal::find_layout(env);
    if (!found)
      return unexpected{found.error()};
    dbs_ = *found;
    auto txn = lmdb::transaction::read(env);
    read_numbers(txn);
    part("namespaces", [&] { read_name_spaces(txn); });
    part("snapshots", [&] { read_snapshots(txn); });
    part("journal", [&] { read_journal(txn); });
    read_mark(txn);
    return {};
  }

  void read_numbers(lmdb::transaction& txn) {
    const auto number = [&](std::string_view key, std::uint64_t fallback) {
      const auto out = internal::read_number(txn, dbs_.meta, key);
      if (!out)
        fault(out.error().message);
      return out.value_or(fallback);
    };
    part("meta", [&] {
      watermark_ = number(internal::meta_key::watermark, 0);
      first_ = number(internal::meta_key::first, 1);
      covered_ = number(internal::meta_key::covered, 0);
      number(internal::meta_key::epoch, 1);
    });
    if (first_ > watermark_ + 1)
      fault("meta says that the journal begins at record " + std::to_string(first_)
            + ", behind the watermark " + std::to_string(watermark_));
  }

  void read_name_spaces(lmdb::transaction& txn) {
    lmdb::cursor all{txn, dbs_.name_spaces};
    for (auto at = all.first(); at; at = all.next()) {
      ++report_.name_spaces;
      const auto hash = internal::hash_namespace(at->value);
      if (at->key != std::string_view{hash.data(), hash.size()})
        fault("the name of a namespace does not match its hash: " + std::string{at->value});
      else
        name_spaces_.insert_or_assign(std::string{at->key}, true);
    }
  }

  void check_name_space(const record& what, const std::string& where) {
    if (!name_spaces_.contains({what.name_space.data(), what.name_space.size()}))
      fault(where + ": the name of its namespace is missing");
  }

  void read_snapshots(lmdb::transaction& txn) {
    lmdb::cursor all{txn, dbs_.snapshots};
    for (auto at = all.first(); at; at = all.next()) {
      ++report_.snapshots;
      const auto what = decode_record(at->key, at->value, record_type::snapshot);
      const auto shown =
          at->key.size() > 17 ? std::string{at->key.substr(17)} : std::string{"a key too short"};
      if (!what) {
        fault("snapshot of " + shown + ": " + what.error().message);
        continue;
      }
      check_name_space(*what, "snapshot of " + name_of(*what));
      const auto key = internal::entity_key(what->name_space, what->kind, what->id);
      if (key != at->key)
        fault("snapshot of " + name_of(*what) + ": it stands under another key, " + shown);
      entities_[key].snapshot = what->sequence;
    }
  }

  void read_journal(lmdb::transaction& txn) {
    lmdb::cursor all{txn, dbs_.journal};
    std::uint64_t covered = 0;
    auto next = first_;
    for (auto at = all.first(); at; at = all.next()) {
      const auto here = at->key.size() == 8 ? get_be64(at->key) : 0;
      if (here != next)
        fault("journal record " + std::to_string(next) + " is missing: record "
              + std::to_string(here) + " stands there");
      next = std::max(next, here) + 1;
      ++report_.records;
      covered += here <= watermark_ ? at->value.size() : 0;
      read_change(here, *at);
    }
    report_.position = std::max(watermark_, next - 1);
    if (next <= watermark_)
      fault("journal record " + std::to_string(next) + " is missing: the watermark is "
            + std::to_string(watermark_));
    if (covered != covered_)
      fault("meta says that snapshots cover " + std::to_string(covered_)
            + " bytes of the journal; they are " + std::to_string(covered));
  }

  void read_change(std::uint64_t here, const lmdb::entry& at) {
    const auto where = "journal record " + std::to_string(here);
    const auto what = decode_record(at.key, at.value, record_type::change);
    if (!what)
      return fault(where + ": " + what.error().message);
    check_name_space(*what, where);
    auto& of = entities_[internal::entity_key(what->name_space, what->kind, what->id)];
    if (of.newest != 0 && what->sequence != of.newest + 1)
      fault(where + ": change " + std::to_string(what->sequence) + " of " + name_of(*what)
            + " follows revision " + std::to_string(of.newest));
    const bool begins = of.newest == 0 && first_ == 1;  // nothing was freed before it
    if (begins && what->sequence != 1)
      fault(where + ": it is the first change of " + name_of(*what) + " and has number "
            + std::to_string(what->sequence));
    if (here <= watermark_ && what->sequence > of.snapshot)
      fault(where + ": no snapshot of " + name_of(*what) + " covers it");
    if (here > watermark_ && of.newest == 0 && what->sequence > of.snapshot + 1)
      fault(where + ": change " + std::to_string(what->sequence) + " of " + name_of(*what)
            + " follows a snapshot of revision " + std::to_string(of.snapshot));
    of.newest = what->sequence;
  }

  void read_mark(lmdb::transaction& txn) {
    const auto file = internal::mark_file::open(directory_, internal::mark_file::mode::read);
    const auto mark = file ? file->read() : unexpected{file.error()};
    report_.clean = mark && *mark && (*mark)->clean;
    if (!mark || !*mark)
      return;
    const auto at = (*mark)->position;
    if (at > report_.position) {
      report_.warnings.push_back("the store ends at change " + std::to_string(report_.position)
                                 + ", and change " + std::to_string(at)
                                 + " was on disk: this is an older copy, or the disk lost what it "
                                   "had acknowledged");
      return;
    }
    part("journal", [&] {
      const auto key = be64(at);
      const auto value = at < first_ ? std::nullopt : txn.get(dbs_.journal, key);
      if (value && (*mark)->digest != 0
          && internal::crc32c(*value, internal::crc32c(key)) != (*mark)->digest)
        report_.warnings.push_back("change " + std::to_string(at)
                                   + " is not the one that was acknowledged: this is another "
                                     "store, or an older copy that went on");
    });
  }

  const internal::data_directory& directory_;
  verify_options options_;
  verify_report report_;
  internal::databases dbs_;
  std::map<std::string, bool> name_spaces_;
  std::unordered_map<std::string, entity> entities_;
  std::uint64_t watermark_ = 0;
  std::uint64_t first_ = 1;
  std::uint64_t covered_ = 0;
};

// A report between two processes: numbers, then strings with their lengths.

void put(std::string& out, std::uint64_t number) {
  std::array<char, 8> bytes{};
  internal::put_le(bytes.data(), number);
  out.append(bytes.data(), bytes.size());
}

std::string to_bytes(const verify_report& what) {
  std::string out;
  for (const auto number :
       {what.pages, what.free_pages, what.records, what.snapshots, what.name_spaces, what.position,
        std::uint64_t{what.clean}, what.fault_count})
    put(out, number);
  for (const auto* list : {&what.faults, &what.warnings}) {
    put(out, list->size());
    for (const auto& text : *list) {
      put(out, text.size());
      out += text;
    }
  }
  return out;
}

class report_reader {
public:
  explicit report_reader(std::string_view bytes) : rest_{bytes} {}

  std::uint64_t number() {
    if (rest_.size() < 8)
      return 0;
    const auto out = internal::get_le<std::uint64_t>(rest_.data());
    rest_.remove_prefix(8);
    return out;
  }
  std::vector<std::string> texts() {
    std::vector<std::string> out(number());
    for (auto& text : out) {
      const auto size = number();
      text = rest_.substr(0, size);
      rest_.remove_prefix(text.size());
    }
    return out;
  }

private:
  std::string_view rest_;
};

verify_report from_bytes(std::string_view bytes) {
  report_reader in{bytes};
  verify_report out;
  for (auto* number :
       {&out.pages, &out.free_pages, &out.records, &out.snapshots, &out.name_spaces, &out.position})
    *number = in.number();
  out.clean = in.number() != 0;
  out.fault_count = in.number();
  out.faults = in.texts();
  out.warnings = in.texts();
  return out;
}

}  // namespace

expected<verify_report> verify_store(const std::filesystem::path& path,
                                     const verify_options& options) {
  const auto directory = internal::data_directory::acquire(path, options.allow_remote_fs);
  if (!directory)
    return unexpected{directory.error()};
  const auto name = directory->path().string() + ": ";
  if (!directory->has_store())
    return fail(errc::damaged, name + "it holds no store of Troupe");
  if (auto done = directory->prepare_to_open(); !done)
    return unexpected{error{done.error().code, name + done.error().message}};
  try {
    auto out = verification{*directory, options}.run();
    return out ? out : unexpected{error{out.error().code, name + out.error().message}};
  } catch (const lmdb::failure& what) {
    const bool broken = what.kind() == lmdb::failure_kind::damaged || what.code() < 0;
    return fail(broken ? errc::damaged : errc::store_failed, name + what.what());
  }
}

expected<verify_report> verify_in_child(const std::filesystem::path& path,
                                        const verify_options& options) {
  const auto bytes = internal::run_in_child([&]() -> expected<std::string> {
    const auto report = verify_store(path, options);
    return report ? expected<std::string>{to_bytes(*report)} : unexpected{report.error()};
  });
  if (!bytes)
    return unexpected{bytes.error()};
  return from_bytes(*bytes);
}

}  // namespace troupe
