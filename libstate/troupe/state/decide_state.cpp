#include <troupe/state/digest.hpp>
#include <troupe/state/internal/decider.hpp>
#include <troupe/state/internal/stored.hpp>
#include <troupe/state/merge_patch.hpp>
#include <troupe/state/schema.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <string>
#include <unordered_set>

/// Operations of every scope: its description and its key-value state.
namespace troupe::internal {

value owner_value(std::string_view user) {
  return user.empty() ? value{} : value{user};
}

value policy_value(const policy& limits) {
  const std::pair<std::string_view, std::optional<std::uint64_t>> fields[] = {
      {"loop_limit", limits.loop_limit},
      {"token_budget", limits.token_budget},
      {"checkpoint_every", limits.checkpoint_every},
      {"keep_checkpoints", limits.keep_checkpoints},
      {"keep_revisions", limits.keep_revisions},
      {"keep_revisions_ms", limits.keep_revisions_ms}};
  value_writer out;
  out.begin_map(static_cast<std::size_t>(
      std::count_if(std::begin(fields), std::end(fields), [](auto& f) { return f.second; })));
  for (const auto& [name, number] : fields) {
    if (number)
      out.string(name).unsigned_integer(*number);
  }
  return out.finish();
}

namespace {

expected<void> check_policy(const policy& limits) {
  if (limits.loop_limit == 0u)
    return fail(errc::invalid_value, "a loop is at least one call", "/policy/loop_limit");
  if (limits.keep_checkpoints.value_or(0) > max_checkpoints)
    return fail(errc::invalid_value, "at most 1,000 automatic checkpoints are kept",
                "/policy/keep_checkpoints");
  if (limits.keep_revisions.value_or(0) > max_keep_revisions)
    return refuse_beyond(errc::invalid_value, "at most 10,000 revisions are kept",
                         max_keep_revisions, "/policy/keep_revisions");
  return {};
}

expected<std::vector<std::pair<std::string, value>>> tag_entries(
    const std::vector<std::string>& tags) {
  if (tags.size() > max_tags)
    return refuse_beyond(errc::too_many_elements, "at most 64 tags", max_tags, "/tags");
  std::vector<std::pair<std::string, value>> out;
  for (std::size_t i = 0; i < tags.size(); ++i) {
    if (auto ok = check_name(tags[i], "/tags/" + std::to_string(i)); !ok)
      return tl::unexpected(ok.error());
    out.emplace_back(tags[i], value{true});
  }
  return out;
}

expected<std::vector<std::pair<std::string, value>>> share_entries(
    const std::vector<share>& shares) {
  if (shares.size() > max_tags)
    return refuse_beyond(errc::too_many_elements, "at most 64 shares", max_tags, "/shares");
  std::map<std::string, value> out;  // the last word on a user counts
  for (std::size_t i = 0; i < shares.size(); ++i) {
    if (auto ok = check_name(shares[i].user, "/shares/" + std::to_string(i) + "/user"); !ok)
      return tl::unexpected(ok.error());
    out[shares[i].user] = value{shares[i].allowed == access::write ? "write" : "read"};
  }
  return std::vector<std::pair<std::string, value>>{out.begin(), out.end()};
}

/// The description's texts that name something: empty ones name nothing.
expected<void> set_name(decider& d, std::string_view key, const std::string& id) {
  if (id.empty()) {
    d.erase_key(section::info, key);
    return {};
  }
  if (auto ok = check_name(id, pointer({key})); !ok)
    return ok;
  d.set(section::info, key, value{id});
  return {};
}

void set_ttl(decider& d, std::uint64_t ttl_ms) {
  if (ttl_ms == 0)
    d.erase_key(section::info, info_key::ttl_ms);
  else
    d.set(section::info, info_key::ttl_ms, value{ttl_ms});
}

expected<void> set_policy(decider& d, const policy& limits) {
  if (auto ok = check_policy(limits); !ok)
    return ok;
  if (limits == policy{})
    d.erase_key(section::info, info_key::policy);
  else
    d.set(section::info, info_key::policy, policy_value(limits));
  return {};
}

expected<void> merge_metadata(decider& d, const value& patch) {
  if (auto ok = check_map("metadata", patch, "/metadata"); !ok)
    return ok;
  for (auto member = patch.view().children(); member.next();) {
    if (auto ok = check_key(member.key(), pointer({"metadata", member.key()})); !ok)
      return ok;
    if (member.item().is_null()) {
      d.erase_key(section::metadata, member.key());
      continue;
    }
    const auto* old = d.find(section::metadata, member.key());
    auto merged = merge_patch(old ? old->data.view() : value_view{}, member.item());
    if (auto ok = check_value(merged, pointer({"metadata", member.key()})); !ok)
      return ok;
    d.set(section::metadata, member.key(), std::move(merged));
  }
  return {};
}

expected<void> set_schema(decider& d, const schema_id& schema) {
  if (auto ok = check_name(schema.id, "/schema/id"); !ok)
    return ok;
  if (d.context.schemas) {
    if (auto ok = d.context.schemas->known(schema); !ok)
      return ok;
  }
  d.set(section::schema, "id", value::array({schema.id, schema.version}));
  return {};
}

// The key-value state
// ------------------------------------------------------------------------------------------------

timestamp expiry(const decider& d, std::optional<std::uint64_t> ttl_ms) {
  if (ttl_ms.value_or(0) == 0)
    return {};
  const auto room = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())
                    - static_cast<std::uint64_t>(std::max<std::int64_t>(d.now().ms, 0));
  const auto at = d.now().ms + static_cast<std::int64_t>(std::min(*ttl_ms, room));
  return {at == 0 ? 1 : at};  // 0 would be never
}

expected<void> check_key_revision(const entry* held, std::string_view key,
                                  std::optional<std::uint64_t> wanted) {
  const auto revision = held ? held->revision : 0;
  if (!wanted || *wanted == revision)
    return {};
  return tl::unexpected(error{.code = errc::cas_mismatch,
                              .message = "the key is at revision " + std::to_string(revision)
                                         + ", not " + std::to_string(*wanted),
                              .path = pointer({key}),
                              .current_revision = revision});
}

__extension__ typedef __int128 wide_integer;  // holds every sum of two 64-bit integers

/// a + b: integers exactly, everything else as reals. Nothing when it does not fit.
std::optional<value> sum(value_view a, value_view b) {
  const auto wide = [](value_view x) -> std::optional<wide_integer> {
    if (const auto i = x.as_int64())
      return *i;
    if (const auto u = x.as_uint64())
      return static_cast<wide_integer>(*u);
    return std::nullopt;
  };
  const auto x = wide(a), y = wide(b);
  if (x && y) {
    const auto total = *x + *y;
    if (total >= std::numeric_limits<std::int64_t>::min()
        && total <= std::numeric_limits<std::int64_t>::max())
      return value{static_cast<std::int64_t>(total)};
    if (total > 0 && total <= static_cast<wide_integer>(std::numeric_limits<std::uint64_t>::max()))
      return value{static_cast<std::uint64_t>(total)};
    return std::nullopt;
  }
  const double total =
      (x ? static_cast<double>(*x) : *a.as_real()) + (y ? static_cast<double>(*y) : *b.as_real());
  return std::isfinite(total) ? std::optional{value{total}} : std::nullopt;
}

bool is_number(value_view x) {
  return x.type() == value_type::integer || x.type() == value_type::real;
}

/// Equal for equal values: the bytes, or of containers, whose keys may stand in any order, a
/// digest.
std::string identity(value_view x) {
  const auto type = x.type();
  if (type != value_type::array && type != value_type::map)
    return std::string{x.bytes()};
  const auto digest = digest_of(x);
  return {digest.bytes.begin(), digest.bytes.end()};
}

struct key_operation {
  decider& d;

