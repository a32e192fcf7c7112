// Stores as this version and those before it wrote them, read by this one. Each is a compacted
// backup under zstd; the list beside it says what is in it. TROUPE_WRITE_GOLDEN=DIRECTORY writes
// those of this version there, which is done once for each format and never to make a test pass.

#include <troupe/persistence/internal/layout.hpp>
#include <troupe/persistence/maintenance.hpp>
#include <troupe/persistence/verify.hpp>
#include <troupe/state/decide.hpp>
#include <troupe/state/digest.hpp>
#include <troupe/state/internal/compression.hpp>

#include "store_fixture.hpp"

#include <fstream>
#include <iterator>
#include <sstream>

using namespace troupe;
using namespace troupe::testing;
namespace fs = std::filesystem;

namespace {

std::string read_file(const fs::path& path) {
  std::ifstream in{path, std::ios::binary};
  REQUIRE_MESSAGE(in.good(), path.string());
  return {std::istreambuf_iterator<char>{in}, {}};
}

void write_file(const fs::path& path, const std::string& bytes) {
  std::ofstream{path, std::ios::binary} << bytes;
}

journal_store open_real(const fs::path& path, std::uint64_t covered_bytes = 256 << 20) {
  auto options = small_map();
  options.covered_bytes = covered_bytes;
  auto out = journal_store::open(path, options, fold_entities());
  REQUIRE_MESSAGE(out, (out ? "" : out.error().message));
  return std::move(*out);
}

std::string digest_at(journal_store& store, const entity_ref& ref, std::uint64_t revision) {
  const auto stored = store.load_at(ref, revision);
  if (!stored)
    return std::string{to_string(stored.error().code)};
  const auto state = join_entity(stored->parts);
  return state ? to_hex(sha256_of(encode(*state, SIZE_MAX))) : state.error().message;
}

/// Every entity with its newest and some earlier revisions, its answers, and the journal's ends.
std::string describe(journal_store& store) {
  std::ostringstream out;
  REQUIRE(store.for_each_entity([&](const entity_ref& ref, std::uint64_t revision) {
    out << to_string(ref) << ' ' << revision << '\n';
    for (const auto at :
         {revision, revision - std::min<std::uint64_t>(revision, 5), std::uint64_t{4}})
      out << "  " << at << ' ' << digest_at(store, ref, at) << '\n';
    const auto stored = store.load(ref);
    REQUIRE(stored);
    for (const auto& bytes : stored->answers) {
      const auto kept = decode_answer(bytes);
      REQUIRE(kept);
      out << "  answer " << kept->asked.key << ' ' << kept->answer.revision << '\n';
    }
    return true;
  }));
  out << "journal " << store.stats().first << " to " << store.stats().position << '\n';
  return out.str();
}

/// What this version's store has of everything.
class golden_writer {
public:
  explicit golden_writer(journal_store& to) : store_{to} {}

  void does(const entity_ref& ref, const operation& what, std::optional<idempotency> once = {}) {
    const auto decided = decide(
        states_[ref],
        {.entity = ref, .operations = {what}, .expected_revision = {}, .once = std::move(once)},
        {.now = {1'700'000'000'000 + ++ticks_}});
    REQUIRE_MESSAGE(decided, (decided ? "" : decided.error().message));
    commit_request request;
    request.entity = ref;
    request.sequence = decided->what.revision;
    request.payload = encode(decided->what);
    if (const auto* fork = std::get_if<fork_from>(&what)) {
      request.base = std::make_shared<const entity_parts>(split_entity(fork->base));
      request.parent = fork->parent;
    }
    states_[ref] = decided->next;
    const auto done = commit(store_, request);
    REQUIRE(done);
  }
  [[nodiscard]] std::shared_ptr<const entity_state> now(const entity_ref& ref) {
    return std::make_shared<const entity_state>(states_[ref]);
  }

private:
  journal_store& store_;
  std::map<entity_ref, entity_state> states_;
  std::int64_t ticks_ = 0;
};

void write_golden(const fs::path& to) {
  memory_directory dir;
  {
    auto store = open_real(dir.store(), 4'000);
    golden_writer write{store};
    const auto parent = session_ref("parent"), fork = session_ref("fork");
    const entity_ref team{"another namespace", entity_kind::team, "team"};
    entity_info info;
    info.limits.keep_revisions = 10;
    info.tags = {"golden"};
    write.does(parent, create{info});
    for (int i = 0; i < 80; ++i) {
      write.does(parent, append_items{{value::map({{"n", i}, {"text", std::string(40, 'p')}})}},
                 i % 20 == 0 ? std::optional{idempotency{"me", "key " + std::to_string(i), "h"}}
                             : std::nullopt);
      if (i == 40) {
        write.does(parent, create_checkpoint{.id = "middle"});
        materialise_all_of(store);
      }
    }
    write.does(fork, fork_from{.parent = parent, .base = write.now(parent)});
    write.does(team, create{});
    write.does(team, add_member{.name = "ada"});
    write.does(session_ref("gone"), create{});
    write.does(session_ref("gone"), erase{});
    materialise_all_of(store);
    while (*store.compact()) {
    }
    write.does(fork, append_items{{value::map({{"text", "in the tail"}})}});
    REQUIRE(store.backup(dir.path() / "backup", {.compacting = true}));
  }
  const auto name = "store_" + std::to_string(internal::current_store_format);
  auto store = open_real(dir.path() / "backup", 4'000);
  write_file(to / (name + ".txt"), describe(store));
  write_file(to / (name + ".mdb.zst"),
             internal::compressed(read_file(dir.path() / "backup" / "data.mdb"), 0));
}

}  // namespace

TEST_CASE("a store of every format that is read holds what it held") {
  if (const auto* to = std::getenv("TROUPE_WRITE_GOLDEN"))
    return write_golden(to);
  for (auto format = internal::oldest_store_format; format <= internal::current_store_format;
       ++format) {
    const auto name = "store_" + std::to_string(format);
    const fs::path golden{TROUPE_TEST_DIR "/golden"};
    memory_directory dir;
    fs::create_directory(dir.store());
    fs::permissions(dir.store(), fs::perms::owner_all);
    const auto bytes = internal::decompressed(read_file(golden / (name + ".mdb.zst")), 64 << 20);
    REQUIRE(bytes);
    write_file(dir.store() / "data.mdb", *bytes);
    const auto verified = verify_store(dir.store());
    REQUIRE_MESSAGE(verified, (verified ? "" : verified.error().message));
    CHECK_MESSAGE(verified->sound(), (verified->faults.empty() ? "" : verified->faults.front()));
    {
      auto store = open_real(dir.store(), 4'000);
      CHECK(describe(store) == read_file(golden / (name + ".txt")));
      materialise_all_of(store);
    }
    CHECK(verify_store(dir.store())->sound());
  }
}
