#include "troupe/store_tools.hpp"

#include <troupe/messages/messages.hpp>
#include <troupe/persistence/internal/lmdb.hpp>
#include <troupe/runtime/runtime.hpp>
#include <troupe/state/json.hpp>
#include <troupe/state/transfer.hpp>

#include "support/temp_directory.hpp"
#include "troupe/conversations.hpp"
#include "troupe/exit_status.hpp"
#include "troupe/inspect.hpp"
#include "troupe/store_tool.hpp"
#include "troupe/text.hpp"
#include "troupe/verify.hpp"
#include <doctest/doctest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <fstream>
#include <functional>
#include <limits>
#include <string>

using namespace troupe;
using namespace troupe::cli;
using troupe::testing::temp_directory;
namespace fs = std::filesystem;

namespace {

constexpr auto everything = std::numeric_limits<std::size_t>::max();

struct said {
  int status = 0;
  std::string out;
  std::string err;
};

std::string text_of(const fs::path& file) {
  std::ifstream in{file, std::ios::binary};
  return {std::istreambuf_iterator<char>{in}, {}};
}

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != text.npos;
}

class fixture {
public:
  [[nodiscard]] fs::path at(const char* name) const { return dir_.path() / name; }

  /// What a tool answers and prints.
  said run(const std::function<int()>& tool) {
    said out;
    const auto log = at("stdout"), errors = at("stderr");
    std::fflush(stdout);
    std::fflush(stderr);
    const int old_out = ::dup(1), old_err = ::dup(2);
    std::FILE* to[] = {std::fopen(log.c_str(), "w"), std::fopen(errors.c_str(), "w")};
    ::dup2(::fileno(to[0]), 1);
    ::dup2(::fileno(to[1]), 2);
    out.status = tool();
    std::fflush(stdout);
    std::fflush(stderr);
    ::dup2(old_out, 1);
    ::dup2(old_err, 2);
    for (const int fd : {old_out, old_err})
      ::close(fd);
    for (auto* file : to)
      std::fclose(file);
    out.out = text_of(log);
    out.err = text_of(errors);
    return out;
  }

  /// A store with every kind of entity, one of them deleted.
  fs::path make_store(const char* name = "store") {
    auto opened = runtime::open({.data = at(name), .now = [] { return timestamp{1'000'000}; }});
    REQUIRE(opened);
    auto& node = **opened;
    const auto apply = [&](const entity_ref& entity, operation what) {
      const auto done = node.execute({entity, {std::move(what)}});
      REQUIRE_MESSAGE(done, (done ? "" : done.error().message));
    };
    for (const char* id : {"a", "b", "gone"}) {
      apply(session_ref(id), create{.info = {.user = "ann"}});
      apply(session_ref(id),
            append_items{{value::map({{"role", "user"}, {"content", "Hello!"}}),
                          value::map({{"role", "assistant"}, {"content", "Hi\nthere"}})}});
      apply(session_ref(id), patch_state{{set_key{"k", value{1.0}}}});
    }
    apply(session_ref("gone"), erase{});
    for (const auto kind : {entity_kind::workflow, entity_kind::team, entity_kind::user})
      apply({"default", kind, "other"}, create{});
    apply({"else", entity_kind::session, "a"}, create{});
    node.close();
    return at(name);
  }

  std::string export_all(const fs::path& store, export_format format = export_format::jsonl) {
    const auto done = run([&] {
      return export_entities(
          {.data = store, .session = {}, .kind = {}, .format = format, .output = {}});
    });
    REQUIRE_MESSAGE(done.status == exit_status::ok, done.err);
    return done.out;
  }

  fs::path write(const char* name, const std::string& text) {
    std::ofstream{at(name), std::ios::binary} << text;
    return at(name);
  }

private:
  temp_directory dir_;
};

/// The conversations that stand beside the project where it is developed; empty elsewhere.
std::string recorded_conversations() {
  for (const char* up : {"/../../shared", "/../../../shared"}) {
    const fs::path file = std::string{TROUPE_TEST_DIR} + up + "/data/airline-conversations.jsonl";
    if (fs::exists(file))
      return text_of(file);
  }
  return {};
}

}  // namespace

TEST_CASE_FIXTURE(fixture, "what is exported is imported as the same bytes in both formats") {
  const auto store = make_store();
  const auto lines = export_all(store), packed = export_all(store, export_format::msgpack);
  CHECK(import_jsonl(lines)->size() == 7);
  CHECK(import_msgpack(packed)->size() == 7);
  for (const auto& [name, text] : {std::pair{"lines", lines}, {"packed", packed}}) {
    CAPTURE(name);
    const auto file = write("export", text);
    const auto done = run([&] { return import_entities({at(name), file}); });
    CHECK_MESSAGE(done.status == exit_status::ok, done.err);
    CHECK(has(done.out, "imported 7 entities"));
    CHECK(export_all(at(name)) == lines);
    CHECK(export_all(at(name), export_format::msgpack) == packed);
  }
}

