#include "support/temp_directory.hpp"
#include "troupe/exit_status.hpp"
#include "troupe/token.hpp"
#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

/// `troupe token` as a function.

using namespace troupe;
using cli::token_command;
namespace fs = std::filesystem;

namespace {

constexpr timestamp noon{1'767'355'200'123};

std::vector<api::token_entry> kept(const testing::temp_directory& dir) {
  const auto all = api::load_tokens(api::tokens_path(dir.store()));
  REQUIRE(all);
  return all->value_or(std::vector<api::token_entry>{});
}

}  // namespace

TEST_CASE("a token expires so long from now or at a time") {
  CHECK(cli::expiry_of("30m", noon)->ms == noon.ms + 1'800'000);
  CHECK(cli::expiry_of("12h", noon)->ms == noon.ms + 43'200'000);
  CHECK(cli::expiry_of("90d", noon)->ms == noon.ms + 7'776'000'000);
  CHECK(cli::expiry_of("2026-01-02T12:00:00.123Z", noon) == noon);
  for (const auto* bad : {"", "d", "0d", "-1d", "9", "9w", "1000001d", "9dd", " 9d", "tomorrow"}) {
    CAPTURE(bad);
    CHECK(!cli::expiry_of(bad, noon));
  }
}

TEST_CASE("tokens are created and revoked by id and others stay") {
  const testing::temp_directory dir;
  const auto run = [&](auto what) { return cli::token({.data = dir.store(), .what = what}); };
  CHECK(run(cli::token_create{.user = "ann", .expires = "1d"}) == cli::exit_status::ok);
  CHECK(run(cli::token_create{.held = api::role::admin}) == cli::exit_status::ok);
  auto all = kept(dir);
  REQUIRE(all.size() == 2);
  CHECK(all[0].user == "ann");
  CHECK(all[0].expires->ms == all[0].created.ms + 86'400'000);
  CHECK(all[0].id != all[1].id);
  CHECK(all[0].sha256 != all[1].sha256);
  CHECK(run(cli::token_revoke{all[0].id}) == cli::exit_status::ok);
  CHECK(kept(dir).size() == 1);
  CHECK(kept(dir)[0].id == all[1].id);
  CHECK(run(cli::token_revoke{all[0].id}) == cli::exit_status::failed);
}

TEST_CASE("a token without a user or with a bad namespace is not made") {
  const testing::temp_directory dir;
  const auto run = [&](cli::token_create what) {
    return cli::token({.data = dir.store(), .what = std::move(what)});
  };
  CHECK(run({}) == cli::exit_status::usage);
  CHECK(run({.user = "ann", .name_space = ""}) == cli::exit_status::usage);
  CHECK(run({.user = "a\x01"}) == cli::exit_status::usage);
  CHECK(run({.user = "ann", .expires = "soon"}) == cli::exit_status::usage);
  CHECK(kept(dir).empty());
}

TEST_CASE("a token that has expired before it is made is refused") {
  const testing::temp_directory dir;
  CHECK(
      cli::token({.data = dir.store(),
                  .what = cli::token_create{.user = "ann", .expires = "2020-01-01T00:00:00.000Z"}})
      == cli::exit_status::usage);
  CHECK(kept(dir).empty());
}

TEST_CASE("a whole token is revoked by its id") {
  const testing::temp_directory dir;
  const auto run = [&](auto what) { return cli::token({.data = dir.store(), .what = what}); };
  REQUIRE(run(cli::token_create{.user = "ann"}) == cli::exit_status::ok);
  const auto id = kept(dir).at(0).id;
  const auto whole = "troupe_" + id + "_" + std::string(64, 'a');
  CHECK(cli::token({.data = whole, .what = cli::token_revoke{"d"}}) == cli::exit_status::usage);
  CHECK(run(cli::token_revoke{whole}) == cli::exit_status::ok);
  CHECK(kept(dir).empty());
}

TEST_CASE("only a new token makes a directory and none is made among other files") {
  const testing::temp_directory dir;
  const auto run = [](const fs::path& at, auto what) {
    return cli::token({.data = at, .what = what});
  };
  const auto absent = dir.path() / "absent", other = dir.path() / "other",
             foreign = dir.path() / "foreign";
  CHECK(run(absent, cli::token_list{}) == cli::exit_status::damaged_store);
  CHECK(run(absent, cli::token_revoke{"0123456789abcdef"}) == cli::exit_status::damaged_store);
  CHECK_FALSE(fs::exists(absent));
  fs::create_directory(other);
  std::ofstream{other / "notes.txt"} << "mine\n";
  CHECK(run(other, cli::token_create{.user = "ann"}) == cli::exit_status::damaged_store);
  fs::create_directory(foreign);
  std::ofstream{foreign / "data.mdb"} << "no store at all, and longer than a head\n";
  CHECK(run(foreign, cli::token_create{.user = "ann"}) == cli::exit_status::damaged_store);
  CHECK_FALSE(fs::exists(foreign / "tokens"));
  CHECK(run(absent, cli::token_create{.user = "ann"}) == cli::exit_status::ok);
  CHECK(run(absent, cli::token_create{.user = "bob"}) == cli::exit_status::ok);
  CHECK(run(absent, cli::token_list{}) == cli::exit_status::ok);
}
