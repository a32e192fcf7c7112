#include <troupe/state/transfer.hpp>

#include "api/route.hpp"

#include <utility>

/// Whole entities as files.
namespace troupe::api {

namespace {

struct format {
  std::string_view name, type;
};
constexpr format formats[] = {{"jsonl", "application/jsonl"},
                              {"msgpack", "application/msgpack"},
                              {"markdown", "text/markdown; charset=utf-8"}};

expected<format> wanted_format(const call& c) {
  const auto* name = c.query("format");
  const auto* accepted = c.request.find_header("Accept");
  const std::string_view wanted = name ? std::string_view{*name}
                                  : accepted && *accepted == formats[1].type ? "msgpack"
                                                                             : "jsonl";
  for (const auto& one : formats) {
    if (one.name == wanted)
      return one;
  }
  return fail(errc::invalid_value, "`format` is jsonl, msgpack or markdown", "format");
}

void get_export(const call_ptr& c) {
  const auto format = wanted_format(*c);
  if (!format)
    return c->refuse(format.error());
  c->entity.read(false, [c, format = *format](expected<runtime::snapshot> state) {
    if (!state)
      return c->refuse(state.error());
    const auto& ref = c->entity.ref();
    http::response out{.headers = {{"ETag", '"' + std::to_string((**state).revision) + '"'}}};
    out.content_type = format.type;
    out.body = format.name == "jsonl"     ? export_jsonl(ref, **state)
               : format.name == "msgpack" ? export_msgpack(ref, **state)
                                          : export_markdown(ref, **state, c->doors.now());
    c->send(std::move(out));
  });
}

constexpr route rows[] = {
    {"GET", "{S}/export", every_scope, role::reader, get_export,
     "The whole entity: `jsonl` and `msgpack` without loss, `markdown` for people", "format",
     nullptr, nullptr, 200, "application/jsonl application/msgpack text/markdown"},
};

}  // namespace

std::span<const route> transfer_routes() {
  return rows;
}

}  // namespace troupe::api
