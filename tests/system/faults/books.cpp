#include "books.hpp"

#include "chains.hpp"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <map>

namespace troupe::faults {

namespace {

std::uint64_t mix(std::uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

std::size_t payload_bytes(std::uint64_t seed) {
  switch (seed % 20) {
    case 0: return 4'000 + seed / 32 % 12'000;  // on overflow pages
    case 1:
    case 2: return 500 + seed / 32 % 2'500;
    default: return 1 + seed / 32 % 200;
  }
}

/// The state after each revision; made once for all comparisons of a process.
const chain& state_at(std::size_t entity, std::uint64_t revision) {
  static std::array<std::vector<chain>, entity_count> known;
  auto& states = known[entity];
  if (states.empty())
    states.emplace_back();
  while (states.size() <= revision)
    states.push_back(applied(states.back(), payload_of(entity, states.size())));
  return states[revision];
}

bool is_named(const error& what) {
  return what.code == errc::damaged || what.code == errc::newer_format;
}

class comparison {
public:
  comparison(journal_store& store, const books& with) : store_{store}, with_{with} {}

  difference run() {
    for (std::size_t i = 0; i < entity_count; ++i)
      entity(i);
    list();
    journal();
    return std::move(out_);
  }

private:
  void silent(const std::string& what) {
    if (out_.silent.empty())
      out_.silent = what;
  }

  void failed(const std::string& where, const error& what) {
    auto text = where + ": " + what.message;
    if (is_named(what) && !what.message.empty())
      out_.named = out_.named.empty() ? text : out_.named;
    else
      silent("not named as damaged: " + text);
  }

  void entity(std::size_t i) {
    const auto name = to_string(entity_of(i));
    const auto stored = store_.load(entity_of(i));
    if (!stored)
      return failed(name, stored.error());
    revisions_[entity_of(i)] = stored->sequence;
    if (stored->sequence < with_.acked[i])
      return silent(name + " LOST: has revision " + std::to_string(stored->sequence)
                    + ", acknowledged was " + std::to_string(with_.acked[i]));
    if (stored->sequence > with_.begun[i])
      return silent(name + " has revision " + std::to_string(stored->sequence)
                    + ", which was refused or never written");
    const auto covered =
        stored->sequence - std::min(stored->sequence, std::uint64_t{stored->parts.changes.size()});
    const auto kind = entity_of(i).kind;
    const auto snapshot = covered == 0 ? std::string{} : text_of(kind, state_at(i, covered));
    if (text_of(stored->parts) != snapshot)
      return silent(name + " has another snapshot at revision " + std::to_string(covered));
    for (std::size_t n = 0; n < stored->parts.changes.size(); ++n)
      if (stored->parts.changes[n] != payload_of(i, covered + n + 1))
        return silent(name + " has another change at revision " + std::to_string(covered + n + 1));
  }

  void list() {
    std::map<std::string, std::uint64_t> listed;
    const auto read = store_.for_each_entity([&](const entity_ref& ref, std::uint64_t revision) {
      listed[to_string(ref)] = revision;
      return true;
    });
    if (!read)
      return failed("the list", read.error());
    for (const auto& [ref, revision] : revisions_)
      if (revision != 0 && listed[to_string(ref)] != revision)
        silent(to_string(ref) + " is listed with revision " + std::to_string(listed[to_string(ref)])
               + " and has " + std::to_string(revision));
  }

  void journal() {
    const auto stats = store_.stats();
    auto next = stats.first;
    std::string wrong;
    const auto read =
        store_.for_each_record(stats.first, stats.position, [&](const journal_record& record) {
          std::size_t i = 0;
          while (i < entity_count && entity_of(i) != record.entity)
            ++i;
          if (record.position != next || i == entity_count
              || record.payload != payload_of(i, record.sequence))
            wrong = "journal record " + std::to_string(next) + " is not what was written";
          ++next;
          return wrong.empty();
        });
    if (!read)
      return failed("the journal", read.error());
    if (wrong.empty() && next != stats.position + 1)
      wrong = "the journal ends before record " + std::to_string(next);
    if (!wrong.empty())
      silent(wrong);
  }

  journal_store& store_;
  const books& with_;
  difference out_;
  std::unordered_map<entity_ref, std::uint64_t> revisions_;
};

}  // namespace

entity_ref entity_of(std::size_t entity) {
  return {entity % 4 == 0 ? "tenant" : "default", static_cast<entity_kind>(1 + entity % 5),
          "entity-" + std::to_string(entity)};
}

std::size_t entity_of(const commit_request& request) {
  return std::stoul(request.entity.id.substr(7));
}

std::string payload_of(std::size_t entity, std::uint64_t revision) {
  const auto seed = mix(entity * 1'000'003 + revision);
  auto out = "C " + std::to_string(entity) + " " + std::to_string(revision) + "\n";
  const auto size = payload_bytes(seed);
  for (std::uint64_t block = seed; out.size() < size; block = mix(block + 1))
    for (int i = 0; i < 8; ++i)
      out.push_back(static_cast<char>(block >> (8 * i)));
  return out;
}

std::vector<commit_request> next_batch(std::mt19937_64& random, const books& from) {
  auto revisions = from.acked;
  std::vector<commit_request> out;
  for (auto count = 1 + random() % 12; count > 0; --count) {
    const auto i = random() % entity_count;
    ++revisions[i];
    out.push_back({entity_of(i), revisions[i], payload_of(i, revisions[i])});
  }
  return out;
}

difference compare(journal_store& store, const books& with) {
  return comparison{store, with}.run();
}

void use_memory() {
  std::error_code ec;
  const auto memory = std::filesystem::space("/dev/shm", ec);
  if (!ec && memory.available > (1U << 30))
    ::setenv("TMPDIR", "/dev/shm", 0);
}

journal_options run_options() {
  journal_options out;
  out.map_bytes = 256 << 20;
  out.slice_bytes = 16 << 10;
  out.covered_bytes = 32 << 10;
  out.clean_entries = 8;
  out.reserve_bytes = 256 << 10;
  out.log_bytes = 64 << 10;
  out.mark_interval = {};      // at every commit
  out.check_in_child = false;  // who opens it is a child already
  return out;
}

}  // namespace troupe::faults