  expected<void> operator()(const set_key& op) {
    if (auto ok = check_key_revision(held(op.key), op.key, op.expected_revision); !ok)
      return ok;
    return put(op.key, op.data, expiry(d, op.ttl_ms));
  }

  expected<void> operator()(const delete_key& op) {
    if (auto ok = check_key_revision(held(op.key), op.key, op.expected_revision); !ok)
      return ok;
    d.erase_key(section::state, op.key);
    return {};
  }

  expected<void> operator()(const add_to& op) {
    const auto* old = held(op.key);
    const value before = old ? old->data : value{0};
    if (!is_number(before) || !is_number(op.by))
      return fail(errc::wrong_type, "only numbers add up", pointer({op.key}));
    if (auto ok = check_value(op.by, pointer({op.key})); !ok)
      return ok;
    auto after = sum(before, op.by);
    if (!after)
      return fail(errc::invalid_value, "the sum is beyond 64 bits or a finite double",
                  pointer({op.key}));
    return put(op.key, *std::move(after), kept_expiry(old));
  }

  expected<void> operator()(const union_with& op) { return extend(op.key, op.values, true); }
  expected<void> operator()(const append_to& op) { return extend(op.key, op.values, false); }

  expected<void> operator()(const compare_and_set& op) {
    const auto* old = held(op.key);
    const bool as_expected = op.expected ? old && old->data == *op.expected : old == nullptr;
    if (!as_expected)
      return tl::unexpected(error{.code = errc::cas_mismatch,
                                  .message = "the key does not hold what was expected",
                                  .path = pointer({op.key}),
                                  .current_revision = old ? old->revision : 0});
    return put(op.key, op.data, kept_expiry(old));
  }

