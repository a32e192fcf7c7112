#include <troupe/persistence/internal/bytes.hpp>
#include <troupe/persistence/internal/census.hpp>
#include <troupe/persistence/internal/commit_mark.hpp>
#include <troupe/persistence/internal/crc32c.hpp>
#include <troupe/persistence/internal/verification.hpp>

#include <fcntl.h>

#include <algorithm>

namespace troupe::internal {

/// The name of what a record stands for, for people.
std::string name_of(const record& what) {
  return std::string{to_string(what.kind)} + "/" + std::string{what.id};
}

expected<verify_report> verification::run() {
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

void verification::fault(std::string what) {
  ++report_.fault_count;
  if (report_.faults.size() < options_.max_faults)
    report_.faults.push_back(std::move(what));
}

expected<void> verification::read_records() {
  constexpr std::uint64_t map_bytes = 64ULL << 30;  // or as much as the file has
  auto env = lmdb::environment::open(directory_.path(), map_bytes);
  auto found = find_layout(env);
  if (!found)
    return unexpected{found.error()};
  dbs_ = *found;
  auto txn = lmdb::transaction::read(env);
  read_numbers(txn);
  part("namespaces", [&] { read_name_spaces(txn); });
  part("entities", [&] { read_entities(txn); });
  part("snapshots", [&] { read_bodies(txn); });
  part("versions", [&] { read_versions(txn); });
  part("journal", [&] { read_journal(txn); });
  if (journal_read_)  // else nobody knows what the log is to follow
    if (auto done = read_log(); !done)
      return done;
  part("kept changes", [&] { read_kept_changes(txn); });
  part("pins", [&] { read_pins(txn); });
  part("chunks", [&] { read_chunks(txn); });
  part("logs", [&] { read_logs(txn); });
  part("answers", [&] { read_answers(txn); });
  compare_entities();
  read_mark(txn);
  return {};
}

void verification::read_numbers(lmdb::transaction& txn) {
  const auto number = [&](std::string_view key, std::uint64_t fallback) {
    const auto out = read_number(txn, dbs_.meta, key);
    if (!out)
      fault(out.error().message);
    return out.value_or(fallback);
  };
  part("meta", [&] {
    watermark_ = number(meta_key::watermark, 0);
    first_ = number(meta_key::first, 1);
    covered_ = number(meta_key::covered, 0);
    number(meta_key::epoch, 1);
  });
  if (first_ > watermark_ + 1)
    fault("meta says that the journal begins at record " + std::to_string(first_)
          + ", behind the watermark " + std::to_string(watermark_));
}

void verification::read_name_spaces(lmdb::transaction& txn) {
  lmdb::cursor all{txn, dbs_.name_spaces};
  for (auto at = all.first(); at; at = all.next()) {
    ++report_.name_spaces;
    const auto hash = hash_namespace(at->value);
    if (at->key != std::string_view{hash.data(), hash.size()})
      fault("the name of a namespace does not match its hash: " + std::string{at->value});
    else
      name_spaces_.emplace(at->key);
  }
}

void verification::read_journal(lmdb::transaction& txn) {
  lmdb::cursor all{txn, dbs_.journal};
  std::uint64_t covered = 0;
  auto next = first_;
  for (auto at = all.first(); at; at = all.next()) {
    const auto here = at->key.size() == 8 ? get_be64(at->key) : 0;
    if (here != next)
      fault("journal record " + std::to_string(next) + " is missing: record " + std::to_string(here)
            + " stands there");
    next = std::max(next, here) + 1;
    ++report_.records;
    covered += here <= watermark_ ? at->value.size() : 0;
    read_change(here, at->key, at->value);
  }
  report_.position = std::max(watermark_, next - 1);
  if (next <= watermark_)
    fault("journal record " + std::to_string(next) + " is missing: the watermark is "
          + std::to_string(watermark_));
  journal_read_ = true;
  if (covered != covered_)
    fault("meta says that snapshots cover " + std::to_string(covered_)
          + " bytes of the journal; they are " + std::to_string(covered));
}

/// What goes behind the journal at the next start.
expected<void> verification::read_log() {
  auto bytes = bytes_of_log(directory_.path());
  if (!bytes)
    return unexpected{bytes.error()};
  log_ = *std::move(bytes);
  auto records = internal::read_log(log_, report_.position);
  if (!records) {
    fault(records.error().message);
    return {};
  }
  logged_ = *std::move(records);
  for (const auto& [at, value] : logged_) {
    ++report_.records;
    report_.position = at;
    read_change(at, be64(at), value);
  }
  return {};
}

void verification::read_change(std::uint64_t here, std::string_view key, std::string_view bytes) {
  const auto where = "journal record " + std::to_string(here);
  std::vector<std::string_view> each{bytes};
  if (type_of(bytes) == record_type::set) {
    const auto set = decode_record(key, bytes, record_type::set);
    if (!set)
      return fault(where + ": " + set.error().message);
    auto inner = split_set(set->payload);
    if (!inner || inner->size() < 2)
      return fault(where + ": "
                   + (inner ? "a set has at least two changes" : inner.error().message));
    each = *std::move(inner);
  }
  for (const auto one : each) {
    const auto what = decode_record(key, one, record_type::change);
    if (!what) {
      fault(where + ": " + what.error().message);
      continue;
    }
    check_name_space(*what, where);
    auto& of = entities_[entity_key(what->name_space, what->kind, what->id)];
    const auto change = "change " + std::to_string(what->sequence) + " of " + name_of(*what);
    // A fork begins with any number; so did what its id held in an earlier life, and what is
    // deleted has no first revision any more.
    const auto& head = of.head;
    const bool begins =
        what->sequence <= (head.first_revision != 0 ? head.first_revision : head.base);
    const bool freed_before = of.newest == 0 && first_ != 1;
    if (!begins && !freed_before && what->sequence != of.newest + 1)
      fault(where + ": " + change + " follows revision " + std::to_string(of.newest));
    if (what->sequence <= of.newest || (of.newest != 0 && what->previous != of.position))
      fault(where + ": " + change + " does not lead to the change before it");
    if (here <= watermark_ && what->sequence > of.snapshot)
      fault(where + ": no snapshot of " + name_of(*what) + " covers it");
    if (here > watermark_ && of.newest == 0 && what->sequence > of.snapshot + 1)
      fault(where + ": " + change + " follows a snapshot of revision "
            + std::to_string(of.snapshot));
    if (of.oldest == 0 || what->sequence == head.first_revision)
      of.oldest = what->sequence;
    of.newest = what->sequence;
    of.position = here;
  }
}

void verification::read_mark(lmdb::transaction& txn) {
  if (std::error_code ec; !std::filesystem::exists(directory_.path() / "commit.mark", ec) && !ec)
    return;  // a copy that nobody has opened
  const auto file = mark_file::open(directory_, mark_file::mode::read);
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
    auto value = at < first_ ? std::nullopt : txn.get(dbs_.journal, key);
    if (const auto found = std::ranges::find(logged_, at, &logged_record::position);
        found != logged_.end())
      value = found->value;
    if (value && (*mark)->digest != 0 && crc32c(*value, crc32c(key)) != (*mark)->digest)
      report_.warnings.push_back("change " + std::to_string(at)
                                 + " is not the one that was acknowledged: this is another "
                                   "store, or an older copy that went on");
  });
}

}  // namespace troupe::internal
