#include <troupe/actors/result_cache.hpp>

#include "api/route.hpp"

#include <chrono>
#include <utility>

/// /v1/cache: results worth keeping. A key is the SHA-256 that `POST /v1/cache/key` makes.
namespace troupe::api {

namespace {

struct key_request {
  std::string agent{};
  value request{};
  value permissions{};
  bool shared = false;
  static constexpr auto fields =
      std::tuple{field{"agent", &key_request::agent}, field{"request", &key_request::request},
                 defaulted{"permissions", &key_request::permissions},
                 defaulted{"shared", &key_request::shared}};
};
struct key_body {
  std::string key{};
  static constexpr auto fields = std::tuple{field{"key", &key_body::key}};
};
struct result_request {
  value output{};
  std::string agent{};
  value request{};
  std::optional<std::string> content_hash{};
  std::vector<std::string> tags{};
  std::optional<std::uint64_t> ttl_s{};
  static constexpr auto fields = std::tuple{field{"output", &result_request::output},
                                            field{"agent", &result_request::agent},
                                            field{"request", &result_request::request},
                                            field{"content_hash", &result_request::content_hash},
                                            defaulted{"tags", &result_request::tags},
                                            field{"ttl_s", &result_request::ttl_s}};
};
struct result_body {
  value output{};
  std::string agent{};
  value request{};
  std::optional<std::string> content_hash{};
  std::vector<std::string> tags{};
  std::optional<timestamp> expires_at{};
  static constexpr auto fields = std::tuple{
      field{"output", &result_body::output},   field{"agent", &result_body::agent},
      field{"request", &result_body::request}, field{"content_hash", &result_body::content_hash},
      field{"tags", &result_body::tags},       field{"expires_at", &result_body::expires_at}};
};
struct invalidation_request {
  std::optional<std::string> tag{}, agent{}, content_hash{};
  std::optional<bool> all{};
  static constexpr auto fields = std::tuple{
      field{"tag", &invalidation_request::tag}, field{"agent", &invalidation_request::agent},
      field{"content_hash", &invalidation_request::content_hash},
      field{"all", &invalidation_request::all}};
};
struct removed_body {
  std::uint64_t removed = 0;
  static constexpr auto fields = std::tuple{field{"removed", &removed_body::removed}};
};
struct stats_body {
  std::uint64_t entries = 0, bytes = 0, hits = 0, misses = 0;
  double hit_ratio = 0;
  std::uint64_t evictions = 0, expirations = 0;
  double average_access_count = 0;
  static constexpr auto fields =
      std::tuple{field{"entries", &stats_body::entries},
                 field{"bytes", &stats_body::bytes},
                 field{"hits", &stats_body::hits},
                 field{"misses", &stats_body::misses},
                 field{"hit_ratio", &stats_body::hit_ratio},
                 field{"evictions", &stats_body::evictions},
                 field{"expirations", &stats_body::expirations},
                 field{"average_access_count", &stats_body::average_access_count}};
};

template <described T>
answer without_etag(const T& body) {
  auto out = to_answer(body, 0);
  out.etag.reset();
  return out;
}

expected<cache_id> id_of(const call& c) {
  const auto digest = sha256_from_hex(c.parameters[0]);
  if (!digest)
    return fail(errc::bad_id, "a key is 64 lower-case hexadecimal digits");
  return cache_id{c.who.name_space, {*digest}};
}

/// What is kept under the key for this principal: others' results are a miss. No trace is left.
std::optional<cache_entry> visible(const call& c, const cache_id& id) {
  auto found = c.doors.cache().inspect(id);
  if (found && !c.who.by.trusted && !found->content.owner.empty()
      && found->content.owner != c.who.by.user)
    return std::nullopt;
  return found;
}

/// Somebody else's result under the key: it is neither read nor replaced.
bool is_foreign(const call& c, const cache_id& id) {
  return c.doors.cache().inspect(id).has_value() && !visible(c, id);
}

void make_key(const call_ptr& c) {
  const auto body = c->body_as<key_request>();
  if (!body)
    return c->refuse(body.error());
  const auto& user = c->who.by.user;
  const auto key = make_cache_key(
      {.name_space = c->who.name_space,
       .user = body->shared || user.empty() ? std::nullopt : std::optional<std::string_view>{user},
       .agent = body->agent,
       .request = body->request,
       .permissions = body->permissions});
  c->send(without_etag(key_body{to_hex(key.digest)}));
}

void get_result(const call_ptr& c) {
  const auto id = id_of(*c);
  if (!id)
    return c->refuse(id.error());
  const auto found = visible(*c, *id);
  auto output = found || !is_foreign(*c, *id) ? c->doors.cache().get(*id)  // a hit or miss counts
                                              : std::nullopt;
  if (!found || !output)
    return c->refuse({errc::not_found, "no such result"});
  const auto& kept = found->content;
  c->send(without_etag(result_body{
      .output = *std::move(output),
      .agent = kept.agent,
      .request = kept.request,
      .content_hash = kept.content_hash.empty() ? std::nullopt : std::optional{kept.content_hash},
      .tags = kept.tags,
      .expires_at = found->expires_at}));
}

void put_result(const call_ptr& c) {
  const auto id = id_of(*c);
  if (!id)
    return c->refuse(id.error());
  auto body = c->body_as<result_request>();
  if (!body)
    return c->refuse(body.error());
  if (is_foreign(*c, *id))
    return c->refuse({errc::forbidden, "somebody else's result is kept under this key"});
  set_cached what{.id = *id,
                  .content = {.output = std::move(body->output),
                              .request = std::move(body->request),
                              .agent = std::move(body->agent),
                              .owner = c->who.by.user,
                              .content_hash = std::move(body->content_hash).value_or(""),
                              .tags = std::move(body->tags)}};
  constexpr std::uint64_t longest = max_number / 1000;
  if (body->ttl_s)
    what.ttl = *body->ttl_s > longest ? std::chrono::milliseconds::max()
                                      : std::chrono::milliseconds{*body->ttl_s * 1000};
  c->doors.cache().set(std::move(what), [c](expected<void> done) {
    if (!done)
      return c->refuse(done.error());
    c->send(answer{.status = 204});
  });
}

/// Removes and answers `shape(count)`.
void invalidate(const call_ptr& c, cache_invalidation what,
                std::function<answer(std::size_t)> shape) {
  c->doors.cache().invalidate(std::move(what),
                              [c, shape = std::move(shape)](expected<invalidated> done) {
                                if (!done)
                                  return c->refuse(done.error());
                                c->send(shape(done->count));
                              });
}

void delete_result(const call_ptr& c) {
  const auto id = id_of(*c);
  if (!id)
    return c->refuse(id.error());
  if (is_foreign(*c, *id))
    return c->send(answer{.status = 204});  // as where there is none
  invalidate(c, {id->name_space, id->key}, [](std::size_t) { return answer{.status = 204}; });
}

void invalidate_some(const call_ptr& c) {
  auto body = c->body_as<invalidation_request>();
  if (!body)
    return c->refuse(body.error());
  cache_invalidation what{c->who.name_space, {}};
  int given = 0;
  for (const auto& [label, text] : {std::pair{cache_label::tag, &body->tag},
                                    {cache_label::agent, &body->agent},
                                    {cache_label::content_hash, &body->content_hash}}) {
    if (!*text)
      continue;
    ++given;
    what.what = cache_invalidation::labelled{label, **text};
  }
  if (body->all.value_or(false)) {
    ++given;
    what.what = cache_invalidation::everything{};
  }
  if (given != 1)
    return c->refuse({errc::invalid_value, "give one of `tag`, `agent`, `content_hash` and `all`"});
  invalidate(c, std::move(what),
             [](std::size_t count) { return without_etag(removed_body{count}); });
}

void get_cache_stats_of(const call_ptr& c) {
  const auto held = c->doors.cache().stats(c->who.name_space);
  c->send(without_etag(stats_body{.entries = held.entries,
                                  .bytes = held.bytes,
                                  .hits = held.hits,
                                  .misses = held.misses,
                                  .hit_ratio = held.hit_ratio(),
                                  .evictions = held.evictions(),
                                  .expirations = held.expirations,
                                  .average_access_count = held.average_access_count}));
}

constexpr route rows[] = {
    {"POST", "/v1/cache/key", no_scope, role::reader, make_key,
     "The key of a request: of the principal's user, unless `shared`", "", schema_of<key_request>,
     schema_of<key_body>},
    {"POST", "/v1/cache/invalidate", no_scope, role::writer, invalidate_some,
     "Remove results by tag, agent or content hash, or all", "", schema_of<invalidation_request>,
     schema_of<removed_body>},
    {"GET", "/v1/cache/stats", no_scope, role::reader, get_cache_stats_of,
     "Counters of the namespace", "", nullptr, schema_of<stats_body>},
    {"GET", "/v1/cache/{key}", no_scope, role::reader, get_result, "A kept result; 404 is a miss",
     "", nullptr, schema_of<result_body>},
    {"PUT", "/v1/cache/{key}", no_scope, role::writer, put_result, "Keep a result", "",
     schema_of<result_request>, nullptr, 204},
    {"DELETE", "/v1/cache/{key}", no_scope, role::writer, delete_result, "Remove one result", "",
     nullptr, nullptr, 204},
};

}  // namespace

std::span<const route> cache_routes() {
  return rows;
}

}  // namespace troupe::api
