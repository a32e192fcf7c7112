#include "troupe/tool_options.hpp"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <array>
#include <utility>

namespace troupe::cli {

namespace {

constexpr std::array kinds{entity_kind::session, entity_kind::workflow, entity_kind::team,
                           entity_kind::user, entity_kind::global};

constexpr std::uint64_t mib = 1 << 20;

}  // namespace

std::vector<std::string> data_first(std::vector<std::string> words) {
  constexpr std::array tools{"backup", "restore", "compact", "migrate", "export", "import"};
  const auto tool = std::ranges::find_first_of(words, tools);
  const auto end = std::find(tool, words.end(), "--");
  const auto data = std::find_if(
      tool, end, [](const std::string& x) { return x == "--data" || x.starts_with("--data="); });
  if (data == end)
    return words;
  const bool two_words = *data == "--data" && data + 1 != end;
  std::rotate(tool + 1, data, data + (two_words ? 2 : 1));
  return words;
}

std::vector<std::string> kind_names() {
  std::vector<std::string> out;
  out.reserve(kinds.size());
  for (const auto kind : kinds)
    out.emplace_back(to_string(kind));
  return out;
}

std::optional<entity_kind> optional_kind(std::string_view name) {
  for (const auto kind : kinds)
    if (to_string(kind) == name)
      return kind;
  return {};
}

CLI::App* tool_options::add_directory(CLI::App* sub, const char* name, std::string& where,
                                      const char* what) {
  sub->add_option(name, where, what)->required()->type_name(" ")->check([](const std::string& x) {
    return x.empty() ? std::string{"a directory has a name"} : std::string{};
  });
  return sub;
}

void tool_options::add_to(const add_function& add) {
  auto* backup = add("backup",
                     "Copy a store into a new directory, while a node has it open or not; the copy "
                     "is walked and synced\nbefore it gets its name",
                     [this]() -> command {
                       return backup_command{data_, other_, compacting_, rate_ * mib};
                     });
  add_directory(backup, "DIR,--data", data_, "Directory of the store");
  add_directory(backup, "TO", other_, "The backup: a directory that is not there, or is empty");
  backup->add_flag("--compact", compacting_, "Leave free pages out: smaller, and slower to make");
  backup->add_option("--rate", rate_, "At most so many MiB a second; 0: no limit")
      ->type_name("MIB")
      ->check(CLI::Range(0, 1 << 20))
      ->capture_default_str();
  backup->footer(
      footer("  troupe backup /var/lib/troupe /backup/2026-11-20\n"
             "  troupe backup state /backup/small --compact --rate 50\n"));

  auto* restore = add("restore",
                      "Make a store of a backup where there is none. The backup is copied, the "
                      "copy walked and synced\nbefore it gets its name; the backup stays as it is",
                      [this]() -> command {
                        return restore_command{other_, data_};
                      });
  add_directory(restore, "FROM", other_, "The backup");
  add_directory(restore, "DIR,--data", data_,
                "The store: a directory that is not there, or is empty");
  restore->footer(footer("  troupe restore /backup/2026-11-20 /var/lib/troupe\n"));

  auto* compact = add("compact",
                      "Make the file of a store that no process has open as small as what it "
                      "holds: all changes go\ninto snapshots, old journal goes, and a copy without "
                      "free pages takes the file's place",
                      [this]() -> command {
                        return compact_command{data_, journal_kept_};
                      });
  add_directory(compact, "DIR,--data", data_, "Directory of the store; needs room for the copy");
  compact
      ->add_option(
          "--journal-kept", journal_kept_,
          "Bytes of journal kept behind the snapshots, as of serve. 0 may make a small store "
          "larger: revisions to undo to move from the journal to each entity")
      ->type_name("BYTES")
      ->check(CLI::Range(std::uint64_t{0}, std::uint64_t{1} << 50))
      ->capture_default_str();
  compact->footer(
      footer("  troupe compact /var/lib/troupe\n"
             "  troupe compact state --journal-kept 0   # no history of changes\n"));

  auto* migrate = add("migrate",
                      "Bring a store of an older format to the one of this build. A record that is "
                      "not known stops it;\nthe store then is as it was",
                      [this]() -> command {
                        return migrate_command{data_, dry_run_};
                      });
  add_directory(migrate, "DIR,--data", data_,
                "Directory of the store; needs room for a second one");
  migrate->add_flag("--dry-run", dry_run_, "Read everything, say what would change, write nothing");
  migrate->footer(footer("  troupe migrate /var/lib/troupe --dry-run\n"));

  auto* exports = add("export",
                      "Write whole entities as JSON Lines or msgpack, which `troupe import` takes "
                      "back exactly, or\nas Markdown for people",
                      [this] { return chosen_export(); });
  add_directory(exports, "DIR,--data", data_, "Directory of the store");
  auto* session = exports->add_option("--session", session_, "Only this session")->type_name("ID");
  exports->add_option("--namespace", name_space_, "The namespace it is in")
      ->type_name("NAME")
      ->needs(session)
      ->default_str("default");
  auto* kind = exports->add_option("--kind", kind_, "Only entities of this kind")
                   ->type_name("KIND")
                   ->check(CLI::IsMember(kind_names()))
                   ->excludes(session);
  exports->add_flag("--all", all_, "Everything, deleted entities too")
      ->excludes(session)
      ->excludes(kind);
  exports->add_option("--format", format_, "jsonl, msgpack or markdown")
      ->type_name("FORMAT")
      ->check(CLI::IsMember({"jsonl", "msgpack", "markdown"}))
      ->capture_default_str();
  exports->add_option("-o,--output", output_, "A file that is not there; default: standard output")
      ->type_name("FILE");
  exports->footer(
      footer("  troupe export state --all -o all.jsonl\n"
             "  troupe export state --session demo-hello --format markdown\n"));

  auto* import = add("import",
                     "Take the entities of an export (JSON Lines or msgpack) into a store that no "
                     "process has open,\nwith their revisions and times; all of them or, if one is "
                     "there already, none",
                     [this]() -> command {
                       return import_command{data_, other_};
                     });
  add_directory(import, "DIR,--data", data_, "Directory of the store; made when it is not there");
  import->add_option("FILE", other_, "What `troupe export` wrote")->required()->type_name(" ");
  import->footer(footer("  troupe import state all.jsonl\n"));
}

command tool_options::chosen_export() const {
  if (session_.empty() && kind_.empty() && !all_)
    throw CLI::ValidationError("export", "say what: --session ID, --kind KIND or --all");
  export_command out;
  out.data = data_;
  if (!session_.empty())
    out.session = session_;
  out.kind = optional_kind(kind_);
  out.name_space = name_space_;
  out.format = format_ == "jsonl"     ? export_format::jsonl
               : format_ == "msgpack" ? export_format::msgpack
                                      : export_format::markdown;
  out.output = output_;
  return out;
}

}  // namespace troupe::cli
