#include "model.hpp"

#include <algorithm>
#include <cmath>

namespace troupe::testing::model {

// What may be kept
// ------------------------------------------------------------------------------------------------

refusal name_fault(const std::string& id) {
  return checked_id(id) ? refusal{} : errc::bad_id;
}

refusal key_fault(const std::string& key) {
  return key.size() <= 256 && is_utf8(key) ? refusal{} : errc::bad_id;
}

refusal text_fault(const std::string& text) {
  if (text.size() > 64 * 1024)
    return errc::too_large;
  return is_utf8(text) ? refusal{} : errc::invalid_value;
}

namespace {

/// Levels of arrays and maps; nothing when something in it cannot be kept at all.
std::optional<std::size_t> depth_of(value_view x) {
  if (const auto text = x.as_string(); text && !is_utf8(*text))
    return std::nullopt;
  if (const auto real = x.as_real(); real && !std::isfinite(*real))
    return std::nullopt;
  if (x.type() != value_type::array && x.type() != value_type::map)
    return 0;
  std::size_t deepest = 0;
  for (auto c = x.children(); c.next();) {
    const auto one = depth_of(c.item());
    if (!one || !is_utf8(c.key()))
      return std::nullopt;
    deepest = std::max(deepest, *one);
  }
  return deepest + 1;
}

refusal map_fault(value_view x) {
  return x.type() == value_type::map ? value_fault(x) : errc::wrong_type;
}

}  // namespace

refusal value_fault(value_view x) {
  if (x.bytes().size() > 256 * 1024)
    return errc::too_large;
  const auto depth = depth_of(x);
  if (!depth)
    return errc::invalid_value;
  return *depth > 64 ? refusal{errc::too_deep} : refusal{};
}

// Who may
// ------------------------------------------------------------------------------------------------

namespace {

bool is_owner(const entity& e, const entity_ref& ref, const principal& who) {
  if (who.trusted)
    return true;
  if (who.user.empty())
    return false;
  return ref.kind == entity_kind::user ? ref.id == who.user : e.user == who.user;
}

bool begins(const operation& op) {
  return std::holds_alternative<create>(op) || std::holds_alternative<fork_from>(op);
}

refusal access_fault(const entity& e, const command& what) {
  if (!e.live())
    return begins(what.operations.front()) ? refusal{} : errc::not_found;
  if (!may(e, what.entity, what.by, access::read))
    return errc::not_found;
  if (!may(e, what.entity, what.by, access::write))
    return errc::forbidden;
  if (is_owner(e, what.entity, what.by)
      || (e.user.empty() && what.entity.kind != entity_kind::global))
    return {};
  for (const auto& op : what.operations) {
    const auto* info = std::get_if<update_info>(&op);
    if (std::holds_alternative<erase>(op) || (info && info->shares))
      return errc::forbidden;
  }
  return {};
}

}  // namespace

bool may(const entity& e, const entity_ref& ref, const principal& who, access wanted) {
  if (is_owner(e, ref, who))
    return true;
  if (ref.kind == entity_kind::user)  // a user's scope is its own, shared or not
    return false;
  if (e.user.empty() || (ref.kind == entity_kind::team && e.members.contains(who.user)))
    return true;
  const auto shared = e.shares.find(who.user);
  return shared != e.shares.end() && (wanted == access::read || shared->second == access::write);
}

policy rules_of(const entity& e, const policy& inherited) {
  auto out = inherited;
  const auto say = [](auto& rule, const auto& own) {
    if (own)
      rule = own;
  };
  say(out.loop_limit, e.limits.loop_limit);
  say(out.token_budget, e.limits.token_budget);
  say(out.checkpoint_every, e.limits.checkpoint_every);
  say(out.keep_checkpoints, e.limits.keep_checkpoints);
  say(out.keep_revisions, e.limits.keep_revisions);
  say(out.keep_revisions_ms, e.limits.keep_revisions_ms);
  return out;
}

reply carry_out(entity& on, const command& what, const context& with) {
  const auto refuse = [](errc code) { return reply{.refused = code}; };
  if (what.operations.empty())
    return refuse(errc::malformed);
  if (what.operations.size() > 1'000)
    return refuse(errc::too_many_elements);
  if (what.once && (text_fault(what.once->principal) || text_fault(what.once->key)))
    return refuse(errc::invalid_value);
  if (const auto bad = access_fault(on, what))
    return refuse(*bad);
  if (what.expected_revision && (!on.live() || *what.expected_revision != on.revision))
    return refuse(errc::revision_conflict);
  doer d{.e = on, .request = what, .with = with, .revision = on.revision + 1};
  for (const auto& op : what.operations) {
    if (!d.e.live() && !begins(op))
      return refuse(errc::not_found);
    if (const auto bad = std::visit(d, op))
      return {.refused = bad, .conflicts = d.conflicts};
  }
  if (d.changed)
    d.e.revision = d.revision;
  if (d.content && !d.stepped) {
    d.e.content_revision = d.revision;
    d.e.redo.clear();
  }
  if (d.activity)
    d.e.last_activity = with.now;
  d.answer.revision = d.changed ? d.revision : on.revision;
  d.answer.changed = d.changed;
  on = std::move(d.e);
  return {.answer = d.answer};
}

// Description
// ------------------------------------------------------------------------------------------------

refusal doer::operator()(const create& op) {
  if (e.live())
    return op.only_if_absent ? refusal{errc::already_exists} : refusal{};
  if (!request.by.trusted) {
    const bool of_user = request.entity.kind == entity_kind::user;
    const bool own = of_user ? request.entity.id == request.by.user
                             : op.info.user == request.by.user || op.info.user.empty();
    if (!own)
      return errc::forbidden;
  }
  e.status = lifecycle::live;
  e.kind = request.entity.kind;
  e.created = with.now;
  e.first_revision = revision;
  answer.created = true;
  touch_content();
  for (const auto& [field, wanted] :
       {std::pair{&e.user, &op.info.user}, std::pair{&e.workflow, &op.info.workflow},
        std::pair{&e.team, &op.info.team}, std::pair{&e.placement, &op.info.placement}}) {
    if (const auto bad = set_name(*field, *wanted))
      return bad;
  }
  e.ttl_ms = op.info.ttl_ms;
  if (op.info.schema) {
    if (const auto bad = name_fault(op.info.schema->id))
      return bad;
    e.schema = op.info.schema;
  }
  if (const auto bad = set_policy(op.info.limits))
    return bad;
  if (const auto bad = set_tags(op.info.tags))
    return bad;
  if (const auto bad = set_shares(op.info.shares))
    return bad;
  return patch_metadata(op.info.metadata);
}

refusal doer::operator()(const erase&) {
  const auto kind = e.kind;
  e = entity{};
  e.status = lifecycle::deleted;
  e.kind = kind;
  e.revision = revision - 1;
  touch_content();
  return {};
}

refusal doer::set_name(std::string& field, const std::string& wanted) {
  if (!wanted.empty() && name_fault(wanted))
    return errc::bad_id;
  assign(field, wanted, &doer::touch);
  return {};
}

refusal doer::set_policy(const policy& wanted) {
  if (wanted.loop_limit == 0u)
    return errc::invalid_value;
  assign(e.limits, wanted, &doer::touch);
  return {};
}

refusal doer::set_tags(const std::vector<std::string>& wanted) {
  if (wanted.size() > 64)
    return errc::too_many_elements;
  for (const auto& tag : wanted) {
    if (const auto bad = name_fault(tag))
      return bad;
  }
  assign(e.tags, {wanted.begin(), wanted.end()}, &doer::touch);
  return {};
}

refusal doer::set_shares(const std::vector<share>& wanted) {
  if (wanted.size() > 64)
    return errc::too_many_elements;
  std::map<std::string, access> all;
  for (const auto& one : wanted) {
    if (const auto bad = name_fault(one.user))
      return bad;
    all[one.user] = one.allowed;
  }
  assign(e.shares, all, &doer::touch);
  return {};
}

refusal doer::patch_metadata(const value& patch) {
  if (const auto bad = map_fault(patch))
    return bad;
  for (const auto& [key, item] : members_of(patch)) {
    if (const auto bad = key_fault(key))
      return bad;
    if (item.is_null()) {
      remove(e.metadata, key, &doer::touch_content);
      continue;
    }
    const auto old = e.metadata.find(key);
    auto merged =
        naive_merge(old == e.metadata.end() ? std::nullopt : std::optional{old->second}, item);
    if (const auto bad = value_fault(merged))
      return bad;
    put(e.metadata, key, std::move(merged), &doer::touch_content);
  }
  return {};
}

refusal doer::operator()(const update_info& op) {
  if (op.metadata_patch) {
    if (const auto bad = patch_metadata(*op.metadata_patch))
      return bad;
  }
  if (op.tags) {
    if (const auto bad = set_tags(*op.tags))
      return bad;
  }
  if (op.shares) {
    if (const auto bad = set_shares(*op.shares))
      return bad;
  }
  if (op.workflow) {
    if (const auto bad = set_name(e.workflow, *op.workflow))
      return bad;
  }
  if (op.team) {
    if (const auto bad = set_name(e.team, *op.team))
      return bad;
  }
  if (op.ttl_ms)
    assign(e.ttl_ms, *op.ttl_ms, &doer::touch);
  return op.limits ? set_policy(*op.limits) : refusal{};
}

}  // namespace troupe::testing::model