TEST_CASE_FIXTURE(fixture, "an imported session goes on where the exported one was") {
  const auto file = write("export", export_all(make_store()));
  REQUIRE(run([&] { return import_entities({at("new"), file}); }).status == exit_status::ok);
  auto node = runtime::open({.data = at("new"), .now = {}});
  REQUIRE(node);
  const auto a = session_ref("a");
  const auto before = (*node)->read(a);
  REQUIRE(before);
  CHECK((*before)->revision == 3);
  CHECK(to_json((*before)->items[1].fields) == R"({"role":"assistant","content":"Hi\nthere"})");
  const auto appended = (*node)->execute({a, {append_items{{value::map({{"role", "user"}})}}}});
  REQUIRE(appended);
  CHECK(appended->revision == 4);
  CHECK(appended->first_seq == 3);
}

TEST_CASE_FIXTURE(fixture, "recorded conversations survive export and import item by item") {
  const auto text = recorded_conversations();
  if (text.empty()) {
    MESSAGE("SKIPPED: ../shared/data/airline-conversations.jsonl is not on this machine");
    return;
  }
  const auto file = read_conversations(text, "");
  REQUIRE(file.conversations.size() == 100);
  std::size_t items = 0;
  {
    auto node = runtime::open({.data = at("store"), .now = {}});
    REQUIRE(node);
    for (const auto& told : file.conversations) {
      const auto session = session_ref(told.id);
      REQUIRE((*node)->execute({session, {create{}, append_items{told.messages}}}));
      items += told.messages.size();
    }
  }
  const auto exported = write("export", export_all(at("store"), export_format::msgpack));
  REQUIRE(run([&] { return import_entities({at("new"), exported}); }).status == exit_status::ok);
  CHECK(export_all(at("new")) == export_all(at("store")));
  auto node = runtime::open({.data = at("new"), .now = {}});
  REQUIRE(node);
  for (const auto& told : file.conversations) {
    const auto state = (*node)->read(session_ref(told.id));
    REQUIRE(state);
    REQUIRE((*state)->items.size() == told.messages.size());
    for (std::size_t i = 0; i < told.messages.size(); ++i, --items)
      CHECK((*state)->items[i].fields == told.messages[i].view());
  }
  CHECK(items == 0);
}

TEST_CASE_FIXTURE(fixture, "an import that finds one entity there already imports none") {
  const auto store = make_store();
  const auto all = export_all(store);
  const auto one = run(
      [&] { return export_entities({.data = store, .session = "b", .kind = {}, .output = {}}); });
  REQUIRE(run([&] {
            return import_entities({at("new"), write("one", one.out)});
          }).status
          == exit_status::ok);
  const auto refused = run([&] { return import_entities({at("new"), write("all", all)}); });
  CHECK(refused.status == exit_status::failed);
  CHECK(has(refused.err, "default/session/b is in the store already; nothing was imported"));
  CHECK(export_all(at("new")) == one.out);
}

TEST_CASE_FIXTURE(fixture, "an import names the line that is wrong and makes no store") {
  auto text = export_all(make_store());
  text.insert(text.find('\n') + 1, "{\"x\":1}\n");
  const auto refused = run([&] { return import_entities({at("new"), write("bad", text)}); });
  CHECK(refused.status == exit_status::failed);
  CHECK(has(refused.err, "line 2"));
  CHECK_FALSE(fs::exists(at("new")));
  CHECK(run([&] {
          return import_entities({at("new"), at("missing")});
        }).status
        == exit_status::usage);
}

TEST_CASE_FIXTURE(fixture, "an export is of one session or of a kind or of all") {
  const auto store = make_store();
  const auto refs = [&](export_command what) {
    what.data = store;
    const auto done = run([&] { return export_entities(what); });
    REQUIRE(done.status == exit_status::ok);
    std::string out;
    const auto read = import_jsonl(done.out);
    REQUIRE(read);
    for (const auto& one : *read)
      out += to_string(one.ref) + ' ';
    return out;
  };
  CHECK(refs({.data = {}, .session = "a", .kind = {}, .output = {}}) == "default/session/a ");
  CHECK(refs({.data = {}, .session = "a", .kind = {}, .name_space = "else", .output = {}})
        == "else/session/a ");
  CHECK(refs({.data = {}, .session = {}, .kind = entity_kind::team, .output = {}})
        == "default/team/other ");
  const auto missing = run([&] {
    return export_entities({.data = store, .session = "nobody", .kind = {}, .output = {}});
  });
  CHECK(missing.status == exit_status::failed);
  CHECK(missing.out.empty());
}

