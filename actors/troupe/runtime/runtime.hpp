#pragma once

#include <troupe/state/change_set.hpp>
#include <troupe/state/cleanup.hpp>
#include <troupe/state/decide.hpp>
#include <troupe/state/header.hpp>

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace caf {
class actor_system;
}

namespace troupe {

// From <troupe/actors/result_cache.hpp>, which those include that use the cache.
class result_cache;
struct result_cache_options;
// From <troupe/actors/subscription.hpp> and <troupe/actors/hooks.hpp>.
class subscription;
struct subscribe_options;
struct change_hooks;
class live_entity;

// From <troupe/runtime/scopes.hpp>, the API by scope.
class session;
class workflow;
class team;
class user;
class global;

namespace internal {
struct actor_access;
}

struct runtime_options {
  std::filesystem::path data{};      ///< directory of the store; made when it is not there
  std::function<timestamp()> now{};  ///< empty: the system's clock
  std::uint64_t journal_tail_bytes =
      64 << 20;  ///< replayed at the next start at most; then: folded into snapshots
  std::uint64_t journal_kept_bytes =
      256 << 20;                  ///< kept though snapshots cover it; then: the oldest is freed
  std::uint64_t quota_bytes = 0;  ///< of the store; then: what adds is `store_full`. 0: the disk
  std::uint64_t reserve_bytes = 16 << 20;  ///< of quota and disk, kept for what frees
  bool allow_remote_fs = false;            ///< store on a network file system all the same
  std::size_t max_live = 100'000;  ///< entities in memory; then: the least lately used hibernate
  /// Unused so long, an entity hibernates, at the latest after twice that; 0: never.
  std::chrono::milliseconds idle{600'000};
  /// Requests without an answer, and bytes that they carry; then: `busy`, at once, with
  /// `error::retry_after_ms`. What a host's actors send does not count.
  std::size_t max_in_flight = 4'096;
  std::size_t max_in_flight_bytes = 64 << 20;
  /// What is deleted by itself once nobody has used it for long. None: nothing ever is.
  std::optional<cleanup_policy> clean_up{};
  /// Empty: the defaults. Its clock and store are the runtime's.
  std::shared_ptr<const result_cache_options> cache{};
  /// What every change must pass, and what is called after some; null: nothing. See hooks.hpp.
  std::shared_ptr<const change_hooks> hooks{};
  /// Called on a runtime thread when nothing can be acknowledged any more: an I/O error, or an
  /// actor that everything hangs on ended. Empty: logs it and ends the process with exit code 75.
  std::function<void(const error&)> on_fatal{};
  /// The host's own actor system, which outlives the runtime and was made after `init_messages`;
  /// see runtime_actor.hpp. Null: the runtime makes one.
  caf::actor_system* system = nullptr;
};

struct runtime_stats {
  std::uint64_t position = 0;      ///< changes committed since the store was made
  std::uint64_t materialised = 0;  ///< of these covered by snapshots
  std::uint64_t tail_bytes = 0;    ///< to be replayed at the next start
  std::uint64_t commits = 0;       ///< transactions since the start
  std::uint64_t changes = 0;       ///< changes since the start
  std::uint64_t live = 0;          ///< entities with an actor
};

/// The embedding API: all of Troupe in one object. Entities of every scope wake when they are asked
/// for. An answer to a command means that its change is on disk; a read shows every change that was
/// answered before it.
///
/// Any thread may call anything. Callbacks run on threads of the runtime or of `run_here`, those of
/// different requests maybe at once, and must not block. What one thread sends to an entity is done
/// in that order.
/// Errors: those of `decide`; `busy`, `draining`, `store_full`, `store_failed`, `outcome_unknown`,
/// `damaged`.
class runtime {
public:
  using snapshot = std::shared_ptr<const entity_state>;

  /// Errors: `busy` (names the process that has it), `forbidden` (others can enter it), `damaged`,
  /// `newer_format`, `remote_file_system`, `store_full`, `store_failed`; those of hooks' filters.
  static expected<std::unique_ptr<runtime>> open(runtime_options options);

  /// Closes, waiting for what is in flight. Before `main` returns: CAF uses what is local to the
  /// main thread, so a runtime must not be a static object that ends after it.
  ~runtime();

  void execute(command request, std::function<void(expected<command_result>)> done);
  /// Blocks until the answer. After `deadline`: `outcome_unknown`.
  expected<command_result> execute(command request,
                                   std::chrono::milliseconds deadline = std::chrono::seconds{30});

  /// Changes up to eight entities of one namespace in one step. The first that refuses refuses all,
  /// with the entity and its place ("/changes/2") in the error; `busy`, too, then means that
  /// nothing was written. The answers are of one moment.
  void execute_all(change_set what, std::function<void(expected<change_set_result>)> done);
  expected<change_set_result> execute_all(change_set what,
                                          std::chrono::milliseconds deadline = std::chrono::seconds{
                                              30});

  /// The committed states of up to eight entities at one moment: never half of a change set, as
  /// several `read`s may show it. Waits for what is in flight, like a command.
  void read_all(std::vector<entity_ref> entities,
                std::function<void(expected<std::vector<snapshot>>)> done);
  expected<std::vector<snapshot>> read_all(
      std::vector<entity_ref> entities,
      std::chrono::milliseconds deadline = std::chrono::seconds{30});

