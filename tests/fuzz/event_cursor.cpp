/// What a client sends as `Last-Event-ID`: a cursor of such a stream, which is written as it came,
/// or nothing that opens one.

#include <troupe/state/event_stream.hpp>

#include "fuzz/require.hpp"

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

using namespace troupe;
using namespace troupe::fuzz;

namespace {

/// "1-42": numbers without leading zeros, each within `most`.
bool naive_numbers(std::string_view text, std::size_t count, std::vector<std::uint64_t>& out) {
  std::string digits;
  const auto end_number = [&] {
    if (digits.empty() || (digits.size() > 1 && digits[0] == '0') || digits.size() > 20)
      return false;
    std::uint64_t number = 0;
    for (const char c : digits) {
      const auto digit = static_cast<std::uint64_t>(c - '0');
      if (number > (std::numeric_limits<std::uint64_t>::max() - digit) / 10)
        return false;
      number = number * 10 + digit;
    }
    out.push_back(number);
    digits.clear();
    return true;
  };
  for (const char c : text) {
    if (c >= '0' && c <= '9')
      digits += c;
    else if (c != '-' || !end_number())
      return false;
  }
  return end_number() && out.size() == count;
}

bool naive_entity(std::string_view text) {
  std::vector<std::uint64_t> numbers;
  return naive_numbers(text, 2, numbers);
}

bool naive_stream(std::string_view text) {
  if (!text.starts_with("s0-"))
    return false;
  std::vector<std::uint64_t> two, three;
  if (naive_numbers(text.substr(3), 2, two))
    return true;
  return naive_numbers(text.substr(3), 3, three) && three[2] != 0
         && three[2] <= std::numeric_limits<std::uint32_t>::max();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text{reinterpret_cast<const char*>(data), size};
  event_filter one, all;
  one.entity = session_ref("s");
  const auto of_one = parse_cursor(one, text), of_all = parse_cursor(all, text);
  require(of_one.has_value() == naive_entity(text), "an entity's cursor is two numbers");
  require(of_all.has_value() == naive_stream(text), "a stream's cursor is that of its shard");
  require(!(of_one && of_all), "no cursor is of both kinds of stream");
  for (const auto* read : {&of_one, &of_all}) {
    if (!*read) {
      require(read->error().code == errc::malformed, "what is none is malformed");
      continue;
    }
    const auto written = read == &of_one ? to_string(std::get<entity_cursor>(**read))
                                         : to_string(std::get<stream_cursor>(**read));
    require(written == text, "a cursor is written as it came");
  }
  return 0;
}