TEST_CASE_FIXTURE(fixture, "an export to a file is private and never replaces one") {
  const auto store = make_store();
  const export_command what{.data = store,
                            .session = "a",
                            .kind = {},
                            .format = export_format::markdown,
                            .output = at("a.md")};
  CHECK(run([&] { return export_entities(what); }).status == exit_status::ok);
  struct stat info {};
  REQUIRE(::stat(what.output.c_str(), &info) == 0);
  CHECK((info.st_mode & 0777) == 0600);
  const auto text = text_of(what.output);
  CHECK(has(text, "Hello!"));
  CHECK(run([&] { return export_entities(what); }).status == exit_status::usage);
  CHECK(text_of(what.output) == text);
  auto missing = what;
  missing.session = "nobody";
  missing.output = at("b.md");
  CHECK(run([&] { return export_entities(missing); }).status == exit_status::failed);
  CHECK_FALSE(fs::exists(at("b.md")));
}

TEST_CASE_FIXTURE(fixture, "an export of a damaged store fails and leaves no file") {
  const auto store = make_store();
  {
    auto env = lmdb::environment::open(store, 64 << 20);
    auto txn = lmdb::transaction::write(env);
    const auto snapshots = txn.create_database("snapshots");
    std::string key, value;
    {
      lmdb::cursor at{txn, snapshots};
      const auto last = at.last();
      REQUIRE(last);
      key = last->key;
      value = last->value;
    }
    value.back() = static_cast<char>(value.back() ^ 1);
    txn.put(snapshots, key, value);
    txn.commit();
  }
  const auto refused = run([&] {
    return export_entities({.data = store, .session = {}, .kind = {}, .output = at("file")});
  });
  CHECK(refused.status == exit_status::damaged_store);
  CHECK(has(refused.err, "checksum"));
  CHECK_FALSE(fs::exists(at("file")));
}

TEST_CASE_FIXTURE(fixture, "a backup that is restored exports as the store it was made of") {
  const auto store = make_store();
  const auto all = export_all(store);
  for (const bool compacting : {false, true}) {
    const auto to = at(compacting ? "small" : "plain"), again = at(compacting ? "r1" : "r2");
    const auto made = run([&] { return backup({store, to, compacting}); });
    CHECK_MESSAGE(made.status == exit_status::ok, made.err);
    CHECK(made.out.starts_with("backed up 7 entities and 14 journal records, up to change 14: "));
    CHECK(run([&] { return cli::restore({to, again}); }).out.starts_with("restored 7 entities"));
    CHECK(export_all(again) == all);
  }
  CHECK(run([&] { return backup({store, at("plain")}); }).status == exit_status::usage);
  CHECK(run([&] { return cli::restore({at("plain"), store}); }).status == exit_status::usage);
  CHECK(run([&] {
          return cli::restore({at("none"), at("r3")});
        }).status
        == exit_status::damaged_store);
  CHECK(run([&] { return backup({at("none"), at("b3")}); }).status == exit_status::damaged_store);
  CHECK_FALSE(fs::exists(at("none")));
  CHECK(export_all(store) == all);
}

TEST_CASE_FIXTURE(fixture, "a compacted store is smaller and exports as before") {
  const auto store = make_store();
  const auto all = export_all(store);
  const auto before = fs::file_size(store / "data.mdb");
  const auto done = run([&] { return compact({store, 0}); });
  CHECK_MESSAGE(done.status == exit_status::ok, done.err);
  CHECK(done.out.starts_with("compacted 7 entities and 0 journal records: "));
  CHECK(fs::file_size(store / "data.mdb") < before);
  CHECK(export_all(store) == all);
}

TEST_CASE_FIXTURE(fixture, "every tool but backup refuses a store that a process has open") {
  const auto store = make_store();
  const auto file = write("export", export_all(store));
  const auto node = runtime::open({.data = store, .now = {}});
  REQUIRE(node);
  const std::function<int()> tools[] = {
      [&] {
        return cli::restore({store, at("r")});
      },
      [&] {
        return compact({store, 0});
      },
      [&] {
        return migrate({store, true});
      },
      [&] { return export_entities({.data = store, .session = {}, .kind = {}, .output = {}}); },
      [&] {
        return import_entities({store, file});
      }};
  for (const auto& tool : tools) {
    const auto refused = run(tool);
    CHECK(refused.status == exit_status::in_use);
    CHECK(refused.out.empty());
    CHECK(has(refused.err, "error: "));
  }
}

