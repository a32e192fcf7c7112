#include <troupe/actors/admission.hpp>
#include <troupe/actors/cleaner.hpp>
#include <troupe/actors/directory.hpp>
#include <troupe/actors/event_hub.hpp>
#include <troupe/actors/gateway.hpp>
#include <troupe/actors/hooks.hpp>
#include <troupe/actors/internal/ask_once.hpp>
#include <troupe/actors/internal/reactions.hpp>
#include <troupe/actors/internal/wait_for.hpp>
#include <troupe/actors/result_cache.hpp>
#include <troupe/actors/supervisor.hpp>
#include <troupe/messages/metrics.hpp>
#include <troupe/persistence/cache_store.hpp>
#include <troupe/persistence/store_actor.hpp>
#include <troupe/runtime/internal/node_parts.hpp>
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
#include <optional>
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
    // Mailboxes and handlers of those that are one for all; each of many would cost memory.
    set("caf.metrics-filters.actors.includes",
        std::vector<std::string>{"troupe.store", "troupe.supervisor"});
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

/// One request that is not answered yet.
struct end_asking {
  void operator()(std::atomic<std::size_t>* asked) const {
    if (--*asked == 0)
      asked->notify_all();
  }
};
using one_asked = std::unique_ptr<std::atomic<std::size_t>, end_asking>;

}  // namespace

struct runtime::impl {
  explicit impl(runtime_options given, std::unique_ptr<troupe::store> opened)
      : options{std::move(given)},
        door{{options.max_in_flight, options.max_in_flight_bytes}},
        own{options.system ? nullptr : std::make_unique<own_system>()},
        system{options.system ? *options.system : own->system} {
    const auto state_of = [all = live](const entity_ref& x) {
      const auto found = all->find(x);
      return found ? found->look() : nullptr;
    };
    store =
        spawn_store(system, std::move(opened),
                    {.on_fatal = options.on_fatal, .feed = feed, .lanes = lanes, .live = state_of});
    hub = spawn_event_hub(system, {store, feed});
    supervisor = spawn_supervisor(system, {.store = store,
                                           .live = live,
                                           .now = options.now,
                                           .max_live = options.max_live,
                                           .idle_ms = options.idle.count(),
                                           .hooks = options.hooks});
    way_in.emplace(supervisor, live, lanes);
    cleaner = spawn_cleaner(
        system, {store, supervisor, live, options.now, options.idle.count() > 0, options.clean_up});
    if (options.hooks)
      reactions = internal::spawn_after_hooks(system, hub, feed, *options.hooks);
    watch(store, "store");
    watch(hub, "event hub");
    watch(supervisor, "supervisor");
    start_cache();
  }

  /// One that cannot be saved is a cache all the same.
  void start_cache() {
    auto how = *options.cache;
    if (auto opened = cache_store::open(options.data, {.map_bytes = std::max<std::uint64_t>(
                                                           1ULL << 30, 4 * how.limits.max_bytes)}))
      saved = spawn_cache_store(system, *std::move(opened));
    else
      spdlog::warn("results are not saved: {}", opened.error().message);
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
    for (auto left = asked.load(); left != 0; left = asked.load())
      asked.wait(left);
    final_stats = read_stats(self);
    compat::request(self, hub, drain{}).receive([] {}, [](const caf::error&) {});
    for (const auto& one : reactions)
      self->wait_for(one);
    *ending = true;
    results.close();
    if (saved) {
      caf::anon_send_exit(saved, caf::exit_reason::user_shutdown);
      self->wait_for(saved);
    }
    for (const auto& end :
         {caf::actor_cast<caf::actor>(cleaner), caf::actor_cast<caf::actor>(supervisor),
          caf::actor_cast<caf::actor>(hub), caf::actor_cast<caf::actor>(store)}) {
      caf::anon_send_exit(end, caf::exit_reason::user_shutdown);
      self->wait_for(end);
    }
  }

  /// `close` waits until it is gone.
  one_asked begin_asking() {
    ++asked;
    return one_asked{&asked};
  }

  /// `close` waits for the answer. Whoever is told it may ask again: there is room.
  template <class Answer>
  completion<Answer> awaited(std::function<void(expected<Answer>)> done, admission::pass in) {
    return completion<Answer>{[asking = begin_asking(), in = std::move(in),
                               done = std::move(done)](expected<Answer> x) mutable {
      in.leave();
      done(std::move(x));
    }};
  }

  /// Nothing: `done` was told why it may not begin.
  template <class Answer>
  std::optional<completion<Answer>> let_in(std::size_t bytes,
                                           std::function<void(expected<Answer>)> done) {
    auto in = door.enter(bytes);
    if (!in) {
      done(tl::unexpected(std::move(in.error())));
      return {};
    }
    auto told = awaited<Answer>(std::move(done), *std::move(in));
    return is_open(told) ? std::optional{std::move(told)} : std::nullopt;
  }

