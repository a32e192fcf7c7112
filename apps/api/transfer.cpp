#include <troupe/state/transfer.hpp>

#include "api/api.hpp"
#include "api/route.hpp"

#include <algorithm>
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

struct imported_body {
  struct one {
    std::string scope{}, id{};
    static constexpr auto fields = std::tuple{field{"scope", &one::scope}, field{"id", &one::id}};
  };
  std::uint64_t count = 0;
  std::vector<one> entities{};
  static constexpr auto fields = std::tuple{field{"count", &imported_body::count},
                                            field{"entities", &imported_body::entities}};
};

/// What a stranger's file may cost; the body's length is limited by the server.
constexpr import_limits bounds{.entities = 1'000, .document_bytes = longest_import};

void post_import(const call_ptr& c) {
  const auto type = c->media_type();
  const bool msgpack = http::iequals(type, formats[1].type);
  if (!msgpack && !http::iequals(type, formats[0].type))
    return c->refuse({errc::unsupported_media_type,
                      "send an export as application/jsonl or application/msgpack"});
  c->doors.import(c->who,
                  {.file = std::move(c->request.body), .msgpack = msgpack, .limits = bounds},
                  [c](expected<std::vector<entity_ref>> done) {
                    if (!done)
                      return c->refuse(done.error());
                    imported_body out{.count = done->size()};
                    for (auto& one : *done)
                      out.entities.push_back({std::string{to_string(one.kind)}, std::move(one.id)});
                    auto answered = to_answer(out);
                    answered.status = 201;
                    c->send(std::move(answered));
                  });
}

constexpr route rows[] = {
    {"GET", "{S}/export", every_scope, role::reader, get_export,
     "The whole entity: `jsonl` and `msgpack` without loss, `markdown` for people", "format",
     nullptr, nullptr, 200, "application/jsonl application/msgpack text/markdown"},
    {"POST", "/v1/import", no_scope, role::writer, post_import,
     "Entities of an export become part of the node, all or none, with ids, times and revisions",
     "", nullptr, schema_of<imported_body>, 201, "", false, false, nullptr,
     "application/jsonl application/msgpack"},
};

}  // namespace

std::size_t longest_body(std::string_view method, std::string_view target,
                         const http::limits& bounds) {
  const bool import = method == "POST" && target.substr(0, target.find('?')) == "/v1/import";
  return import ? std::max(longest_import, bounds.body) : bounds.body;
}

std::span<const route> transfer_routes() {
  return rows;
}

}  // namespace troupe::api