TEST_CASE_FIXTURE(fixture, "a list tells which entities are deleted") {
  const auto list = [&](const fs::path& store, bool json) {
    return run([&] { return inspect({store, inspect_list{}, json}); }).out;
  };
  const auto store = make_store();
  for (const auto* way : {"as it was written", "folded"}) {
    CAPTURE(way);
    const auto lines = list(store, true);
    CHECK(has(lines, R"("id":"gone","revision":4,"status":"deleted")"));
    CHECK(has(lines, R"("id":"a","revision":3,"status":"live")"));
    CHECK(has(list(store, false), "         4  deleted  default/session/gone\n"));
    CHECK(has(list(store, false), "         3  live     default/session/a\n"));
    CHECK(run([&] { return compact({store, 0}); }).status == exit_status::ok);
  }
}

TEST_CASE_FIXTURE(fixture, "compact tells the size that the file had before") {
  const auto store = make_store();
  const auto size = group_digits(fs::file_size(store / "data.mdb"));
  const auto done = run([&] { return compact({store, 0}); });
  CHECK_MESSAGE(has(done.out, "(" + size + ", "), done.out);
}

TEST_CASE_FIXTURE(fixture, "a backup is not told to have an owner that did not close it") {
  const auto store = make_store();
  const auto node = runtime::open({.data = store, .now = {}});
  REQUIRE(node);
  REQUIRE(run([&] { return backup({store, at("copy")}); }).status == exit_status::ok);
  const auto done = run([&] { return cli::verify({.data = at("copy")}); });
  CHECK(done.status == exit_status::ok);
  CHECK_FALSE(has(done.out, "note:"));
}

TEST_CASE_FIXTURE(fixture,
                  "an export to a name that cannot be one is a fault of the command line") {
  const auto store = make_store();
  const auto to = [&](const fs::path& file) {
    return run([&] {
             return export_entities({.data = store, .session = {}, .kind = {}, .output = file});
           })
        .status;
  };
  CHECK(to(at("nodir") / "x") == exit_status::usage);
  CHECK(to(store) == exit_status::usage);
}

TEST_CASE_FIXTURE(fixture,
                  "a directory that others can enter is refused by the settings' exit code") {
  const auto store = make_store();
  ::chmod(store.c_str(), 0755);
  const auto done = run([&] { return inspect({store, inspect_stats{}}); });
  CHECK(done.status == exit_status::configuration);
  CHECK(has(done.err, "chmod 700"));
}

TEST_CASE_FIXTURE(fixture, "migrate says the format and that a current store needs nothing") {
  const auto done = run([store = make_store()] { return migrate({store, true}); });
  CHECK(done.status == exit_status::ok);
  CHECK(has(done.out, "the store has format"));
  CHECK(has(done.out, "nothing to migrate"));
  CHECK(run([&] { return migrate({at("none"), false}); }).status == exit_status::damaged_store);
}

TEST_CASE_FIXTURE(fixture, "inspect shows any kind and the end of a history and of the journal") {
  const auto store = make_store();
  const auto look = [&](auto what, bool json = true) {
    const auto done = run([&] { return inspect({store, what, json}); });
    CHECK_MESSAGE(done.status == exit_status::ok, done.err);
    return done.out;
  };
  CHECK(look(inspect_list{entity_kind::user})
        == R"({"namespace":"default","kind":"user","id":"other","revision":1,"status":"live"})"
           "\n");
  CHECK(look(inspect_list{entity_kind::global}, false) == "none\n");
  const auto shown =
      value_from_json(look(inspect_show{{"default", entity_kind::team, "other"}})).value();
  CHECK(shown.view().find("kind")->as_string() == "team");
  CHECK(look(inspect_history{session_ref("a"), 1})
        == R"({"seq":2,"at":"1970-01-01T00:16:40.000Z","role":"assistant","content":"Hi\nthere"})"
           "\n");
  CHECK(look(inspect_history{session_ref("a"), everything}, false)
        == "user       Hello!\nassistant  Hi there\n");
  const auto end = look(inspect_journal{.last = 2});
  CHECK(has(end, R"({"position":13,)"));
  CHECK(has(end, R"({"position":14,)"));
  CHECK_FALSE(has(end, R"({"position":12,)"));
  CHECK(has(look(inspect_journal{.to = 3, .last = 1}), R"({"position":3,)"));
  const auto none = run([&] {
    return inspect({store, inspect_history{{"default", entity_kind::team, "a"}, 0}, false});
  });
  CHECK(none.status == exit_status::failed);
  CHECK(has(none.err, "no team a in the namespace default"));
}
