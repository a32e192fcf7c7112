#include <troupe/actors/directory.hpp>
#include <troupe/actors/gateway.hpp>
#include <troupe/actors/internal/wait_for.hpp>
#include <troupe/actors/result_cache.hpp>
#include <troupe/actors/supervisor.hpp>
#include <troupe/persistence/cache_store.hpp>
#include <troupe/persistence/store_actor.hpp>
#include <troupe/runtime/runtime.hpp>
#include <troupe/runtime/runtime_actor.hpp>
#include <troupe/state/codec.hpp>

#include <caf/actor_system.hpp>
#include <caf/scoped_actor.hpp>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <mutex>
#include <thread>
#include <utility>

namespace troupe {

namespace {

timestamp system_clock_now() {
  const auto since = std::chrono::system_clock::now().time_since_epoch();
  return {std::chrono::duration_cast<std::chrono::milliseconds>(since).count()};
}

/// What measurement says (docs of CAF's own defaults: an idle node takes 16 % of a core).
struct system_config : caf::actor_system_config {
  system_config() {
    init_messages();
    set("caf.scheduler.policy", "sharing");
    set("caf.scheduler.max-throughput", 100);
    set("caf.scheduler.max-threads", std::max(2u, std::thread::hardware_concurrency()));
  }
};

struct own_system {
  system_config config;
  caf::actor_system system{config};
};

[[noreturn]] void end_process(const error& why) {
  spdlog::critical("the runtime cannot go on and ends the process: {}", why.message);
  spdlog::default_logger()->flush();
  std::_Exit(75);
}

}  // namespace

struct runtime::impl {
  explicit impl(runtime_options given, journal_store opened)
      : options{std::move(given)},
        own{options.system ? nullptr : std::make_unique<own_system>()},
        system{options.system ? *options.system : own->system} {
    store = spawn_store(system, std::move(opened), {.on_fatal = options.on_fatal});
    supervisor = spawn_supervisor(
        system, {store, live, options.now, options.max_live, options.idle.count()});
    gateway = spawn_gateway(system, supervisor);
    watch(store, "store");
    watch(supervisor, "supervisor");
    watch(gateway, "gateway");
    start_cache();
  }

  /// One that cannot be saved is a cache all the same.
  void start_cache() {
    auto how = options.cache ? *options.cache : result_cache_options{};
    if (auto opened = cache_store::open(options.data, {.map_bytes = std::max<std::uint64_t>(
                                                           1ULL << 30, 4 * how.limits.max_bytes)}))
      saved = spawn_cache_store(system, *std::move(opened));
    else
      spdlog::warn("results are not saved: {}", opened.error().message);
    how.now = options.now;
    how.store = saved;
    results = spawn_result_cache(system, std::move(how));
    watch(results.actor(), "result cache");
  }

  /// Without one of the three nothing is answered any more, so an end that `close` did not ask for
  /// is fatal.
  template <class Handle>
  void watch(const Handle& handle, const char* name) {
    caf::actor_cast<caf::actor>(handle)->attach_functor(
        [ending = ending, fatal = options.on_fatal, name](const caf::error& why) {
          if (!*ending)
            fatal({errc::internal,
                   std::string{"the "} + name + " actor ended: " + caf::to_string(why)});
        });
  }

  void close() {
    draining = true;
    const std::lock_guard lock{closing};
    if (std::exchange(closed, true))
      return;
    caf::scoped_actor self{system};
    compat::request(self, supervisor, drain{}).receive([] {}, [](const caf::error&) {});
    compat::request(self, gateway, drain{}).receive([] {}, [](const caf::error&) {});
    final_stats = read_stats(self);
    *ending = true;
    results.close();
    if (saved) {
      caf::anon_send_exit(saved, caf::exit_reason::user_shutdown);
      self->wait_for(saved);
    }
    for (const auto& end :
         {caf::actor_cast<caf::actor>(gateway), caf::actor_cast<caf::actor>(supervisor),
          caf::actor_cast<caf::actor>(store)}) {
      caf::anon_send_exit(end, caf::exit_reason::user_shutdown);
      self->wait_for(end);
    }
  }

  store_stats read_stats(caf::scoped_actor& self) {
    store_stats out;
    compat::request(self, store, get_store_stats{})
        .receive([&](const store_stats& x) { out = x; }, [](const caf::error&) {});
    return out;
  }

  store_stats stats() {
    const std::lock_guard lock{closing};
    if (closed)
      return final_stats;
    caf::scoped_actor self{system};
    return read_stats(self);
  }

