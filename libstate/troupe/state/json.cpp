#include <troupe/state/internal/canonical.hpp>
#include <troupe/state/internal/document_builder.hpp>
#include <troupe/state/internal/json_fault.hpp>
#include <troupe/state/json.hpp>

#include <simdjson.h>

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

namespace troupe {

namespace {

namespace dom = simdjson::dom;

/// An array or map that is being walked.
struct open_container {
  bool map;
  dom::array::iterator item, last_item;
  dom::object::iterator field, last_field;
};

/// simdjson's own size ends at 0xffffff.
template <class Container>
std::size_t count(const Container& x) {
  if (x.size() < 0xffffff)
    return x.size();
  std::size_t out = 0;
  for (auto i = x.begin(); i != x.end(); ++i)
    ++out;
  return out;
}

/// Opens containers and takes scalars; false once the builder refused something.
bool visit(dom::element e, internal::document_builder& out, std::vector<open_container>& open) {
  switch (e.type()) {
    case dom::element_type::NULL_VALUE: return out.null();
    case dom::element_type::BOOL: return out.boolean(bool(e));
    case dom::element_type::INT64: return out.integer(std::int64_t(e));
    case dom::element_type::UINT64: return out.unsigned_integer(std::uint64_t(e));
    case dom::element_type::DOUBLE: return out.real(double(e));
    case dom::element_type::STRING: return out.string(std::string_view(e));
    case dom::element_type::ARRAY: {
      const dom::array a = e;
      open.push_back({false, a.begin(), a.end(), {}, {}});
      return out.begin_array(count(a));
    }
    case dom::element_type::OBJECT: {
      const dom::object o = e;
      open.push_back({true, {}, {}, o.begin(), o.end()});
      return out.begin_map(count(o));
    }
  }
  return out.fail(errc::internal, "simdjson knows a type that we do not");
}

/// Of what stands behind `before`: "line 1, column 9", counted in bytes.
std::string place_of(std::string_view before) {
  const auto line = 1 + std::count(before.begin(), before.end(), '\n');
  const auto column = before.size() - (before.rfind('\n') + 1);  // npos + 1 is 0
  return "line " + std::to_string(line) + ", column " + std::to_string(column + 1);
}

error refused(simdjson::error_code code, std::string_view text, const limits& budget) {
  if (auto fault = internal::find_json_fault(text, budget.depth))
    return *std::move(fault);
  std::string place;
  if (const auto at = internal::find_json_syntax_fault(text))
    place = place_of(text.substr(0, *at)) + ": ";
  return {.code = errc::malformed, .message = "not JSON: " + place + simdjson::error_message(code)};
}

}  // namespace

expected<value> value_from_json(std::string_view text, const limits& budget) {
  if (text.size() > budget.bytes)
    return tl::unexpected(error{.code = errc::too_large,
                                .message = "more than " + std::to_string(budget.bytes) + " bytes",
                                .limit = budget.bytes});
  if (text.empty())  // a view without data is no input for simdjson
    return fail(errc::malformed, "not JSON: there is nothing");
  // A parser keeps its buffers: one a thread, unless the document is a rare large one.
  thread_local dom::parser kept;
  dom::parser large;
  dom::parser& parser = text.size() > (1 << 20) ? large : kept;
  if (const auto code = parser.allocate(std::max<std::size_t>(text.size(), 4096), budget.depth + 2))
    return fail(errc::too_large,
                std::string{"no memory to read the document: "} + simdjson::error_message(code));
  dom::element root;
  if (const auto code = parser.parse(text.data(), text.size()).get(root))
    return tl::unexpected(refused(code, text, budget));

  internal::document_builder out{budget, text.size()};
  std::vector<open_container> open;
  open.reserve(8);
  bool ok = visit(root, out, open);
  while (ok && !open.empty()) {
    auto& top = open.back();
    if (top.map ? top.field == top.last_field : top.item == top.last_item) {
      open.pop_back();
      ok = out.end();
    } else if (top.map) {
      const auto field = *top.field;
      ++top.field;
      ok = out.key(field.key) && visit(field.value, out, open);
    } else {
      const auto item = *top.item;
      ++top.item;
      ok = visit(item, out, open);
    }
  }
  if (!ok)
    return tl::unexpected(*out.failed());
  return out.finish();
}

}  // namespace troupe
