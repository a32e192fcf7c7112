#pragma once

#include <troupe/state/change.hpp>
#include <troupe/state/versions.hpp>

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// Schemas for the key-value state of a scope: what a host may keep under which key, and how an
/// older version becomes a newer one. Without a registry a schema is a label.
namespace troupe {

/// One version of a schema. Functions are pure and do not block.
struct schema_version {
  std::uint32_t version = 1;
  /// From the version before: the whole state as a map goes in and comes out. Not for the first.
  std::function<expected<value>(const value& state)> migrate{};
  /// Looks at a value before it is kept under the key. An error refuses the command; its path is
  /// taken to begin at the value.
  std::map<std::string, std::function<expected<void>(value_view)>, std::less<>> keys{};
  /// Looks at the whole after a change of the state.
  std::vector<std::function<expected<void>(const entity_state&)>> rules{};
};

/// What a migration would do.
struct migration_preview {
  schema_id from{};
  schema_id to{};
  std::vector<difference> changes{};
};

/// The schemas that a host knows. Filled before use, then read by any thread.
class schema_registry {
public:
  /// Versions ascend by one, the first may be any but 0 (what is older is not read any more; 0 is
  /// what `schema_of` answers for no version). No function is empty but the first `migrate`.
  /// Errors: `invalid_value`, `already_exists`.
  expected<void> add(std::string id, std::vector<schema_version> versions);

  /// Errors: `unknown_schema`: closed against what this host cannot read.
  [[nodiscard]] expected<void> known(const schema_id& schema) const;

  /// The key-value state in the newest version, as readers see it; the entity stays as it is.
  /// Errors: `unknown_schema`, those of the migrations, `invalid_by_schema` when the result is none
  /// that the version takes.
  [[nodiscard]] expected<value> read(const entity_state& state, timestamp now) const;

  /// The events that bring the state to the newest version; none when it is there. Errors: as
  /// `read`.
  [[nodiscard]] expected<std::vector<event>> migrate(const entity_state& state,
                                                     timestamp now) const;

  /// A dry run. Errors: as `read`.
  [[nodiscard]] expected<migration_preview> preview(const entity_state& state, timestamp now) const;

  /// Checks the keys that a change sets, then the rules. Errors: `invalid_by_schema` with path and
  /// reason, `unknown_schema`.
  [[nodiscard]] expected<void> check(const change& what, const entity_state& next,
                                     timestamp now) const;

private:
  [[nodiscard]] expected<const std::vector<schema_version>*> find(const schema_id& schema) const;

  std::map<std::string, std::vector<schema_version>, std::less<>> schemas_;
};

}  // namespace troupe