  runtime_options options;
  std::unique_ptr<own_system> own;  // null: the host's
  caf::actor_system& system;
  std::shared_ptr<directory> live = std::make_shared<directory>();
  store_actor store;
  supervisor_actor supervisor;
  gateway_actor gateway;
  cache_store_actor saved;
  result_cache results;
  std::atomic<bool> draining = false;  // no new requests
  // The actors are told to end; in a host's system one may look here when this is gone.
  std::shared_ptr<std::atomic<bool>> ending = std::make_shared<std::atomic<bool>>(false);
  std::mutex closing;
  bool closed = false;
  store_stats final_stats;
};

expected<std::unique_ptr<runtime>> runtime::open(runtime_options options) {
  if (!options.now)
    options.now = system_clock_now;
  if (!options.on_fatal)
    options.on_fatal = end_process;
  journal_options journal;
  journal.tail_bytes = options.journal_tail_bytes;
  journal.covered_bytes = options.journal_kept_bytes;
  journal.quota_bytes = options.quota_bytes;
  journal.reserve_bytes = options.reserve_bytes;
  journal.allow_remote_fs = options.allow_remote_fs;
  auto store = journal_store::open(options.data, journal, fold_entities());
  if (!store)
    return tl::unexpected(std::move(store.error()));
  return std::unique_ptr<runtime>{
      new runtime{std::make_unique<impl>(std::move(options), *std::move(store))}};
}

runtime::runtime(std::unique_ptr<impl> self) : impl_{std::move(self)} {}

runtime::~runtime() {
  close();
}

void runtime::close() {
  impl_->close();
}

void runtime::execute(command request, std::function<void(expected<command_result>)> done) {
  if (impl_->draining)
    return done(fail(errc::draining, "the runtime is closing"));
  compat::anon_send(impl_->gateway,
                    host_command{std::move(request), completion<command_result>{std::move(done)}});
}

expected<command_result> runtime::execute(command request, std::chrono::milliseconds deadline) {
  return internal::wait_for<command_result>(
      deadline, [&](auto done) { execute(std::move(request), std::move(done)); });
}

void runtime::read(const entity_ref& entity, std::function<void(expected<snapshot>)> done) {
  if (const auto published = impl_->live->find(entity)) {
    if (auto state = published->read())
      return done(std::move(state));
  }
  if (impl_->draining)
    return done(fail(errc::draining, "the runtime is closing"));
  auto unwrap = [done = std::move(done)](expected<state_snapshot> answer) {
    done(answer ? expected<snapshot>{std::move(answer->state)}
                : tl::unexpected(std::move(answer.error())));
  };
  compat::anon_send(impl_->gateway,
                    host_read{{entity}, completion<state_snapshot>{std::move(unwrap)}});
}

expected<runtime::snapshot> runtime::read(const entity_ref& entity,
                                          std::chrono::milliseconds deadline) {
  return internal::wait_for<snapshot>(deadline, [&](auto done) { read(entity, std::move(done)); });
}

void runtime::read_at(const entity_ref& entity, std::uint64_t revision,
                      std::function<void(expected<snapshot>)> done) {
  if (auto ok = check_entity(entity); !ok)
    return done(tl::unexpected(std::move(ok.error())));
  if (impl_->draining)
    return done(fail(errc::draining, "the runtime is closing"));
  const completion<snapshot> answer{std::move(done)};
  impl_->system.spawn([=, store = impl_->store](caf::event_based_actor* self) {
    compat::request(self, store, load_request{entity, revision})
        .then(
            [answer](const stored_entity& stored) {
              answer(join_entity(stored.parts).map([](entity_state state) -> snapshot {
                return std::make_shared<const entity_state>(std::move(state));
              }));
            },
            [answer](const caf::error& why) { answer(tl::unexpected(from_caf(why))); });
  });
}

timestamp runtime::now() const {
  return impl_->options.now();
}

const result_cache& runtime::cache() const {
  return impl_->results;
}

runtime_stats runtime::stats() const {
  const auto stored = impl_->stats();
  return {.position = stored.position,
          .materialised = stored.materialised,
          .tail_bytes = stored.tail_bytes,
          .commits = stored.commits,
          .changes = stored.changes,
          .live = impl_->live->size()};
}

runtime_actor internal::actor_access::of(const runtime& which) {
  return which.impl_->supervisor;
}

}  // namespace troupe
