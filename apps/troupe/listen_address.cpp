#include "troupe/options.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

namespace troupe::cli {

expected<listen_address> parse_listen_address(std::string_view text) {
  const auto colon = text.rfind(':');
  const auto malformed = [](std::string why) {
    return fail(errc::malformed,
                std::move(why) + "; write HOST:PORT, e.g. 127.0.0.1:7717 or [::1]:7717");
  };
  if (colon == std::string_view::npos)
    return malformed("the address has no port");
  auto host = text.substr(0, colon);
  const auto digits = text.substr(colon + 1);
  const bool bracketed = host.starts_with('[') && host.ends_with(']') && host.size() > 2;
  if (bracketed)
    host = host.substr(1, host.size() - 2);
  else if (host.find(':') != std::string_view::npos)
    return malformed("an IPv6 address stands in brackets");
  const bool host_ok = !host.empty() && std::ranges::all_of(host, [](char c) {
    return c > 0x20 && c < 0x7f && std::string_view{"[]/?#@"}.find(c) == std::string_view::npos;
  });
  if (!host_ok)
    return malformed("the address has no host");
  listen_address out{std::string{host}, 0};
  const auto* last = digits.data() + digits.size();
  const auto [end, ec] = std::from_chars(digits.data(), last, out.port);
  if (digits.empty() || ec != std::errc{} || end != last)
    return malformed("a port is a number from 0 to 65535");
  return out;
}

}  // namespace troupe::cli
