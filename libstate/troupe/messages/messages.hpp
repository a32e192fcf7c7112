#pragma once

/// Every message and every actor interface of Troupe, on one page. A handler answers with the
/// result its signature names or with a `caf::error` that carries a `troupe::error` (see `to_caf`
/// and `from_caf`).
///
/// Messages stay inside one process (they carry immutable state by pointer); none is serialised.

#include <troupe/messages/caf_compat.hpp>
#include <troupe/state/change_set.hpp>
#include <troupe/state/folding.hpp>
#include <troupe/state/header.hpp>

#include <caf/error.hpp>
#include <caf/type_id.hpp>

#include <atomic>
#include <concepts>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace troupe {

/// Asks an entity's actor for its committed state, after every command that was sent before.
struct get_state {
  entity_ref entity;
  bool latest = false;  ///< with what is not on disk yet
};

/// Committed state; shared and immutable.
struct state_snapshot {
  std::shared_ptr<const entity_state> state;
};

/// One change of one entity, to be made durable.
struct commit_request {
  entity_ref entity;
  std::uint64_t sequence = 0;  ///< the entity's next revision
  std::string payload;         ///< `encode(change)`
  bool frees = false;          ///< it only removes: goes on when the store is full
  bool by_state = false;       ///< `folds_by_state`; false does no harm
  /// Of a fork's first change, what it is made of: its parent at the revision it forked at. The
  /// fork's sequence may then be any later one.
  std::shared_ptr<const entity_parts> base{};
  entity_ref parent{};  ///< with `base`: whose history it shares
  /// Another entity and a revision of it to be kept until the next such: the fork that was merged.
  std::optional<std::pair<entity_ref, std::uint64_t>> pin{};
  std::uint32_t together = 0;  ///< so many requests behind this one are made with it: all or none
  std::uint32_t lane = 0;      ///< on which the sender runs, and shall again; see lane.hpp
  /// The entity after it, and before it where it may have belonged to others (null: to the same):
  /// what it belongs to is what events are filtered by.
  std::shared_ptr<const entity_state> after{}, before{};
};

/// Changes of several entities that are made together. Each has one.
struct commit_set {
  std::vector<commit_request> changes;
};

/// Sent only after the transaction that holds the change returned from its sync.
struct commit_receipt {
  std::uint64_t position = 0;  ///< in the journal's commit order: 1, 2, 3 ...
};

namespace internal {
/// Logs what a callback of the host threw. REQUIRES: an exception is being handled.
void log_thrown() noexcept;
/// What a callback is told that nobody answered.
[[nodiscard]] error unanswered(bool unread);
}  // namespace internal

/// A callback that is called exactly once: with an answer, or when its last copy goes unused
/// because an actor ended, with `outcome_unknown`; with `busy` when a reader was expected and there
/// was none. It runs on an actor's thread and must not block; what it throws is logged.
template <class T>
class completion {
public:
  completion() = default;  ///< calls nobody; CAF wants messages to have one
  template <class F>
    requires std::invocable<F&, expected<T>>
  explicit completion(F f) : once_{std::make_shared<once_of<F>>(std::move(f))} {}

  void operator()(expected<T> answer) const {
    if (once_)
      once_->answer(std::move(answer));
  }
  [[nodiscard]] explicit operator bool() const noexcept { return once_ != nullptr; }

  /// Nothing is done before somebody says `was_read`.
  void expect_reader() const {
    if (once_)
      once_->unread = true;
  }
  void was_read() const {
    if (once_)
      once_->unread = false;
  }

private:
  struct once {
    once() = default;
    once(const once&) = delete;
    virtual ~once() = default;
    virtual void answer(expected<T> what) noexcept = 0;
    bool unread = false;
  };
  template <class F>
  struct once_of final : once {
    explicit once_of(F f) : call{std::move(f)} {}
    ~once_of() override {
      if (call)
        answer(tl::unexpected(internal::unanswered(this->unread)));
    }
    void answer(expected<T> what) noexcept override {
      if (!call)
        return;
      try {
        auto f = std::move(*call);
        call.reset();
        f(std::move(what));
      } catch (...) {  // the host's fault must not end who answers it
        internal::log_thrown();
      }
    }
    std::optional<F> call;
  };
  std::shared_ptr<once> once_;
};

