#include <troupe/messages/messages.hpp>
#include <troupe/state/codec.hpp>
#include <troupe/state/transfer.hpp>

#include "troupe/exit_status.hpp"
#include "troupe/interrupt.hpp"
#include "troupe/store_tool.hpp"
#include "troupe/store_tools.hpp"
#include "troupe/text.hpp"
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <memory>

namespace troupe::cli {

namespace {

struct close_file {
  void operator()(std::FILE* file) const { std::fclose(file); }
};

/// Else it is the name's: there is such a file, there is no such directory, it is another's.
bool is_disks_fault(int code) {
  return code == ENOSPC || code == EDQUOT || code == EIO || code == EROFS;
}

/// Standard output, or a file that must not be there yet and goes again unless it was finished.
class output {
public:
  output(output&&) noexcept = default;
  output& operator=(output&&) = delete;
  ~output() {
    std::error_code ec;
    if (owned_)
      std::filesystem::remove(path_, ec);
  }

  static expected<output> open(const std::filesystem::path& path) {
    output out;
    if (path.empty())
      return out;
    const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd >= 0)
      out.owned_.reset(::fdopen(fd, "wb"));
    if (!out.owned_)
      return fail(is_disks_fault(errno) ? errc::store_failed : errc::invalid_value,
                  "cannot create " + path.string() + ": " + std::strerror(errno));
    out.path_ = path;
    return out;
  }

  bool write(std::string_view text) {
    return std::fwrite(text.data(), 1, text.size(), file()) == text.size();
  }

  /// All of it is written; a file is on disk.
  bool finish() {
    if (std::fflush(file()) != 0 || std::ferror(file()) != 0)
      return false;
    if (owned_ && ::fsync(::fileno(owned_.get())) != 0)
      return false;
    owned_.reset();
    return true;
  }

private:
  output() = default;

  [[nodiscard]] std::FILE* file() const { return owned_ ? owned_.get() : stdout; }

  std::unique_ptr<std::FILE, close_file> owned_;
  std::filesystem::path path_;
};

class exporter {
public:
  exporter(journal_store& store, const export_command& options, output& to)
      : store_{store},
        options_{options},
        to_{to} {}

  [[nodiscard]] bool wanted(const entity_ref& entity) const {
    if (options_.session)
      return entity == entity_ref{options_.name_space, entity_kind::session, *options_.session};
    return !options_.kind || entity.kind == *options_.kind;
  }

  expected<void> run(const entity_ref& entity) {
    const auto stored = store_.load(entity);
    if (!stored)
      return unexpected{stored.error()};
    const auto state = join_entity(stored->parts);
    if (!state)
      return fail(state.error().code, to_string(entity) + ": " + state.error().message);
    bool written = true;
    const export_sink sink = [&](std::string_view text) { written = to_.write(text) && written; };
    switch (options_.format) {
      case export_format::jsonl: export_jsonl(entity, *state, sink); break;
      case export_format::msgpack: export_msgpack(entity, *state, sink); break;
      case export_format::markdown: sink(export_markdown(entity, *state, now())); break;
    }
    if (!written)
      return fail(errc::store_failed, "the export cannot be written");
    return {};
  }

private:
  static timestamp now() {
    const auto since = std::chrono::system_clock::now().time_since_epoch();
    return {std::chrono::duration_cast<std::chrono::milliseconds>(since).count()};
  }

  journal_store& store_;
  const export_command& options_;
  output& to_;
};

}  // namespace

int export_entities(const export_command& options) {
  const interrupt_scope interrupts;
  auto store = open_existing(options.data);
  if (!store)
    return report_opening(store.error());
  auto to = output::open(options.output);
  if (!to)
    return report(to.error().message, to.error().code == errc::invalid_value
                                          ? exit_status::usage
                                          : exit_status::io_failure);
  exporter exports{*store, options, *to};
  std::uint64_t count = 0;
  expected<void> fault;
  const auto listed = store->for_each_entity([&](const entity_ref& entity, std::uint64_t) {
    if (exports.wanted(entity)) {
      fault = exports.run(entity);
      ++count;
    }
    return fault && !interrupt_scope::requested();
  });
  if (!listed)
    return report(listed.error());
  if (!fault)
    return report(fault.error());
  if (interrupt_scope::requested())
    return report("interrupted; the export is not complete", exit_status::interrupted);
  if (count == 0 && options.session)
    return report("no session " + *options.session + " in the namespace " + options.name_space,
                  exit_status::failed);
  if (!to->finish())
    return report("the export cannot be written", exit_status::io_failure);
  if (!options.output.empty())
    std::printf("exported %s to %s\n", count_of_entities(count).c_str(),
                escape_controls(options.output.string()).c_str());
  return exit_status::ok;
}

}  // namespace troupe::cli
