#include "api/tokens.hpp"

#include "support/temp_directory.hpp"
#include <doctest/doctest.h>
#include <sys/stat.h>

#include <fstream>
#include <string>

/// Tokens as a file and as a table, without a node.

using namespace troupe;

namespace {

constexpr timestamp noon{1'767'355'200'123};

api::new_token made(char seed, api::token_entry what) {
  what.created = noon;
  return api::make_token(std::string(40, seed), std::move(what));
}

const api::token_entry ann{.user = "ann", .held = api::role::writer};

}  // namespace

TEST_CASE("a token is its id and a secret of which only a hash is kept") {
  const auto one = made('\x01', ann);
  std::string secret;
  for (int i = 0; i < 32; ++i)
    secret += "01";
  CHECK(one.text == "troupe_0101010101010101_" + secret);
  CHECK(one.kept.id == "0101010101010101");
  CHECK(one.kept.sha256 == to_hex(sha256_hasher{}.update(secret).finish()));
  CHECK(api::write_tokens({one.kept}).find(secret) == std::string::npos);
}

TEST_CASE("tokens are written as they were read") {
  auto later = made('\x02', {.user = "bob \"b\"", .name_space = "other", .held = api::role::admin});
  later.kept.expires = noon;
  const auto text = api::write_tokens({made('\x01', ann).kept, later.kept});
  const auto read = api::parse_tokens(text);
  REQUIRE(read);
  CHECK(api::write_tokens(*read) == text);
  CHECK((*read)[1].user == "bob \"b\"");
  CHECK((*read)[1].held == api::role::admin);
  CHECK((*read)[1].expires == noon);
}

TEST_CASE("a file of tokens that is damaged names its line") {
  const auto good = api::write_tokens({made('\x01', ann).kept});
  const auto with = [&](const std::string& what, const std::string& other) {
    auto line = good;
    line.replace(line.find(what), what.size(), other);
    return good + line;
  };
  for (const auto& bad : {with("writer", "owner"), with("writer", "anybody"),
                          with("\"ann\"", "\"\""), with("0101010101010101", "0101"), with("{", "["),
                          with("\"default\"", "\"\""), with("{", "{\"more\":1,")}) {
    CAPTURE(bad);
    const auto read = api::parse_tokens(bad);
    REQUIRE(!read);
    CHECK(read.error().code == errc::damaged);
    CHECK(read.error().message.starts_with("line 2 "));
  }
}

TEST_CASE("the file of tokens is for its owner alone") {
  const testing::temp_directory dir;
  const auto file = api::tokens_path(dir.path());
  REQUIRE(api::save_tokens(file, {made('\x01', ann).kept}));
  struct stat found {};
  REQUIRE(::stat(file.c_str(), &found) == 0);
  CHECK((found.st_mode & 0777) == 0600);
}

TEST_CASE("a table finds whose a token is until it expires or is gone") {
  const testing::temp_directory dir;
  const auto file = api::tokens_path(dir.path());
  api::token_table table;
  REQUIRE(table.reload(file));
  CHECK(!table.needed());
  auto one = made('\x01', ann);
  one.kept.expires = timestamp{noon.ms + 1000};
  const auto two = made('\x02', {.name_space = "n", .held = api::role::admin});
  REQUIRE(api::save_tokens(file, {one.kept, two.kept}));
  REQUIRE(table.reload(file));
  CHECK(table.needed());
  const auto who = table.find(one.text, noon);
  REQUIRE(who);
  CHECK(*who
        == api::identity{
            .by = {.user = "ann"}, .held = api::role::writer, .token = "0101010101010101"});
  CHECK(table.find(two.text, noon)->by.trusted);
  CHECK(table.find(two.text, noon)->name_space == "n");
  CHECK(!table.find(one.text, timestamp{noon.ms + 1000}));
  CHECK(table.holds(*who, noon));
  CHECK(!table.holds(*who, timestamp{noon.ms + 1000}));
  for (std::size_t i = 0; i < one.text.size(); ++i) {
    auto wrong = one.text;
    wrong[i] = wrong[i] == '0' ? '1' : '0';
    CAPTURE(i);
    CHECK(!table.find(wrong, noon));
  }
  CHECK(!table.find("", noon));
  CHECK(!table.find(one.text + "0", noon));
  auto changed = one.kept;
  changed.held = api::role::reader;
  REQUIRE(api::save_tokens(file, {changed}));
  REQUIRE(table.reload(file));
  CHECK(!table.holds(*who, noon));
  CHECK(!table.find(two.text, noon));
}

TEST_CASE("a file that is gone or damaged lets nobody in") {
  const testing::temp_directory dir;
  const auto file = api::tokens_path(dir.path());
  const auto one = made('\x01', ann);
  api::token_table table;
  REQUIRE(api::save_tokens(file, {one.kept}));
  REQUIRE(table.reload(file));
  std::filesystem::remove(file);
  CHECK(table.reload(file));
  CHECK(table.needed());
  CHECK(!table.find(one.text, noon));
  REQUIRE(api::save_tokens(file, {one.kept}));
  REQUIRE(table.reload(file));
  CHECK(table.find(one.text, noon));
  std::ofstream{file, std::ios::app} << "{";
  CHECK(table.reload(file).error().code == errc::damaged);
  CHECK(table.needed());
  CHECK(!table.find(one.text, noon));
  CHECK(!table.reload(file));  // and says so again
  std::filesystem::remove(file);
  CHECK(table.reload(file));
  CHECK(table.needed());
  CHECK(!table.find(one.text, noon));
}