/// From a host thread: what to do and whom to call with the answer.
struct host_command {
  command envelope;
  completion<command_result> done;
};
struct host_change_set {
  change_set set;
  completion<change_set_result> done;
};
struct host_read {
  get_state query;
  completion<state_snapshot> done;
};

/// Carries out one change set and ends.
using set_actor = caf::typed_actor<caf::result<change_set_result>(change_set),
                                   caf::result<void>(host_change_set)>;

/// From a set to each of its entities, in the order of their names. It is answered behind what came
/// before; from then on the entity does nothing else until the set settles it or ends.
struct reserve_member {
  entity_ref entity;
  set_actor set;
  std::optional<idempotency> once{};
};

/// Asks a reserved entity what its part of the set means. Nothing changes yet.
struct decide_member {
  command request;
  timestamp now{};
};
struct member_decision {
  command_result answer;
  std::optional<commit_request> change{};  ///< absent: nothing is to change
};

/// What became of the set.
struct settle_member {
  enum class what {
    made,     ///< it is on disk: the decision holds
    dropped,  ///< nothing was written: as if it had not been decided
    unknown,  ///< only the disk knows
  } is = what::dropped;
  error why{};  ///< of `unknown`
};

/// A reserved entity as its set sees it: this actor, and no successor.
using member_actor =
    caf::typed_actor<caf::result<member_decision>(decide_member), caf::result<void>(settle_member)>;

struct reservation {
  member_actor member;
  std::shared_ptr<const entity_state> state{};  ///< the committed one
  std::optional<outcome> made{};                ///< what the set's key was answered before
};

/// A set was committed while this entity's actor crashed: what its successor has loaded may be
/// older. To the supervisor, which knows whether there is one, and to the successor.
struct read_again {
  entity_ref entity;
  /// What the set may have made: who has it on disk already reads nothing, and keeps what it
  /// answered early. By default nobody knows.
  std::uint64_t revision = std::numeric_limits<std::uint64_t>::max();
};

/// What one transaction made durable, told after it returned.
struct committed_batch {
  struct one {
    commit_request what;
    std::uint64_t position = 0;
    std::uint32_t part = 0, parts = 1;  ///< of the set that was made together: 0, 1 ... of so many
  };
  std::uint64_t epoch = 0;
  std::uint64_t after = 0;    ///< newest position before it
  std::uint64_t through = 0;  ///< and with it
  std::vector<one> changes;   ///< by position and part
  bool complete = true;       ///< false: too much was on its way; the journal has the changes
};

/// Where the store tells of its commits, to at most one listener. Any thread.
struct commit_feed {
  std::atomic<std::uint64_t> epoch = 0;         ///< of the store, and its newest position:
  std::atomic<std::uint64_t> position = 0;      ///< at least that of any change that was answered
  std::atomic<bool> wanted = false;             ///< false: the store tells nothing
  std::atomic<std::size_t> bytes = 0;           ///< payload told and not yet taken
  std::function<void(committed_batch)> tell{};  ///< set before `wanted`; must not block
  static constexpr std::size_t max_bytes = 8 << 20;  // then: batches that are not complete
};

/// Asks for a slice of the changes that are kept, oldest first.
struct read_changes {
  std::optional<entity_ref> of{};  ///< of one entity; absent: of all
  /// Behind this position, or revision of the one entity; absent: behind the newest.
  std::optional<std::uint64_t> after{};
  std::function<bool(const entity_ref&)> wanted{};  ///< empty: all; must not block
};
inline constexpr std::size_t max_slice_changes = 256;    // read by one slice; then: it ends there
inline constexpr std::size_t max_slice_bytes = 1 << 20;  // of payload; then: it ends there

