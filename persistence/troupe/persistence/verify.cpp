#include <troupe/persistence/internal/bytes.hpp>
#include <troupe/persistence/internal/child.hpp>
#include <troupe/persistence/internal/verification.hpp>
#include <troupe/persistence/verify.hpp>

#include <array>

namespace troupe {

namespace {

// A report between two processes: numbers, then strings with their lengths.

void put(std::string& out, std::uint64_t number) {
  std::array<char, 8> bytes{};
  internal::put_le(bytes.data(), number);
  out.append(bytes.data(), bytes.size());
}

std::string to_bytes(const verify_report& what) {
  std::string out;
  for (const auto number :
       {what.pages, what.free_pages, what.records, what.snapshots, what.chunks, what.unused_chunks,
        what.name_spaces, what.position, std::uint64_t{what.clean}, what.fault_count})
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
  for (auto* number : {&out.pages, &out.free_pages, &out.records, &out.snapshots, &out.chunks,
                       &out.unused_chunks, &out.name_spaces, &out.position})
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
    auto out = internal::verification{*directory, options}.run();
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
