#pragma once

#include <troupe/actors/subscription.hpp>
#include <troupe/runtime/maintenance.hpp>
#include <troupe/runtime/runtime.hpp>

#include <array>
#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

/// The one way from a request to an entity. Handlers see a runtime nowhere else, so who may do what
/// is decided here.
namespace troupe::api {

/// What a route asks of whoever calls it; each includes those before it.
enum class role : std::uint8_t { anybody = 0, reader = 1, writer = 2, admin = 3 };
[[nodiscard]] std::string_view to_string(role what) noexcept;
/// None for a text that names none that a token can have.
[[nodiscard]] std::optional<role> role_named(std::string_view text) noexcept;

/// Who asks.
struct identity {
  std::string name_space = "default";
  principal by = principal::host();
  role held = role::admin;
  std::string token{};  ///< its id; empty: came without one

  friend bool operator==(const identity&, const identity&) = default;
};

class agent_desk;
class live_streams;
class quotas;
class token_table;

/// One entity as one principal sees it: what it may not read is `not_found`, like what is not
/// there. Copies cheaply. Callbacks run on a runtime thread or on the caller's, and must not block.
class entity_access {
public:
  using snapshot = runtime::snapshot;

  entity_access() = default;  ///< of nothing; only to be assigned to

  [[nodiscard]] const entity_ref& ref() const noexcept { return ref_; }
  [[nodiscard]] bool is_live() const { return backend_->is_live(ref_); }

  /// A live state; `latest`: with what is not on disk yet.
  void read(bool latest, std::function<void(expected<snapshot>)> done) const;
  /// An earlier state of what is there now. Errors: also `revision_gone`.
  void read_at(std::uint64_t revision, std::function<void(expected<snapshot>)> done) const;
  /// Wakes nobody.
  void header(std::function<void(expected<entity_header>)> done) const;
  /// Whatever `request` says of the entity and on whose behalf is set here.
  void execute(command request, std::function<void(expected<command_result>)> done) const;
  /// What a deletion that was just made leaves of it, see `troupe::erase_remains`.
  void erase_remains(std::function<void(expected<erasure>)> done) const {
    troupe::erase_remains(*backend_, ref_, std::move(done));
  }

private:
  friend class gate;
  entity_access(runtime& backend, quotas* limits, entity_ref ref, principal by)
      : backend_{&backend},
        quotas_{limits},
        ref_{std::move(ref)},
        by_{std::move(by)} {}

  [[nodiscard]] unexpected absent() const;

  runtime* backend_ = nullptr;
  quotas* quotas_ = nullptr;
  entity_ref ref_{};
  principal by_{};
};

/// What the operator said of a node when it was started.
struct node_settings {
  std::string name = "node";                ///< among several
  std::filesystem::path backups{};          ///< where backups go; empty: they are not supported
  std::uint64_t kept_bytes = 256ULL << 20;  ///< of the journal, by default, when room is made
  bool tls = false;                         ///< it is asked over TLS only
};

class gate {
public:
  using random_bits = std::function<std::array<std::uint64_t, 2>()>;

  /// `random` brings the bits of ids that the node makes. The others outlive the gate; without
  /// tokens everybody is the host.
  gate(runtime& backend, random_bits random, const token_table* tokens = nullptr,
       live_streams* streams = nullptr, agent_desk* agents = nullptr, quotas* limits = nullptr,
       node_settings of_node = {})
      : settings{std::move(of_node)},
        backend_{backend},
        random_{std::move(random)},
        tokens_{tokens},
        streams_{streams},
        agents_{agents},
        quotas_{limits} {}

  const node_settings settings;

  /// Who sends a request with this `Authorization` (null: none). Without access tokens: the host
  /// itself. Nothing: nobody who is let in.
  [[nodiscard]] std::optional<identity> identify(const std::string* authorization) const;
  [[nodiscard]] bool needs_tokens() const;
  [[nodiscard]] bool still_holds(const identity& who) const;
  [[nodiscard]] live_streams* streams() const { return streams_; }
  /// What the agent API goes by.
  [[nodiscard]] agent_desk& agents() const { return *agents_; }

  /// Errors: `bad_id`.
  [[nodiscard]] expected<entity_access> resolve(const identity& who, entity_kind kind,
                                                std::string_view id) const;

  /// Those that the principal may read. `request` brings kind, page and filter.
  void list(const identity& who, list_request request,
            std::function<void(expected<listing>)> done) const;

  /// Changes several entities in one step on behalf of `who`, whatever the commands say of that;
  /// entities are looked for in its namespace.
  void execute_all(const identity& who, change_set what,
                   std::function<void(expected<change_set_result>)> done) const;
  /// One checkpoint of an entity and of all scopes above it. Errors: also `not_found`.
  void checkpoint_all(const identity& who, const entity_access& of, create_checkpoint what,
                      std::optional<idempotency> once,
                      std::function<void(expected<change_set_result>)> done) const;
  /// Errors: also `not_found`: the entity has no such checkpoint.
  void restore_all(const identity& who, const entity_access& of, const std::string& id,
                   std::optional<idempotency> once,
                   std::function<void(expected<change_set_result>)> done) const;

  /// The stream of what `who` may see: of one entity (or, where that is the principal's own user,
  /// of its children), or without one of all. What it filters by namespace is set here. Errors:
  /// also `not_found`, `forbidden` (children of others).
  void subscribe(const identity& who, const std::optional<entity_access>& of,
                 subscribe_options options, std::function<void(expected<subscription>)> done) const;

  /// Entities of an export become those of the namespace of `who`, which must be allowed to create
  /// each as it is. Errors: also `forbidden`.
  void import(const identity& who, import_request what,
              std::function<void(expected<std::vector<entity_ref>>)> done) const;

  // For admins, of the whole node.

  /// `name` is a file name below the directory of the settings. Errors: also `not_supported`.
  void back_up(const std::string& name, bool compacting,
               std::function<void(expected<backup_made>)> done) const;
  void make_room(std::uint64_t kept_bytes, std::function<void(expected<room_made>)> done) const {
    troupe::make_room(backend_, kept_bytes, std::move(done));
  }

  // For admins, of their own namespace.

  void clean_up(const identity& who, cleanup what,
                std::function<void(expected<cleanup_report>)> done) const;
  void clear_all(const identity& who, std::function<void(expected<cleanup_report>)> done) const {
    backend_.clear_all(who.name_space, std::move(done));
  }
  void metrics(std::function<void(expected<std::string>)> done) const {
    backend_.metrics(std::move(done));
  }

  [[nodiscard]] timestamp now() const { return backend_.now(); }
  /// How many entities are awake.
  [[nodiscard]] std::size_t live() const { return backend_.active_count(); }
  [[nodiscard]] const result_cache& cache() const { return backend_.cache(); }
  void stats(std::function<void(expected<runtime_stats>)> done) const {
    backend_.stats(std::move(done));
  }
  [[nodiscard]] std::string random_id() const { return id_from_random(random_()); }

  /// The node shuts down: a load balancer is to look elsewhere.
  [[nodiscard]] bool draining() const { return draining_; }
  void set_draining() { draining_ = true; }

private:
  runtime& backend_;
  random_bits random_;
  const token_table* tokens_;
  live_streams* streams_;
  agent_desk* agents_;
  quotas* quotas_;
  std::atomic<bool> draining_ = false;
};

}  // namespace troupe::api