struct change_slice {
  struct row {
    entity_ref entity;
    std::uint64_t position = 0;
    std::uint32_t part = 0, parts = 1;  ///< as of `committed_batch`; 0 of 1 when one entity is read
    std::uint64_t sequence = 0;
    std::string payload;
  };
  std::vector<row> rows;
  bool kept = true;            ///< false: gone, or not there yet; nothing was read
  bool more = false;           ///< ask again, behind `through`
  std::uint64_t through = 0;   ///< looked at up to here: a position or a revision
  std::uint64_t newest = 0;    ///< revision of the one entity
  std::uint64_t position = 0;  ///< newest of the store at that time
  std::uint64_t epoch = 0;
};

struct load_request {
  entity_ref entity;
  std::optional<std::uint64_t> revision{};  ///< of an earlier state; absent: all there is
};

/// What is stored of one entity. All parts are empty when it was never written.
struct stored_entity {
  stored_parts parts;
  std::uint64_t sequence = 0;          ///< revision of the newest change
  std::vector<std::string> answers{};  ///< `encode(kept_answer)`, without those of `parts.changes`
};

/// Folds one entity's changes into its snapshot.
struct materialise_one {
  entity_ref entity;
};

/// Folds the journal's tail into snapshots now, so that the next start has nothing to replay.
struct materialise_all {};

struct get_store_stats {};

struct store_stats {
  std::uint64_t position = 0;      ///< newest commit position
  std::uint64_t materialised = 0;  ///< newest position that snapshots cover
  std::uint64_t first = 1;  ///< oldest position that is kept: snapshots have what came before
  std::uint64_t covered_bytes = 0;  ///< journal bytes from `first` to `materialised`
  std::uint64_t tail_bytes =
      0;                      ///< journal bytes behind `materialised`, replayed at the next start
  std::uint64_t commits = 0;  ///< batches since the start
  std::uint64_t changes = 0;  ///< changes committed since the start
  std::uint64_t folds = 0;    ///< entities folded into snapshots since the start
  std::uint64_t live_folds = 0;  ///< of these from their state in memory: no change was read
  // Counted when the actor is asked.
  std::uint64_t entities = 0;  ///< at least, deleted ones included
  std::uint64_t bytes = 0;     ///< of pages that were ever used
  std::uint64_t epoch = 0;     ///< of ownership; a restart does not change it
};

/// Supervisor to a scope actor: nothing more comes; finish what is in flight and end.
struct retire {};

/// A scope actor to its supervisor: holds nothing worth its memory (an unknown id was asked for),
/// may be retired.
struct ready_to_retire {
  entity_ref entity;
};

class live_entity;  // <troupe/actors/live_entity.hpp>

/// To the supervisor: this entity's actor has ended, and reads nothing any more.
struct entity_ended {
  std::shared_ptr<live_entity> entity;
  caf::error why{};
};

/// A supervisor to itself: looks for what may hibernate.
struct look_for_idle {};

/// Ends new work, waits for what is in flight, answers when every actor below has ended.
struct drain {};

}  // namespace troupe

