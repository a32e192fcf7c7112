#include "api/item_page.hpp"

#include <algorithm>
#include <set>
#include <string_view>

namespace troupe::api {

namespace {

struct range {
  std::size_t begin, end;
};

// Calls and their results -------------------------------------------------------------------------

using ids = std::set<std::string_view>;

void add_calls(const item_view& item, ids& out) {
  const auto calls = item.fields.find("tool_calls");
  if (!calls)
    return;
  for (auto call = calls->children(); call.next();) {
    if (const auto id = call.item().find("id"); id && id->as_string())
      out.insert(*id->as_string());
  }
}

std::optional<std::string_view> answered_call(const item_view& item) {
  const auto id = item.fields.find("tool_call_id");
  return id ? id->as_string() : std::nullopt;
}

/// A result whose call stands in front of the page: the page begins behind it.
std::size_t whole_from(const history& items, range page) {
  for (auto begin = page.begin;;) {
    ids called_before, called;
    for (auto i = begin - std::min<std::size_t>(begin, max_page_items); i < begin; ++i)
      add_calls(items[i], called_before);
    auto orphan = page.end;
    for (auto i = begin; i < page.end; ++i) {
      const auto answered = answered_call(items[i]);
      if (answered && !called.contains(*answered) && called_before.contains(*answered))
        orphan = i;
      add_calls(items[i], called);
    }
    if (orphan == page.end)
      return begin;
    begin = orphan + 1;  // a call in front of it goes, too: look again for its results
  }
}

/// A call with a result behind the page: the page ends in front of it.
std::size_t whole_to(const history& items, range page) {
  const auto seen = std::min<std::size_t>(items.size(), page.end + max_page_items);
  for (auto end = page.end;;) {
    ids answered_later;
    for (auto i = end; i < seen; ++i) {
      if (const auto id = answered_call(items[i]))
        answered_later.insert(*id);
    }
    auto cut = end;
    for (auto i = page.begin; i < end && cut == end; ++i) {
      ids called;
      add_calls(items[i], called);
      if (std::ranges::any_of(called, [&](auto id) { return answered_later.contains(id); }))
        cut = i;
    }
    if (cut == end)
      return end;
    end = cut;
  }
}

/// REQUIRES: the page is not empty, and cut at its beginning (`newest`) or at its end.
range whole_pairs(const history& items, range page, bool newest) {
  const auto cut = page;
  if (newest)
    page.begin = whole_from(items, page);
  else
    page.end = whole_to(items, page);
  if (page.begin < page.end)
    return page;
  page = cut;  // one pair larger than the page
  if (newest) {
    while (page.begin > 0 && whole_from(items, page) != page.begin)
      --page.begin;
  } else {
    while (page.end < items.size() && whole_to(items, page) != page.end)
      ++page.end;
  }
  return page;
}

// Text --------------------------------------------------------------------------------------------

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

/// In any string below, keys aside; ASCII letters in either case.
bool has_text(value_view x, std::string_view text) {
  if (const auto held = x.as_string())
    return std::ranges::search(*held, text, {}, lower, lower).begin() != held->end();
  for (auto at = x.children(); at.next();) {
    if (has_text(at.item(), text))
      return true;
  }
  return false;
}

}  // namespace

picked_items pick(const history& items, const item_page& page) {
  const bool newest = page.last || page.before;
  const auto limit = page.last.value_or(page.limit);
  range within{page.after ? items.first_after(*page.after) : 0, items.size()};
  if (page.before)
    within.end = *page.before == 0 ? 0 : items.first_after(*page.before - 1);
  picked_items out;
  out.items.reserve(std::min<std::size_t>(limit, 16));
  std::size_t bytes = 0;
  auto at = newest ? within.end : within.begin;  // the next item in front of it, or it
  while (out.items.size() < limit && (newest ? at > within.begin : at < within.end)) {
    const auto i = newest ? at - 1 : at;
    const auto item = items[i];
    if (page.text.empty() || has_text(item.fields, page.text)) {
      bytes += item.fields.bytes().size();
      if (bytes > page.bytes && !out.items.empty())
        break;
      out.items.push_back(item);
    }
    at = newest ? i : i + 1;
  }
  if (newest)
    std::ranges::reverse(out.items);
  if (page.pair_safe && !out.items.empty()) {
    const auto begin = newest ? at : at - out.items.size();  // without `text` they are neighbours
    const auto whole = whole_pairs(items, {begin, begin + out.items.size()}, newest);
    out.items.clear();
    for (auto i = whole.begin; i < whole.end; ++i)
      out.items.push_back(items[i]);
    at = whole.end;
  }
  if (!newest && at < within.end && !out.items.empty())
    out.cursor = items[at - 1].seq;
  return out;
}

}  // namespace troupe::api