  expected<void> put(const std::string& key, value data, timestamp expires) {
    if (auto ok = check_key(key, pointer({key})); !ok)
      return ok;
    if (auto ok = check_value(data, pointer({key})); !ok)
      return ok;
    d.set(section::state, key, std::move(data), expires);
    return {};
  }

  const entry* held(std::string_view key) { return d.find(section::state, key); }
  static timestamp kept_expiry(const entry* old) { return old ? old->expires : timestamp{}; }

  expected<void> extend(const std::string& key, const std::vector<value>& added, bool once) {
    const auto* old = held(key);
    if (old && old->data.type() != value_type::array)
      return fail(errc::wrong_type, "the key holds no array", pointer({key}));
    std::vector<value_view> all;
    if (old) {
      for (auto at = old->data.view().children(); at.next();)
        all.push_back(at.item());
    }
    std::unordered_set<std::string> seen;
    if (once) {
      for (const auto x : all)
        seen.insert(identity(x));
    }
    const auto held_before = all.size();
    for (const auto& x : added) {
      if (auto ok = check_value(x, pointer({key})); !ok)
        return ok;
      if (!once || seen.insert(identity(x)).second)
        all.push_back(x.view());
    }
    if (old && all.size() == held_before)
      return {};
    value_writer out;
    out.begin_array(all.size());
    for (const auto x : all)
      out.raw(x);
    return put(key, out.finish(), kept_expiry(old));
  }
};

}  // namespace

expected<void> decider::operator()(const create& op) {
  if (out.next.live()) {
    if (op.only_if_absent)
      return tl::unexpected(
          error{.code = errc::already_exists,
                .message = "the " + std::string{to_string(out.next.kind)} + " is there already",
                .current_revision = out.next.revision});
    return {};
  }
  const bool foreign = request.entity.kind == entity_kind::user
                           ? request.entity.id != request.by.user
                           : op.info.user != request.by.user;
  if (!request.by.trusted && foreign
      && !(op.info.user.empty() && request.entity.kind != entity_kind::user))
    return fail(errc::forbidden, "a principal creates only what is its own", "/user");
  if (!op.info.user.empty()) {
    if (auto ok = check_name(op.info.user, "/user"); !ok)
      return ok;
  }
  emit(entity_created{request.entity.kind, owner_value(op.info.user)});
  for (const auto& [key, id] : {std::pair{info_key::workflow, op.info.workflow},
                                {info_key::team, op.info.team},
                                {info_key::placement, op.info.placement}}) {
    if (auto ok = set_name(*this, key, id); !ok)
      return ok;
  }
  set_ttl(*this, op.info.ttl_ms);
  if (op.info.schema) {
    if (auto ok = set_schema(*this, *op.info.schema); !ok)
      return ok;
  }
  if (auto ok = set_policy(*this, op.info.limits); !ok)
    return ok;
  auto tags = tag_entries(op.info.tags);
  if (!tags)
    return tl::unexpected(tags.error());
  replace(section::tags, *tags);
  auto shares = share_entries(op.info.shares);
  if (!shares)
    return tl::unexpected(shares.error());
  replace(section::shares, *shares);
  return merge_metadata(*this, op.info.metadata);
}