#define TROUPE_LOCAL_MESSAGE(type) CAF_ALLOW_UNSAFE_MESSAGE_TYPE(type)
TROUPE_LOCAL_MESSAGE(troupe::error)
TROUPE_LOCAL_MESSAGE(troupe::command_result)
TROUPE_LOCAL_MESSAGE(troupe::command)
TROUPE_LOCAL_MESSAGE(troupe::get_state)
TROUPE_LOCAL_MESSAGE(troupe::state_snapshot)
TROUPE_LOCAL_MESSAGE(troupe::commit_request)
TROUPE_LOCAL_MESSAGE(troupe::commit_receipt)
TROUPE_LOCAL_MESSAGE(troupe::load_request)
TROUPE_LOCAL_MESSAGE(troupe::stored_entity)
TROUPE_LOCAL_MESSAGE(troupe::materialise_all)
TROUPE_LOCAL_MESSAGE(troupe::get_store_stats)
TROUPE_LOCAL_MESSAGE(troupe::store_stats)
TROUPE_LOCAL_MESSAGE(troupe::retire)
TROUPE_LOCAL_MESSAGE(troupe::ready_to_retire)
TROUPE_LOCAL_MESSAGE(troupe::drain)
TROUPE_LOCAL_MESSAGE(troupe::host_command)
TROUPE_LOCAL_MESSAGE(troupe::host_read)
TROUPE_LOCAL_MESSAGE(troupe::commit_set)
TROUPE_LOCAL_MESSAGE(troupe::list_request)
TROUPE_LOCAL_MESSAGE(troupe::listing)
TROUPE_LOCAL_MESSAGE(troupe::materialise_one)
TROUPE_LOCAL_MESSAGE(troupe::look_for_idle)
TROUPE_LOCAL_MESSAGE(troupe::change_set)
TROUPE_LOCAL_MESSAGE(troupe::change_set_result)
TROUPE_LOCAL_MESSAGE(troupe::reserve_member)
TROUPE_LOCAL_MESSAGE(troupe::reservation)
TROUPE_LOCAL_MESSAGE(troupe::decide_member)
TROUPE_LOCAL_MESSAGE(troupe::member_decision)
TROUPE_LOCAL_MESSAGE(troupe::settle_member)
TROUPE_LOCAL_MESSAGE(troupe::read_again)
TROUPE_LOCAL_MESSAGE(troupe::host_change_set)
TROUPE_LOCAL_MESSAGE(troupe::committed_batch)
TROUPE_LOCAL_MESSAGE(troupe::read_changes)
TROUPE_LOCAL_MESSAGE(troupe::change_slice)
TROUPE_LOCAL_MESSAGE(troupe::entity_ended)
#undef TROUPE_LOCAL_MESSAGE

// Ids are fixed by their order: append, never reorder.
CAF_BEGIN_TYPE_ID_BLOCK(troupe, caf::first_custom_type_id)
  CAF_ADD_TYPE_ID(troupe, (troupe::errc))
  CAF_ADD_TYPE_ID(troupe, (troupe::error))
  CAF_ADD_TYPE_ID(troupe, (troupe::command_result))
  CAF_ADD_TYPE_ID(troupe, (troupe::command))
  CAF_ADD_TYPE_ID(troupe, (troupe::get_state))
  CAF_ADD_TYPE_ID(troupe, (troupe::state_snapshot))
  CAF_ADD_TYPE_ID(troupe, (troupe::commit_request))
  CAF_ADD_TYPE_ID(troupe, (troupe::commit_receipt))
  CAF_ADD_TYPE_ID(troupe, (troupe::load_request))
  CAF_ADD_TYPE_ID(troupe, (troupe::stored_entity))
  CAF_ADD_TYPE_ID(troupe, (troupe::materialise_all))
  CAF_ADD_TYPE_ID(troupe, (troupe::get_store_stats))
  CAF_ADD_TYPE_ID(troupe, (troupe::store_stats))
  CAF_ADD_TYPE_ID(troupe, (troupe::retire))
  CAF_ADD_TYPE_ID(troupe, (troupe::ready_to_retire))
  CAF_ADD_TYPE_ID(troupe, (troupe::drain))
  CAF_ADD_TYPE_ID(troupe, (troupe::host_command))
  CAF_ADD_TYPE_ID(troupe, (troupe::host_read))
  CAF_ADD_TYPE_ID(troupe, (troupe::commit_set))
  CAF_ADD_TYPE_ID(troupe, (troupe::list_request))
  CAF_ADD_TYPE_ID(troupe, (troupe::listing))
  CAF_ADD_TYPE_ID(troupe, (troupe::materialise_one))
  CAF_ADD_TYPE_ID(troupe, (troupe::look_for_idle))
  CAF_ADD_TYPE_ID(troupe, (troupe::change_set))
  CAF_ADD_TYPE_ID(troupe, (troupe::change_set_result))
  CAF_ADD_TYPE_ID(troupe, (troupe::reserve_member))
  CAF_ADD_TYPE_ID(troupe, (troupe::reservation))
  CAF_ADD_TYPE_ID(troupe, (troupe::decide_member))
  CAF_ADD_TYPE_ID(troupe, (troupe::member_decision))
  CAF_ADD_TYPE_ID(troupe, (troupe::settle_member))
  CAF_ADD_TYPE_ID(troupe, (troupe::read_again))
  CAF_ADD_TYPE_ID(troupe, (troupe::host_change_set))
  CAF_ADD_TYPE_ID(troupe, (troupe::committed_batch))
  CAF_ADD_TYPE_ID(troupe, (troupe::read_changes))
  CAF_ADD_TYPE_ID(troupe, (troupe::change_slice))
  CAF_ADD_TYPE_ID(troupe, (troupe::entity_ended))
