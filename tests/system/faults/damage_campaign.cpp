// damage_campaign [--stores N] [--seed S] [--plant LIE] [--keep DIR]
//
// Damages copies of a store's data file: a flipped bit, a sector or a page that is zero or garbage,
// two that changed places, a file that is cut, an older copy. Each is opened, read whole, written
// to and opened again, in a child process. It must be refused with words, or answer `damaged` for
// what is damaged and the truth for all else, or warn that it is older; the process must not die.
// What is not the truth, `verify_store` must find, too. Prints the seed, and one JSON object at the
// end.
//
// Plants: `recrc` (a changed payload gets the checksum that fits, as if none were checked),
// `nomark` (older copies come without the mark), `blindverify` (the campaign takes every verified
// store for sound).

#include <troupe/persistence/internal/lmdb.hpp>
#include <troupe/persistence/internal/record.hpp>
#include <troupe/persistence/internal/write_ahead_log.hpp>
#include <troupe/persistence/verify.hpp>

#include "books.hpp"
#include "chains.hpp"
#include "support/temp_directory.hpp"
#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>

using namespace troupe;
using namespace troupe::faults;

namespace {

namespace fs = std::filesystem;

constexpr std::size_t sector_bytes = 512, page_bytes = 4096;

struct settings {
  std::uint64_t stores = 300;
  std::uint64_t seed = 1;
  std::string plant;
  fs::path keep;
};

/// A store, in memory.
struct files {
  std::string data, log, mark;
};

/// One as it was written.
struct original {
  files now;
  std::string older;  // data
  books told;
};

/// What the child that opened a damaged copy says of it, in memory it shares with us.
struct outcome {
  enum class end { none, refused, isolated, warned, equal } is = end::none;
  char words[300];     // of the refusal, the first `damaged`, or the warning
  char wrong[300];     // what is silently wrong; empty: nothing
  bool sound = false;  // says verify_store
};

void copy_to(char (&to)[300], const std::string& what) {
  if (to[0] == '\0')
    std::strncpy(to, what.c_str(), sizeof to - 1);
}

std::string bytes_of(const fs::path& file) {
  std::ifstream in{file, std::ios::binary};
  return {std::istreambuf_iterator<char>{in}, {}};
}

void write_file(const fs::path& file, std::string_view bytes) {
  std::ofstream{file, std::ios::binary | std::ios::trunc} << bytes;
  fs::permissions(file, fs::perms::owner_read | fs::perms::owner_write);
}

[[noreturn]] void stop(const std::string& what) {
  std::fprintf(stderr, "damage_campaign: %s\n", what.c_str());
  std::exit(2);
}

journal_options options() {
  auto out = run_options();
  out.check_in_child = true;
  return out;
}

files bytes_of_store(const fs::path& path) {
  return {bytes_of(path / "data.mdb"), bytes_of(path / "commit.log"),
          bytes_of(path / "commit.mark")};
}

/// Half of the originals were closed, half lost their process with a tail in the journal and the
/// newest changes in the log.
original make_original(std::uint64_t seed) {
  const testing::temp_directory directory;
  const auto path = directory.store();
  std::mt19937_64 random{seed};
  original out;
  const bool closed = seed % 2 == 0;
  {
    auto store = journal_store::open(path, run_options(), fold_chains);
    const auto batches = 30 + random() % 60;
    for (std::uint64_t i = 0; store && i < batches; ++i) {
      const auto requests = next_batch(random, out.told);
      for (const auto& result : store->commit(requests))
        if (!result)
          stop(result.error().message);
      for (const auto& request : requests)
        out.told.acked[entity_of(request)] = request.sequence;
      if (i % 4 == 3)
        static_cast<void>(store->materialise());
      if (i % 9 == 8)
        static_cast<void>(store->compact());
      if (i == batches * 3 / 4)
        out.older = bytes_of(path / "data.mdb");
    }
    if (!store)
      stop(store.error().message);
    out.now = bytes_of_store(path);
  }
  out.told.begun = out.told.acked;
  if (closed)
    out.now = bytes_of_store(path);
  return out;
}

/// Pages that the newest meta page counts; behind them nothing is read.
std::size_t used_bytes(const std::string& data) {
  std::uint64_t last = 0;
  for (const std::size_t meta : {std::size_t{0}, page_bytes}) {
    std::uint64_t here = 0;
    std::memcpy(&here, data.data() + meta + 136, sizeof here);
    last = std::max(last, here);
  }
  return (last + 1) * page_bytes;
}

/// Damages the first `used` of the bytes; answers what it did.
std::string damage(std::string& data, std::size_t used, const std::string& older,
                   std::mt19937_64& random) {
  const auto unit = random() % 2 == 0 ? sector_bytes : page_bytes;
  const auto pick = [&](std::size_t size) { return random() % (used / size) * size; };
  const auto at = pick(unit);
  const auto where = std::to_string(at / page_bytes) + "+" + std::to_string(at % page_bytes);
  const auto named = [&](const char* what) {
    return std::string{what} + (unit == page_bytes ? " page " : " sector ") + where;
  };
  switch (random() % 16) {
    case 0:
    case 1:
    case 2:
    case 3:
    case 4: {
      const auto byte = random() % used;
      data[byte] = static_cast<char>(data[byte] ^ (1 << random() % 8));
      return "flip page " + std::to_string(byte / page_bytes) + "+"
             + std::to_string(byte % page_bytes);
    }
    case 5:
    case 6:
    case 7:
      std::fill_n(data.begin() + static_cast<std::ptrdiff_t>(at), unit, '\0');
      return named("zero");
    case 8:
    case 9:
      for (std::size_t i = 0; i < unit; ++i)
        data[at + i] = static_cast<char>(random());
      return named("garbage");
    case 10:
    case 11:
    case 12: {
      const auto other = pick(unit);
      std::swap_ranges(data.begin() + static_cast<std::ptrdiff_t>(at),
                       data.begin() + static_cast<std::ptrdiff_t>(at + unit),
                       data.begin() + static_cast<std::ptrdiff_t>(other));
      return named("swap") + " and " + std::to_string(other / page_bytes);
    }
    case 13:
    case 14: data.resize(at); return named("cut");
    default: data = older; return "older";
  }
}

/// One time in four in the log, where there is one: a part of it, or all of it is gone.
std::string damage(files& of, const std::string& older, std::mt19937_64& random) {
  const auto logged = internal::whole_batches(of.log);
  if (logged != 0 && random() % 4 == 0)
    return "log: " + damage(of.log, logged, {}, random);
  return damage(of.data, used_bytes(of.data), older, random);
}

void reread(journal_store& store, const books& told, outcome& out) {
  const auto found = compare(store, told);
  if (!found.named.empty())
    copy_to(out.words, found.named);
  if (!found.silent.empty())
    copy_to(out.wrong, found.silent);
}

/// What of the store is meant, not only which store.
bool names_a_place(const std::string& message, const fs::path& store) {
  const auto text =
      message.starts_with(store.string()) ? message.substr(store.string().size()) : message;
  for (const auto* place :
       {"data.mdb", "commit.log", "record", "snapshot", "meta", "database", "chunk", "log "})
    if (text.find(place) != text.npos)
      return true;
  return false;
}

/// What is done with a damaged copy.
void use(const fs::path& path, books told, outcome& out) {
  auto store = journal_store::open(path, options(), fold_chains);
  if (!store) {
    const auto& why = store.error();
    out.is = outcome::end::refused;
    copy_to(out.words, why.message);
    const bool fits = why.code == errc::damaged || why.code == errc::newer_format;
    if (!fits || !names_a_place(why.message, path))
      copy_to(out.wrong, "refused without a name: " + why.message);
    return;
  }
  if (!store->started().warnings.empty()) {
    out.is = outcome::end::warned;
    return copy_to(out.words, store->started().warnings.front());
  }
  reread(*store, told, out);
  // Going on must not make it worse: what is answered is there when it is opened again.
  for (std::size_t i = 0; i < entity_count; ++i) {
    const commit_request request{entity_of(i), told.acked[i] + 1, payload_of(i, told.acked[i] + 1)};
    const auto done = store->commit({&request, 1}).front();
    told.begun[i] = told.acked[i] + 1;
    if (done)
      told.acked[i] = told.begun[i];
    else if (done.error().message.empty())
      copy_to(out.wrong, "a refusal without words");
  }
  for (int i = 0; i < 3; ++i)
    static_cast<void>(store->materialise());
  static_cast<void>(store->compact());
  { const auto closed = std::move(*store); }
  store = journal_store::open(path, options(), fold_chains);
  if (store)
    reread(*store, told, out);
  else
    copy_to(out.words, store.error().message);
  out.is = out.words[0] == '\0' ? outcome::end::equal : outcome::end::isolated;
}

int in_child(const std::function<void()>& what) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    const rlimit no_core{0, 0};
    ::setrlimit(RLIMIT_CORE, &no_core);
    ::dup2(::open("/dev/null", O_WRONLY | O_CLOEXEC), STDERR_FILENO);
    ::alarm(60);  // it takes milliseconds; then: it hangs
    what();
    ::_exit(0);
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return status;
}

