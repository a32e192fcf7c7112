#include "troupe/comparison.hpp"

#include <troupe/state/json.hpp>

#include "troupe/text.hpp"

#include <optional>
#include <utility>

namespace troupe::cli {

namespace {

constexpr std::size_t shown_columns = 60;

std::string shortened(std::optional<value_view> x) {
  return x ? one_line(to_json(*x), shown_columns) : "nothing";
}

std::string pointer_token(std::string_view key) {
  std::string out = "/";
  for (const char c : key)
    out += c == '~' ? "~0" : c == '/' ? "~1" : std::string(1, c);
  return out;
}

/// Descends once for each level, to the first child that differs.
struct difference {
  std::string path;
  std::optional<value_view> expected;
  std::optional<value_view> found;

  bool descend() {
    if (!expected || !found || expected->type() != found->type())
      return false;
    if (expected->type() == value_type::map)
      return descend_map();
    return expected->type() == value_type::array && descend_array();
  }

  bool descend_map() {
    for (auto c = expected->children(); c.next();) {
      const auto other = found->find(c.key());
      if (!other || !(c.item() == *other))
        return to(pointer_token(c.key()), c.item(), other);
    }
    for (auto c = found->children(); c.next();) {
      if (!expected->find(c.key()))
        return to(pointer_token(c.key()), std::nullopt, c.item());
    }
    return false;
  }

  bool descend_array() {
    auto a = expected->children(), b = found->children();
    for (std::size_t i = 0;; ++i) {
      const auto x = a.next() ? std::optional{a.item()} : std::nullopt;
      const auto y = b.next() ? std::optional{b.item()} : std::nullopt;
      if (!x && !y)
        return false;
      if (!x || !y || !(*x == *y))
        return to('/' + std::to_string(i), x, y);
    }
  }

  bool to(const std::string& token, std::optional<value_view> x, std::optional<value_view> y) {
    path += token;
    expected = x;
    found = y;
    return true;
  }
};

}  // namespace

std::string first_difference(value_view expected, value_view found) {
  if (expected == found)
    return {};
  difference at{{}, expected, found};
  while (at.descend()) {
  }
  return "at " + (at.path.empty() ? "the root" : one_line(at.path, shown_columns)) + ": expected "
         + shortened(at.expected) + ", found " + shortened(at.found);
}

void comparison::mismatch(const std::string& session, std::string what) {
  ++mismatches;
  if (first.size() < max_described)
    first.push_back("session " + one_line(session, shown_columns) + ": " + std::move(what));
}

comparison& comparison::operator+=(const comparison& other) {
  sessions += other.sessions;
  items += other.items;
  bytes += other.bytes;
  extra += other.extra;
  mismatches += other.mismatches;
  for (const auto& text : other.first) {
    if (first.size() < max_described)
      first.push_back(text);
  }
  return *this;
}

session_check::session_check(comparison& result, const conversation& told, std::size_t count,
                             extra_items extra)
    : result_{result},
      told_{told},
      count_{count},
      extra_{extra} {
  ++result_.sessions;
}

void session_check::user(std::string_view found) {
  if (found != told_.user)
    result_.mismatch(told_.id, "expected the user \"" + one_line(told_.user, shown_columns)
                                   + "\", found \"" + one_line(found, shown_columns) + '"');
}

void session_check::item(std::uint64_t seq, value_view fields) {
  const auto index = found_++;
  if (index >= count_) {
    result_.extra += extra_ == extra_items::allowed;
    return;
  }
  ++result_.items;
  result_.bytes += fields.bytes().size();
  if (seq != index + 1)
    result_.mismatch(told_.id,
                     "item " + std::to_string(index + 1) + " has seq " + std::to_string(seq));
  else if (const value& message = told_.messages[index]; !(message.view() == fields))
    result_.mismatch(told_.id,
                     "item " + std::to_string(index + 1) + ' ' + first_difference(message, fields));
}

void session_check::finish() {
  const bool as_expected = extra_ == extra_items::allowed ? found_ >= count_ : found_ == count_;
  if (!as_expected)
    result_.mismatch(told_.id,
                     "expected " + plural(count_, "item") + ", found " + group_digits(found_));
}

void session_check::missing() {
  result_.mismatch(told_.id, "not found");
}

}  // namespace troupe::cli