CAF_END_TYPE_ID_BLOCK(troupe)

namespace troupe {

template <class Inspector>
bool inspect(Inspector& f, errc& x) {
  auto get = [&x] { return static_cast<std::uint16_t>(x); };
  auto set = [&x](std::uint16_t number) {
    x = static_cast<errc>(number);
    return true;
  };
  return f.apply(get, set);
}

}  // namespace troupe

CAF_ERROR_CODE_ENUM(troupe::errc)

namespace troupe {

/// Owns the disk: the only one that opens the store. Answers a commit only after its transaction
/// was synced; commits that wait together share one transaction. Commits of one entity are answered
/// in the order they were sent. Errors: `store_failed`, `store_full` (nothing was written, nor
/// anything of that entity that followed), `outcome_unknown`, `damaged`.
using store_actor =
    caf::typed_actor<caf::result<commit_receipt>(commit_request),
                     caf::result<commit_receipt>(commit_set),
                     caf::result<stored_entity>(load_request), caf::result<listing>(list_request),
                     caf::result<change_slice>(read_changes), caf::result<void>(materialise_one),
                     caf::result<void>(materialise_all), caf::result<store_stats>(get_store_stats)>;

/// One live entity; the only writer of its state. Answers a command after its change is as safe as
/// the command asks, commands in the order they came, several in flight. A failed commit takes back
/// everything that was not durable. Hosts' requests are answered by their callbacks. Errors: those
/// of `decide` and of the store.
using scope_actor =
    caf::typed_actor<caf::result<void>(host_command), caf::result<void>(host_read),
                     caf::result<command_result>(command), caf::result<state_snapshot>(get_state),
                     caf::result<reservation>(reserve_member),
                     caf::result<member_decision>(decide_member), caf::result<void>(settle_member),
                     caf::result<void>(read_again), caf::result<void>(retire)>;

/// The one that knows all entities: finds or wakes the actor and hands the request on to it,
/// restarts what crashed, and lets sleep what is not used. Each change set gets an actor of its
/// own. Errors: those of the scope actor; `draining`, `busy`, `damaged`, `quarantined`.
using supervisor_actor =
    caf::typed_actor<caf::result<void>(host_command), caf::result<void>(host_read),
                     caf::result<void>(host_change_set), caf::result<command_result>(command),
                     caf::result<state_snapshot>(get_state),
                     caf::result<change_set_result>(change_set),
                     caf::result<reservation>(reserve_member), caf::result<void>(read_again),
                     caf::result<void>(ready_to_retire), caf::result<void>(entity_ended),
                     caf::result<void>(look_for_idle), caf::result<void>(drain)>;

/// Registers the messages with CAF. Call it once, before the first `caf::actor_system`; again is
/// harmless.
void init_messages();

[[nodiscard]] caf::error to_caf(error what);

/// What a failed request means. A receiver that ended with our request unanswered leaves
/// `outcome_unknown`.
[[nodiscard]] error from_caf(const caf::error& what);

}  // namespace troupe