class campaign {
public:
  explicit campaign(settings how)
      : how_{std::move(how)},
        random_{how_.seed},
        shared_{static_cast<outcome*>(::mmap(nullptr, sizeof(outcome), PROT_READ | PROT_WRITE,
                                             MAP_SHARED | MAP_ANONYMOUS, -1, 0))} {
    for (std::uint64_t i = 0; i < 8; ++i)
      originals_.push_back(make_original(how_.seed * 8 + i));
  }

  int go() {
    for (std::uint64_t i = 0; i < how_.stores; ++i)
      one(originals_[random_() % originals_.size()]);
    std::printf(
        "{\"seed\":%llu,\"stores\":%llu,\"refused\":%llu,\"isolated\":%llu,\"warned\":%llu,"
        "\"equal\":%llu,\"verify_found\":%llu,\"bad\":%llu,\"first_bad\":\"%s\"}\n",
        static_cast<unsigned long long>(how_.seed), static_cast<unsigned long long>(how_.stores),
        count(outcome::end::refused), count(outcome::end::isolated), count(outcome::end::warned),
        count(outcome::end::equal), static_cast<unsigned long long>(found_),
        static_cast<unsigned long long>(bad_), first_bad_.c_str());
    return bad_ == 0 ? 0 : 1;
  }

private:
  [[nodiscard]] unsigned long long count(outcome::end which) { return ends_[which]; }