expected<void> decider::operator()(const erase&) {
  emit(entity_deleted{});
  return {};
}

expected<void> decider::operator()(const update_info& op) {
  if (op.metadata_patch) {
    if (auto ok = merge_metadata(*this, *op.metadata_patch); !ok)
      return ok;
  }
  if (op.tags) {
    auto tags = tag_entries(*op.tags);
    if (!tags)
      return tl::unexpected(tags.error());
    replace(section::tags, *tags);
  }
  if (op.shares) {
    auto shares = share_entries(*op.shares);
    if (!shares)
      return tl::unexpected(shares.error());
    replace(section::shares, *shares);
  }
  if (op.workflow) {
    if (auto ok = set_name(*this, info_key::workflow, *op.workflow); !ok)
      return ok;
  }
  if (op.team) {
    if (auto ok = set_name(*this, info_key::team, *op.team); !ok)
      return ok;
  }
  if (op.ttl_ms)
    set_ttl(*this, *op.ttl_ms);
  return op.limits ? set_policy(*this, *op.limits) : expected<void>{};
}

expected<void> decider::operator()(const patch_state& op) {
  if (auto ok = (*this)(migrate_state{}); !ok)
    return ok;
  if (op.ops.size() > max_state_ops)
    return refuse_beyond(errc::too_many_elements, "a patch has at most 10,000 operations",
                         max_state_ops, "/ops");
  for (const auto& one : op.ops) {
    if (auto ok = std::visit(key_operation{*this}, one); !ok)
      return ok;
    if (bytes > max_change_bytes)
      break;
  }
  return {};
}

expected<void> decider::operator()(const merge_state& op) {
  if (op.patch.type() != value_type::map)
    return fail(errc::wrong_type, "a merge patch of the state is an object");
  if (auto ok = (*this)(migrate_state{}); !ok)
    return ok;
  key_operation keys{*this};
  for (auto member = op.patch.view().children(); member.next();) {
    const std::string key{member.key()};
    const auto* old = keys.held(key);
    if (member.item().is_null()) {
      erase_key(section::state, key);
      continue;
    }
    auto merged = merge_patch(old ? old->data.view() : value_view{}, member.item());
    if (auto ok = keys.put(key, std::move(merged), key_operation::kept_expiry(old)); !ok)
      return ok;
  }
  return {};
}

expected<void> decider::operator()(const clear_state&) {
  if (auto ok = (*this)(migrate_state{}); !ok)
    return ok;
  clear(section::state);
  return {};
}

expected<void> decider::operator()(const migrate_state&) {
  if (!context.schemas)
    return {};
  auto steps = context.schemas->migrate(out.next, now());
  if (!steps)
    return tl::unexpected(steps.error());
  for (auto& step : *steps)
    emit(std::move(step));
  return {};
}

expected<void> decider::operator()(const drop_expired&) {
  std::vector<std::string> gone;
  for_each_stored_entry(out.next, [&](const std::string& key, const entry& held) {
    if (!held.live(now()))
      gone.push_back(key);
  });
  for (const auto& key : gone)
    emit(entry_erased{section_of(key), std::string{key_of(key)}, true});
  return {};
}

}  // namespace troupe::internal
