/// A request target: its path, its query and the ids in it mean what the plainest reading finds,
/// and go back into the same path.

#include <troupe/state/ids.hpp>

#include "fuzz/require.hpp"
#include "http/message.hpp"
#include "support/naive_text.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

using namespace troupe;
using namespace troupe::fuzz;

namespace {

std::optional<std::string> naive_decoded(std::string_view text, bool form) {
  const auto digit = [](char c) {
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
  };
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += form && text[i] == '+' ? ' ' : text[i];
      continue;
    }
    if (i + 2 >= text.size() || digit(text[i + 1]) < 0 || digit(text[i + 2]) < 0)
      return std::nullopt;
    out += static_cast<char>(digit(text[i + 1]) * 16 + digit(text[i + 2]));
    i += 2;
  }
  return out;
}

std::vector<std::string_view> pieces(std::string_view text, char between) {
  std::vector<std::string_view> out;
  for (std::size_t begin = 0, end = 0; end != text.npos; begin = end + 1) {
    end = text.find(between, begin);
    out.push_back(text.substr(begin, end - begin));
  }
  return out;
}

struct naive_target {
  std::vector<std::string> segments;
  std::vector<std::pair<std::string, std::string>> query;
};

std::optional<naive_target> naive_parse(std::string_view target) {
  if (target.empty() || target.front() != '/')
    return std::nullopt;
  naive_target out;
  const auto mark = target.find('?');
  const auto path = target.substr(1, mark == target.npos ? mark : mark - 1);
  for (const auto one : path.empty() ? std::vector<std::string_view>{} : pieces(path, '/')) {
    const auto text = naive_decoded(one, false);
    if (!text)
      return std::nullopt;
    out.segments.push_back(*text);
  }
  if (mark == target.npos)
    return out;
  for (const auto one : pieces(target.substr(mark + 1), '&')) {
    if (one.empty())
      continue;
    const auto equals = one.find('=');
    const auto name = naive_decoded(one.substr(0, equals), true);
    const auto text =
        equals == one.npos ? std::string{} : naive_decoded(one.substr(equals + 1), true);
    if (!name || !text)
      return std::nullopt;
    out.query.emplace_back(*name, *text);
  }
  return out;
}

bool naive_id(std::string_view text) {
  if (text.empty() || text.size() > 256 || !testing::naive_utf8(text))
    return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (byte < 0x20 || byte == 0x7f)
      return false;
    const bool c1 = byte == 0xc2 && static_cast<unsigned char>(text[i + 1]) < 0xa0;  // U+0080 on
    if (c1)
      return false;
  }
  return true;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view target{reinterpret_cast<const char*>(data), size};
  const auto read = http::parse_target(target);
  const auto naive = naive_parse(target);
  require(read.has_value() == naive.has_value(), "a target is read when it can be");
  if (!read) {
    require(read.error().code == errc::malformed && !read.error().message.empty(),
            "what cannot be read is malformed and says why");
    return 0;
  }
  require(read->segments == naive->segments, "the segments are those of the path");
  require(read->query.size() == naive->query.size(), "no parameter is lost");
  for (std::size_t i = 0; i < naive->query.size(); ++i)
    require(read->query[i].name == naive->query[i].first
                && read->query[i].value == naive->query[i].second,
            "the parameters are those of the query");
  std::string again;
  for (const auto& segment : read->segments) {
    const auto id = checked_id(segment);
    require(id.has_value() == naive_id(segment), "an id is one when it may be");
    if (id)
      require(*id == segment, "an id is kept byte by byte");
    else
      require(id.error().code == errc::bad_id, "what is none is a bad id");
    again += '/' + http::percent_encode(segment);
  }
  const auto back = http::parse_target(again.empty() ? "/" : again);
  require(back.has_value() && back->segments == read->segments, "a path that is written is read");
  return 0;
}