  /// The committed state; `status` says whether there is such a session. A live one answers at
  /// once, on the calling thread.
  void read(const entity_ref& entity, std::function<void(expected<snapshot>)> done);
  expected<snapshot> read(const entity_ref& entity,
                          std::chrono::milliseconds deadline = std::chrono::seconds{30});

  /// With what is not on disk yet: every change that was answered, at any level of durability. An
  /// unknown or sleeping one wakes.
  void read_latest(const entity_ref& entity, std::function<void(expected<snapshot>)> done);
  expected<snapshot> read_latest(const entity_ref& entity,
                                 std::chrono::milliseconds deadline = std::chrono::seconds{30});

  /// An earlier committed state: right behind `revision`. Errors: `revision_gone` (not kept, or not
  /// there yet). Wakes nobody.
  void read_at(const entity_ref& entity, std::uint64_t revision,
               std::function<void(expected<snapshot>)> done);
  expected<snapshot> read_at(const entity_ref& entity, std::uint64_t revision,
                             std::chrono::milliseconds deadline = std::chrono::seconds{30});

  /// What a list tells of one entity; `status` says whether there is such a one. Wakes nobody.
  void header(const entity_ref& entity, std::function<void(expected<entity_header>)> done);
  expected<entity_header> header(const entity_ref& entity,
                                 std::chrono::milliseconds deadline = std::chrono::seconds{30});

  /// One page of the entities of a kind by id, sleeping ones included. Wakes nobody.
  /// `request.wanted` is called on the store's thread.
  void list(list_request request, std::function<void(expected<listing>)> done);
  expected<listing> list(list_request request,
                         std::chrono::milliseconds deadline = std::chrono::seconds{30});

  /// Has the calling thread run the actors that its own calls put to work, in place of the
  /// runtime's workers: for the thread of an event loop, such as a server's, which then takes a
  /// request, decides it and answers it on one core. What sleeps or is at work already is run by
  /// another thread, so a callback may still come on any. `wake` is called by any thread when
  /// somebody waits: it makes this thread call what this returns, soon, calls nothing of the
  /// runtime itself, does not throw, and takes no lock that is held while the runtime, or what this
  /// returns, is called. The thread must never block on an answer of this runtime. Give back what
  /// is returned on the same thread, before the runtime closes; one at a time a thread.
  [[nodiscard]] std::function<void()> run_here(std::function<void()> wake);

  /// Has an actor at this moment.
  [[nodiscard]] bool is_live(const entity_ref& entity) const;

  /// Deletes what is older than asked. Spares what is awake (used within `runtime_options::idle`)
  /// or was changed since, and whatever a live fork was forked from: the fork could not be merged
  /// any more. Errors: those of the store's list; a deletion that is refused is only counted.
  void clean_up(const cleanup& what, std::function<void(expected<cleanup_report>)> done);
  expected<cleanup_report> clean_up(const cleanup& what,
                                    std::chrono::milliseconds deadline = std::chrono::minutes{10});

  /// Deletes every entity of a namespace, of all five kinds, and spares none. What is created
  /// meanwhile may stay.
  void clear_all(const std::string& name_space, std::function<void(expected<cleanup_report>)> done);
  expected<cleanup_report> clear_all(const std::string& name_space,
                                     std::chrono::milliseconds deadline = std::chrono::minutes{10});

  /// How many entities are awake, without waiting for anything.
  [[nodiscard]] std::size_t active_count() const;

  /// The stream of committed changes that a filter lets through, from a cursor or from now on:
  /// every change that is answered after this returned. Ends with the runtime. Errors: `malformed`
  /// (no cursor of such a stream), `bad_id`, `invalid_value`, `too_many_elements` (of the filter),
  /// `draining`.
  expected<subscription> subscribe(subscribe_options options);

  /// One entity as an object; include scopes.hpp. Costs nothing and creates nothing. An id that is
  /// none is `bad_id` to every call.
  [[nodiscard]] troupe::session session(std::string id, std::string name_space = "default");
  [[nodiscard]] troupe::workflow workflow(std::string id, std::string name_space = "default");
  [[nodiscard]] troupe::team team(std::string id, std::string name_space = "default");
  [[nodiscard]] troupe::user user(std::string id, std::string name_space = "default");
  [[nodiscard]] troupe::global global(std::string name_space = "default");

  /// The clock that commands are decided by; what expires is judged by it.
  [[nodiscard]] timestamp now() const;

  /// Results worth keeping, saved in `cache/` below the store; see result_cache.hpp.
  [[nodiscard]] const result_cache& cache() const;

  /// Waits for a commit that is on its way.
  void stats(std::function<void(expected<runtime_stats>)> done) const;
  [[nodiscard]] runtime_stats stats() const;

  /// What the runtime measures, and what CAF does, in Prometheus' text format; the names stand in
  /// <troupe/messages/metrics.hpp>. Waits for a commit that is on its way.
  [[nodiscard]] std::string metrics() const;
  void metrics(std::function<void(expected<std::string>)> done) const;

  /// Refuses new requests with `draining`, finishes those in flight, folds the journal. Called
  /// twice is harmless.
  void close();

private:
  friend struct internal::actor_access;
  friend class state_reader;

  /// Null: it sleeps.
  [[nodiscard]] std::shared_ptr<const live_entity> awake(const entity_ref& entity) const;

  struct impl;
  explicit runtime(std::unique_ptr<impl> self);

  std::unique_ptr<impl> impl_;
};

}  // namespace troupe