  /// False: `done` was told that the runtime closes.
  template <class Answer>
  bool is_open(const completion<Answer>& done) const {
    const bool closing_now = draining;
    if (closing_now)
      done(fail(errc::draining, "the runtime is closing"));
    return !closing_now;
  }

  void read(get_state query, std::function<void(expected<snapshot>)> done) {
    auto told =
        let_in<state_snapshot>(0, [done = std::move(done)](expected<state_snapshot> answer) {
          done(answer ? expected<snapshot>{std::move(answer->state)}
                      : tl::unexpected(std::move(answer.error())));
        });
    if (told)
      way_in->send(host_read{std::move(query), *std::move(told)});
  }

  template <class Answer, class Message>
  void ask_store(Message what, std::function<void(expected<Answer>)> done) {
    if (auto told = let_in<Answer>(0, std::move(done)))
      internal::ask_once(system, store, std::move(what), *std::move(told));
  }

  /// However much is in flight: then operators look.
  void ask_for_stats(std::function<void(expected<store_stats>)> done) {
    auto told = awaited<store_stats>(std::move(done), {});
    if (is_open(told))
      internal::ask_once(system, store, get_store_stats{}, std::move(told));
  }

  void walk(host_cleanup what) {
    if (auto ok = checked_id(what.what.name_space); !ok)
      return what.done(tl::unexpected(std::move(ok.error())));
    if (draining)
      return what.done(fail(errc::draining, "the runtime is closing"));
    compat::anon_send(cleaner, std::move(what));
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

  std::string metrics_text(const store_stats& stored) {
    const auto cached = results.stats();
    const auto measured = troupe::metrics::of(system);
    const auto tell = [](troupe::metrics::level* of, std::uint64_t number) {
      of->value(static_cast<std::int64_t>(number));
    };
    tell(measured.in_flight, door.requests());
    tell(measured.in_flight_bytes, door.bytes());
    tell(measured.refused, door.refused());
    tell(measured.event_lag, feed->bytes);
    tell(measured.stored, stored.entities);
    tell(measured.journal_tail, stored.tail_bytes);
    tell(measured.journal_covered, stored.covered_bytes);
    tell(measured.store_bytes, stored.bytes);
    tell(measured.cache_entries, cached.entries);
    tell(measured.cache_bytes, cached.bytes);
    tell(measured.cache_hits, cached.hits);
    tell(measured.cache_misses, cached.misses);
    tell(measured.cache_evictions, cached.evictions());
    tell(measured.cache_expirations, cached.expirations);
    return troupe::metrics_text(system);
  }

  [[nodiscard]] runtime_stats told(const store_stats& stored) const {
    return {.position = stored.position,
            .materialised = stored.materialised,
            .tail_bytes = stored.tail_bytes,
            .commits = stored.commits,
            .changes = stored.changes,
            .live = live->size()};
  }

  runtime_options options;
  admission door;                      // of requests that may end with the system only
  std::atomic<std::size_t> asked = 0;  // requests that are not answered yet
  std::shared_ptr<compat::lanes> lanes = std::make_shared<compat::lanes>();
  std::unique_ptr<own_system> own;  // null: the host's
  caf::actor_system& system;
  std::shared_ptr<directory> live = std::make_shared<directory>();
  std::shared_ptr<commit_feed> feed = std::make_shared<commit_feed>();
  maintained_store_actor store;
  event_hub_actor hub;
  std::vector<caf::actor> reactions;  // of the hooks after a change; they end with their streams
  supervisor_actor supervisor;
  std::optional<gateway> way_in;
  cleaner_actor cleaner;
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
  return internal::actor_access::open(std::move(options), {});
}

expected<std::unique_ptr<runtime>> internal::actor_access::open(runtime_options options,
                                                                const store_wrapper& around) {
  auto cache = options.cache ? *options.cache : result_cache_options{};
  cache.now = options.now;  // or a cheaper one of its own
  options.cache = std::make_shared<const result_cache_options>(std::move(cache));
  if (!options.now)
    options.now = system_clock_now;
  if (!options.on_fatal)
    options.on_fatal = end_process;
  if (options.hooks)
    for (const auto& hook : options.hooks->after)
      if (auto ok = check_filter(hook.filter); !ok)
        return tl::unexpected(std::move(ok.error()));
  journal_options journal;
  journal.tail_bytes = options.journal_tail_bytes;
  journal.covered_bytes = options.journal_kept_bytes;
  journal.quota_bytes = options.quota_bytes;
  journal.reserve_bytes = options.reserve_bytes;
  journal.slice_time = std::chrono::milliseconds{4};
  journal.allow_remote_fs = options.allow_remote_fs;
  auto opened = journal_store::open(options.data, journal, fold_entities());
  if (!opened)
    return tl::unexpected(std::move(opened.error()));
  std::unique_ptr<store> owned = std::make_unique<journal_store>(*std::move(opened));
  if (around)
    owned = around(std::move(owned));
  return std::unique_ptr<runtime>{
      new runtime{std::make_unique<runtime::impl>(std::move(options), std::move(owned))}};
}

runtime::runtime(std::unique_ptr<impl> self) : impl_{std::move(self)} {}

runtime::~runtime() {
  close();
}

void runtime::close() {
  impl_->close();
}

void runtime::execute(command request, std::function<void(expected<command_result>)> done) {
  if (auto told = impl_->let_in(carried_bytes(request), std::move(done)))
    impl_->way_in->send(host_command{std::move(request), *std::move(told)});
}

expected<command_result> runtime::execute(command request, std::chrono::milliseconds deadline) {
  return internal::wait_for<command_result>(
      deadline, [&](auto done) { execute(std::move(request), std::move(done)); });
}

void runtime::execute_all(change_set what, std::function<void(expected<change_set_result>)> done) {
  if (auto ok = checked_order(what); !ok)
    return done(tl::unexpected(std::move(ok.error())));
  if (auto told = impl_->let_in(carried_bytes(what), std::move(done)))
    impl_->way_in->send(host_change_set{std::move(what), *std::move(told)});
}

expected<change_set_result> runtime::execute_all(change_set what,
                                                 std::chrono::milliseconds deadline) {
  return internal::wait_for<change_set_result>(
      deadline, [&](auto done) { execute_all(std::move(what), std::move(done)); });
}

void runtime::read_all(std::vector<entity_ref> entities,
                       std::function<void(expected<std::vector<snapshot>>)> done) {
  change_set what;
  for (auto& one : entities)
    what.commands.push_back({.entity = std::move(one)});
  execute_all(std::move(what), [done = std::move(done)](expected<change_set_result> found) {
    if (!found)
      return done(tl::unexpected(std::move(found.error())));
    std::vector<snapshot> out;
    for (auto& one : found->answers)
      out.push_back(std::move(one.state));
    done(std::move(out));
  });
}

expected<std::vector<runtime::snapshot>> runtime::read_all(std::vector<entity_ref> entities,
                                                           std::chrono::milliseconds deadline) {
  return internal::wait_for<std::vector<snapshot>>(
      deadline, [&](auto done) { read_all(std::move(entities), std::move(done)); });
}

void runtime::read(const entity_ref& entity, std::function<void(expected<snapshot>)> done) {
  if (auto state = impl_->live->read(entity))
    return done(std::move(state));
  impl_->read({entity}, std::move(done));
}

expected<runtime::snapshot> runtime::read(const entity_ref& entity,
                                          std::chrono::milliseconds deadline) {
  return internal::wait_for<snapshot>(deadline, [&](auto done) { read(entity, std::move(done)); });
}

void runtime::read_latest(const entity_ref& entity, std::function<void(expected<snapshot>)> done) {
  if (auto ok = check_entity(entity); !ok)
    return done(tl::unexpected(std::move(ok.error())));
  impl_->read({entity, true}, std::move(done));
}

expected<runtime::snapshot> runtime::read_latest(const entity_ref& entity,
                                                 std::chrono::milliseconds deadline) {
  return internal::wait_for<snapshot>(deadline,
                                      [&](auto done) { read_latest(entity, std::move(done)); });
}

void runtime::read_at(const entity_ref& entity, std::uint64_t revision,
                      std::function<void(expected<snapshot>)> done) {
  if (auto ok = check_entity(entity); !ok)
    return done(tl::unexpected(std::move(ok.error())));
  impl_->ask_store<stored_entity>(
      load_request{entity, revision}, [done = std::move(done)](expected<stored_entity> stored) {
        if (!stored)
          return done(tl::unexpected(std::move(stored.error())));
        auto state = join_entity(stored->parts);
        done(state ? expected<snapshot>{std::make_shared<const entity_state>(*std::move(state))}
                   : tl::unexpected(std::move(state.error())));
      });
}

expected<runtime::snapshot> runtime::read_at(const entity_ref& entity, std::uint64_t revision,
                                             std::chrono::milliseconds deadline) {
  return internal::wait_for<snapshot>(
      deadline, [&](auto done) { read_at(entity, revision, std::move(done)); });
}

void runtime::header(const entity_ref& entity, std::function<void(expected<entity_header>)> done) {
  if (auto ok = check_entity(entity); !ok)
    return done(tl::unexpected(std::move(ok.error())));
  if (const auto state = impl_->live->read(entity))
    return done(header_of(*state));
  impl_->ask_store<listing>(list_request{.name_space = entity.name_space,
                                         .kind = entity.kind,
                                         .after = entity.id,
                                         .including = true,
                                         .limit = 1,
                                         .wanted = [](const entity_header&) { return true; }},
                            [id = entity.id, done = std::move(done)](expected<listing> page) {
                              if (!page)
                                return done(tl::unexpected(std::move(page.error())));
                              const bool found = !page->rows.empty() && page->rows.front().id == id;
                              done(found ? std::move(page->rows.front().header) : entity_header{});
                            });
}

expected<entity_header> runtime::header(const entity_ref& entity,
                                        std::chrono::milliseconds deadline) {
  return internal::wait_for<entity_header>(deadline,
                                           [&](auto done) { header(entity, std::move(done)); });
}

void runtime::list(list_request request, std::function<void(expected<listing>)> done) {
  const entity_ref from{request.name_space, request.kind, request.after};
  if (auto ok = request.after.empty() ? expected<void>{} : check_entity(from); !ok)
    return done(tl::unexpected(std::move(ok.error())));
  impl_->ask_store<listing>(std::move(request), std::move(done));
}

expected<listing> runtime::list(list_request request, std::chrono::milliseconds deadline) {
  return internal::wait_for<listing>(deadline,
                                     [&](auto done) { list(std::move(request), std::move(done)); });
}

bool runtime::is_live(const entity_ref& entity) const {
  return impl_->live->find(entity) != nullptr;
}

void runtime::clean_up(const cleanup& what, std::function<void(expected<cleanup_report>)> done) {
  impl_->walk({what, false, completion<cleanup_report>{std::move(done)}});
}

expected<cleanup_report> runtime::clean_up(const cleanup& what,
                                           std::chrono::milliseconds deadline) {
  return internal::wait_for<cleanup_report>(deadline,
                                            [&](auto done) { clean_up(what, std::move(done)); });
}

void runtime::clear_all(const std::string& name_space,
                        std::function<void(expected<cleanup_report>)> done) {
  using enum entity_kind;
  impl_->walk({{.name_space = name_space, .kinds = {session, workflow, team, user, global}},
               true,
               completion<cleanup_report>{std::move(done)}});
}

expected<cleanup_report> runtime::clear_all(const std::string& name_space,
                                            std::chrono::milliseconds deadline) {
  return internal::wait_for<cleanup_report>(
      deadline, [&](auto done) { clear_all(name_space, std::move(done)); });
}

std::size_t runtime::active_count() const {
  return impl_->live->size();
}

std::function<void()> runtime::run_here(std::function<void()> wake) {
  return [here = std::make_shared<compat::lane>(impl_->system, impl_->lanes, std::move(wake))] {
    here->run();
  };
}

expected<subscription> runtime::subscribe(subscribe_options options) {
  if (impl_->draining)
    return fail(errc::draining, "the runtime is closing");
  return troupe::subscribe(impl_->hub, *impl_->feed, std::move(options));
}

timestamp runtime::now() const {
  return impl_->options.now();
}

const result_cache& runtime::cache() const {
  return impl_->results;
}

std::string runtime::metrics() const {
  return impl_->metrics_text(impl_->stats());
}

void runtime::metrics(std::function<void(expected<std::string>)> done) const {
  impl_->ask_for_stats([self = impl_.get(), done = std::move(done)](expected<store_stats> stored) {
    done(stored.map([&](const store_stats& x) { return self->metrics_text(x); }));
  });
}

void runtime::stats(std::function<void(expected<runtime_stats>)> done) const {
  impl_->ask_for_stats([self = impl_.get(), done = std::move(done)](expected<store_stats> stored) {
    done(stored.map([&](const store_stats& x) { return self->told(x); }));
  });
}

runtime_stats runtime::stats() const {
  return impl_->told(impl_->stats());
}

std::shared_ptr<const live_entity> runtime::awake(const entity_ref& entity) const {
  return impl_->live->find(entity);
}

runtime_actor internal::actor_access::of(const runtime& which) {
  return which.impl_->supervisor;
}

expected<internal::node_parts> internal::actor_access::parts_of(runtime& which) {
  auto& inside = *which.impl_;
  auto asking = inside.begin_asking();
  if (inside.draining)
    return fail(errc::draining, "the runtime is closing");
  return node_parts{inside.system, inside.store,      inside.supervisor,
                    inside.live,   std::move(asking), [self = &inside] { return !self->draining; }};
}

}  // namespace troupe
