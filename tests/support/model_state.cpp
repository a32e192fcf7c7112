#include "model.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

/// The key-value state that every scope has.
namespace troupe::testing::model {

const cell* live_cell(const entity& e, const std::string& key, timestamp now) {
  const auto at = e.state.find(key);
  return at != e.state.end() && at->second.live(now) ? &at->second : nullptr;
}

bool same_cell(const cell* a, const cell* b) {
  if (!a || !b)
    return a == b;
  return naive_equal(a->data, b->data) && a->expires == b->expires;
}

const cell* doer::held(const std::string& key) const {
  return live_cell(e, key, with.now);
}

refusal doer::put_state(const std::string& key, const value& data, timestamp expires) {
  if (const auto bad = key_fault(key))
    return bad;
  if (const auto bad = value_fault(data))
    return bad;
  const cell wanted{data, revision, expires};
  if (!same_cell(held(key), &wanted)) {
    e.state[key] = wanted;
    touch_content();
  }
  return {};
}

void doer::erase_state(const std::string& key) {
  if (held(key))
    remove(e.state, key, &doer::touch_content);
}

namespace {

__extension__ typedef __int128 wide;

std::optional<wide> whole(value_view x) {
  if (const auto i = x.as_int64())
    return *i;
  if (const auto u = x.as_uint64())
    return static_cast<wide>(*u);
  return std::nullopt;
}

double as_double(value_view x) {
  const auto i = whole(x);
  return i ? static_cast<double>(*i) : *x.as_real();
}

bool is_number(value_view x) {
  return whole(x) || x.as_real();
}

}  // namespace

refusal doer::extend(const std::string& key, const std::vector<value>& added, bool once) {
  const auto* old = held(key);
  if (old && old->data.type() != value_type::array)
    return errc::wrong_type;
  std::vector<value> all;
  if (old) {
    for (auto c = old->data.view().children(); c.next();)
      all.emplace_back(c.item());
  }
  for (const auto& x : added) {
    if (const auto bad = value_fault(x))
      return bad;
    const bool there =
        std::any_of(all.begin(), all.end(), [&](const value& y) { return naive_equal(x, y); });
    if (!once || !there)
      all.push_back(x);
  }
  return put_state(key, array_of(all), old ? old->expires : timestamp{});
}

refusal doer::key_op(const state_op& op) {
  const auto at_other_revision = [&](const std::string& key, std::optional<std::uint64_t> wanted) {
    const auto* old = held(key);
    return wanted && *wanted != (old ? old->revision : 0);
  };
  if (const auto* set = std::get_if<set_key>(&op)) {
    if (at_other_revision(set->key, set->expected_revision))
      return errc::cas_mismatch;
    const auto ttl = set->ttl_ms.value_or(0);
    constexpr auto last = std::numeric_limits<std::int64_t>::max();
    const auto left = static_cast<std::uint64_t>(last - with.now.ms);
    const timestamp end{ttl > left ? last : with.now.ms + static_cast<std::int64_t>(ttl)};
    return put_state(set->key, set->data, ttl == 0 ? timestamp{} : end);
  }
  if (const auto* gone = std::get_if<delete_key>(&op)) {
    if (at_other_revision(gone->key, gone->expected_revision))
      return errc::cas_mismatch;
    erase_state(gone->key);
    return {};
  }
  if (const auto* add = std::get_if<add_to>(&op)) {
    const auto* old = held(add->key);
    const value before = old ? old->data : value{0};
    if (!is_number(before) || !is_number(add->by))
      return errc::wrong_type;
    if (const auto bad = value_fault(add->by))
      return bad;
    const auto expires = old ? old->expires : timestamp{};
    const auto x = whole(before), y = whole(add->by);
    if (x && y) {
      const auto sum = *x + *y;
      if (sum < std::numeric_limits<std::int64_t>::min()
          || sum > static_cast<wide>(std::numeric_limits<std::uint64_t>::max()))
        return errc::invalid_value;
      return put_state(
          add->key,
          sum < 0 ? value{static_cast<std::int64_t>(sum)} : value{static_cast<std::uint64_t>(sum)},
          expires);
    }
    const double sum = as_double(before) + as_double(add->by);
    if (!std::isfinite(sum))
      return errc::invalid_value;
    return put_state(add->key, value{sum}, expires);
  }
  if (const auto* more = std::get_if<union_with>(&op))
    return extend(more->key, more->values, true);
  if (const auto* more = std::get_if<append_to>(&op))
    return extend(more->key, more->values, false);
  const auto& swap = std::get<compare_and_set>(op);
  const auto* old = held(swap.key);
  if (old ? !swap.expected || !naive_equal(old->data, *swap.expected) : swap.expected.has_value())
    return errc::cas_mismatch;
  return put_state(swap.key, swap.data, {});
}

refusal doer::operator()(const patch_state& op) {
  for (const auto& one : op.ops) {
    if (const auto bad = key_op(one))
      return bad;
  }
  return {};
}

refusal doer::operator()(const merge_state& op) {
  if (op.patch.type() != value_type::map)
    return errc::wrong_type;
  for (const auto& [key, item] : members_of(op.patch)) {
    if (item.is_null()) {
      erase_state(key);
      continue;
    }
    const auto* old = held(key);
    const auto expires = old ? old->expires : timestamp{};
    auto merged = naive_merge(old ? std::optional{old->data} : std::nullopt, item);
    if (const auto bad = put_state(key, merged, expires))
      return bad;
  }
  return {};
}

refusal doer::operator()(const clear_state&) {
  const bool any = std::any_of(e.state.begin(), e.state.end(),
                               [&](const auto& x) { return x.second.live(with.now); });
  if (any) {
    e.state.clear();
    touch_content();
  }
  return {};
}

refusal doer::operator()(const drop_expired&) {
  if (std::erase_if(e.state, [&](const auto& x) { return !x.second.live(with.now); }) > 0)
    touch_quietly();
  return {};
}

refusal doer::operator()(const migrate_state&) {
  return {};  // without a registry a schema is a label
}

}  // namespace troupe::testing::model
