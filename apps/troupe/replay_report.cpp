#include "troupe/replay_report.hpp"

#include <troupe/state/json.hpp>

#include "troupe/table.hpp"
#include "troupe/text.hpp"

#include <cmath>

namespace troupe::cli {

namespace {

double seconds(std::chrono::nanoseconds t) {
  return std::chrono::duration<double>(t).count();
}

/// Three decimals: no false exactness.
double rounded(double x) {
  return std::round(x * 1000) / 1000;
}

double microseconds(std::chrono::nanoseconds t) {
  return rounded(seconds(t) * 1e6);
}

std::string verdict(const replay_report& report) {
  const auto& c = *report.compared;
  if (c.mismatches > 0)
    return group_digits(c.mismatches);
  return c.complete ? "0: every item came back equal" : "0 so far";
}

/// An object whose members are added one by one.
class json_object {
public:
  template <class T>
  json_object& add(std::string_view name, const T& x) {
    text_ += text_.empty() ? "" : ",";
    append_json_string(text_, name);
    text_ += ':';
    append_json(text_, value{x});
    return *this;
  }
  json_object& add_raw(std::string_view name, const std::string& json) {
    text_ += text_.empty() ? "" : ",";
    append_json_string(text_, name);
    text_ += ':' + json;
    return *this;
  }
  [[nodiscard]] std::string text() const { return '{' + text_ + '}'; }

private:
  std::string text_;
};

std::string mismatches_json(const comparison& c) {
  std::string out = "[";
  for (const auto& text : c.first) {
    out += out.size() == 1 ? "" : ",";
    append_json_string(out, text);
  }
  return out + ']';
}

}  // namespace

double write_result::appends_per_second() const noexcept {
  const auto t = seconds(elapsed);
  return t > 0 ? static_cast<double>(items) / t : 0;
}

bool replay_report::good() const noexcept {
  return !failure && !interrupted && compared && compared->complete && compared->mismatches == 0;
}

std::string render_table(const replay_report& report) {
  table out{{align::left, align::left}};
  out.add({"target", one_line(report.target, 200)});
  out.add({"sessions", group_digits(report.sessions)});
  out.add({"items", group_digits(report.items)});
  out.add({"bytes", human_bytes(report.bytes)});
  if (const auto& w = report.written) {
    if (w->items != report.items)
      out.add({"acknowledged", plural(w->items, "item") + " of " + plural(w->sessions, "session")});
    out.add({"written in",
             human_duration(w->elapsed) + ", " + group_digits(report.parallel) + " in flight"});
    out.add({"durable turns/s", human_rate(w->appends_per_second())});
    out.add({"append p50", human_duration(w->p50)});
    out.add({"append p99", human_duration(w->p99)});
  }
  if (report.reopened)
    out.add({"reopened in", human_duration(*report.reopened)});
  if (const auto& c = report.compared) {
    out.add({"compared", plural(c->items, "item") + " of " + plural(c->sessions, "session") + " in "
                             + human_duration(c->elapsed)});
    if (c->extra > 0)
      out.add({"added since", plural(c->extra, "item")});
    out.add({"mismatches", verdict(report)});
  }
  auto text = out.render();
  if (report.compared) {
    for (const auto& what : report.compared->first)
      text += "  " + what + '\n';
    if (const auto& c = *report.compared; c.mismatches > c.first.size())
      text += "  ... and " + group_digits(c.mismatches - c.first.size()) + " more\n";
  }
  if (report.interrupted)
    text += "interrupted: this is what was done until then\n";
  return text;
}

std::string render_json(const replay_report& report) {
  json_object out;
  out.add("target", one_line(report.target, 4096))
      .add("sessions", report.sessions)
      .add("items", report.items)
      .add("bytes", report.bytes)
      .add("parallel", report.parallel);
  if (const auto& w = report.written) {
    out.add("acknowledged_sessions", w->sessions)
        .add("acknowledged_items", w->items)
        .add("write_s", seconds(w->elapsed))
        .add("durable_turns_per_s", rounded(w->appends_per_second()))
        .add("append_p50_us", microseconds(w->p50))
        .add("append_p99_us", microseconds(w->p99));
  }
  if (report.reopened)
    out.add("reopen_s", seconds(*report.reopened));
  if (const auto& c = report.compared) {
    out.add("compared_sessions", c->sessions)
        .add("compared_items", c->items)
        .add("compared_bytes", c->bytes)
        .add("compare_s", seconds(c->elapsed))
        .add("mismatches", c->mismatches)
        .add_raw("mismatch_details", mismatches_json(*c));
  }
  if (report.failure)
    out.add("failure", *report.failure);
  return out.add("interrupted", report.interrupted).add("ok", report.good()).text();
}

}  // namespace troupe::cli
