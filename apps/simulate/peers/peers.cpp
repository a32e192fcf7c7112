#include "simulate/peers/peers.hpp"

namespace troupe::simulate {

std::vector<std::string> peer_names() {
  return {"maps", "nothing", "sqlite", "redis", "postgres", "erlang"};
}

expected<std::unique_ptr<driver>> open_peer(std::string_view name, const workload& what,
                                            const peer_options& options) {
  if (name == "maps")
    return open_maps(what);
  if (name == "nothing")
    return open_nothing();
  if (name == "sqlite")
    return open_sqlite(what, options);
  if (name == "redis")
    return open_redis(what, options);
  if (name == "postgres")
    return open_postgres(what, options);
  if (name == "erlang")
    return open_erlang(what, options);
  return fail(errc::not_supported,
              "there is no target '" + std::string{name}
                  + "': embedded, node, http://HOST:PORT, maps, sqlite, redis, postgres, "
                    "erlang, nothing");
}

}  // namespace troupe::simulate