  void put(const fs::path& path, const files& what) {
    std::error_code ignored;
    fs::remove_all(path, ignored);
    fs::create_directory(path);
    fs::permissions(path, fs::perms::owner_all);
    write_file(path / "data.mdb", what.data);
    if (!what.log.empty())
      write_file(path / "commit.log", what.log);
    if (!what.mark.empty())
      write_file(path / "commit.mark", what.mark);
  }

  void one(const original& of) {
    auto now = of.now;
    const auto what = how_.plant == "recrc" ? "recrc" : damage(now, of.older, random_);
    if (how_.plant == "nomark")
      now.mark.clear();
    const auto path = directory_.store();
    put(path, now);
    if (how_.plant == "recrc")
      change_payload(path);
    *shared_ = {};
    const int verified = in_child([&] {
      const auto report = verify_store(path);
      shared_->sound = report && report->sound() && report->warnings.empty();
    });
    const bool same_file =
        now.data == of.now.data && now.log == of.now.log && how_.plant != "recrc";
    put(path, now);
    if (how_.plant == "recrc")
      change_payload(path);
    const int used = in_child([&] { use(path, of.told, *shared_); });
    auto& got = *shared_;
    if (used != 0)
      copy_to(got.wrong, "the process died: status " + std::to_string(used));
    if (verified != 0)
      copy_to(got.wrong, "verify died: status " + std::to_string(verified));
    if (how_.plant == "blindverify")
      got.sound = true;
    if (got.is != outcome::end::equal && got.sound)
      copy_to(got.wrong, std::string{"verify finds nothing, and yet: "} + got.words);
    if (same_file && (got.is != outcome::end::equal || !got.sound))
      copy_to(got.wrong, std::string{"nothing is damaged, and yet: "} + got.words);
    ++ends_[got.is];
    found_ += !got.sound;
    if (got.wrong[0] == '\0')
      return;
    ++bad_;
    const auto text = what + ": " + got.wrong;
    std::fprintf(stderr, "bad: %s\n", text.c_str());
    if (first_bad_.empty())
      first_bad_ = text;
    if (!how_.keep.empty()) {
      put(how_.keep, now);
      write_file(how_.keep / "why.txt", text + "\n");
    }
  }

  /// A byte of a journal record's payload, and the checksum that fits it.
  void change_payload(const fs::path& path) {
    auto env = lmdb::environment::open(path, 256 << 20);
    auto txn = lmdb::transaction::write(env);
    const auto journal = txn.create_database("journal");
    lmdb::cursor all{txn, journal};
    static_cast<void>(all.last());
    const auto at = all.prior();  // the newest is the one that the mark knows
    if (!at)
      return;
    const std::string key{at->key}, value{at->value};
    auto record = internal::decode_record(key, value, internal::record_type::change);
    if (!record)
      stop(record.error().message);
    std::string payload{record->payload};
    payload.back() = static_cast<char>(payload.back() ^ 1);
    record->payload = payload;
    internal::encode_record(txn.reserve(journal, key, internal::encoded_size(*record)), key,
                            *record);
    txn.commit();
  }

  settings how_;
  std::mt19937_64 random_;
  outcome* shared_;
  testing::temp_directory directory_;
  std::vector<original> originals_;
  std::map<outcome::end, std::uint64_t> ends_;
  std::uint64_t found_ = 0, bad_ = 0;
  std::string first_bad_;
};

}  // namespace

int main(int argc, char** argv) {
  use_memory();
  spdlog::set_level(spdlog::level::off);
  settings how;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string_view name = argv[i];
    if (name == "--stores")
      how.stores = std::strtoull(argv[i + 1], nullptr, 10);
    else if (name == "--seed")
      how.seed = std::strtoull(argv[i + 1], nullptr, 10);
    else if (name == "--plant")
      how.plant = argv[i + 1];
    else if (name == "--keep")
      how.keep = argv[i + 1];
    else
      stop("no option " + std::string{name});
  }
  std::printf("damage_campaign: seed %llu, %llu stores\n",
              static_cast<unsigned long long>(how.seed),
              static_cast<unsigned long long>(how.stores));
  std::fflush(stdout);
  return campaign{std::move(how)}.go();
}
