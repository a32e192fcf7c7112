#pragma once

/// Checks values against the part of JSON Schema that `/openapi.json` is written in. A keyword it
/// does not know is a violation, so that no schema is weaker than it looks.

#include <troupe/state/json.hpp>
#include <troupe/state/time.hpp>
#include <troupe/state/value.hpp>

#include <algorithm>
#include <string>
#include <string_view>

namespace troupe::testing {

inline bool has_json_type(value_view x, std::string_view name) {
  switch (x.type()) {
    case value_type::null: return name == "null";
    case value_type::boolean: return name == "boolean";
    case value_type::integer: return name == "integer" || name == "number";
    case value_type::real: return name == "number";
    case value_type::string: return name == "string";
    case value_type::array: return name == "array";
    case value_type::map: return name == "object";
    case value_type::binary: return false;
  }
  return false;
}

/// What is wrong with `x`, with its path; empty: nothing.
inline std::string violation(value_view x, value_view schema, const std::string& path = {}) {
  const auto wrong = [&](const std::string& what) {
    return path + ": " + what + ": " + to_json(x);
  };
  const auto member = [&](std::string_view name) { return x.find(name); };
  const auto properties = schema.find("properties");
  for (auto at = schema.children(); at.next();) {
    const auto rule = at.item();
    if (at.key() == "type") {
      bool fits = rule.as_string() && has_json_type(x, *rule.as_string());
      for (auto one = rule.children(); one.next();)
        fits = fits || has_json_type(x, *one.item().as_string());
      if (!fits)
        return wrong("not of type " + to_json(rule));
    } else if (at.key() == "properties") {
      for (auto one = rule.children(); one.next();) {
        if (const auto found = member(one.key())) {
          auto why = violation(*found, one.item(), path + '/' + std::string{one.key()});
          if (!why.empty())
            return why;
        }
      }
    } else if (at.key() == "required") {
      for (auto one = rule.children(); one.next();) {
        if (!member(*one.item().as_string()))
          return wrong("lacks " + to_json(one.item()));
      }
    } else if (at.key() == "additionalProperties") {
      for (auto one = x.children(); one.next();) {
        if (properties && properties->find(one.key()))
          continue;
        if (rule.as_bool() == false)
          return wrong("has an unknown " + std::string{one.key()});
        auto why = violation(one.item(), rule, path + '/' + std::string{one.key()});
        if (!why.empty())
          return why;
      }
    } else if (at.key() == "items") {
      std::size_t i = 0;
      for (auto one = x.children(); one.next(); ++i) {
        auto why = violation(one.item(), rule, path + '/' + std::to_string(i));
        if (!why.empty())
          return why;
      }
    } else if (at.key() == "enum") {
      bool found = false;
      for (auto one = rule.children(); one.next();)
        found = found || one.item() == x;
      if (!found)
        return wrong("none of " + to_json(rule));
    } else if (at.key() == "minimum") {
      if (const auto n = x.as_int64(); n && *n < *rule.as_int64())
        return wrong("less than " + to_json(rule));
    } else if (at.key() == "format") {
      if (rule.as_string() != "date-time" || !x.as_string() || !from_rfc3339(*x.as_string()))
        return wrong("not of format " + to_json(rule));
    } else {
      return wrong("a schema with an unknown keyword " + std::string{at.key()});
    }
  }
  return {};
}

}  // namespace troupe::testing
