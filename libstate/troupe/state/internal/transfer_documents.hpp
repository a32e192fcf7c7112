#pragma once

/// The documents of an export as types, so that writer and reader cannot drift apart. Names stand
/// in files. Not installed.

#include <troupe/state/binding.hpp>
#include <troupe/state/entity.hpp>
#include <troupe/state/sections.hpp>

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>

namespace troupe {

template <>
struct names_of<entity_kind> {
  static constexpr std::pair<entity_kind, std::string_view> value[] = {
      {entity_kind::session, "session"},
      {entity_kind::workflow, "workflow"},
      {entity_kind::team, "team"},
      {entity_kind::user, "user"},
      {entity_kind::global, "global"}};
};

template <>
struct names_of<lifecycle> {
  static constexpr std::pair<lifecycle, std::string_view> value[] = {
      {lifecycle::absent, "absent"}, {lifecycle::live, "live"}, {lifecycle::deleted, "deleted"}};
};

template <>
struct names_of<section> {
  static constexpr auto value = [] {
    std::array<std::pair<section, std::string_view>, all_sections.size()> out{};
    for (std::size_t i = 0; i < out.size(); ++i)
      out[i] = {all_sections[i].id, all_sections[i].name};
    return out;
  }();
};

}  // namespace troupe

namespace troupe::internal {

struct lineage_document {
  std::string name_space{};
  entity_kind kind = entity_kind::session;
  std::string id{};
  std::uint64_t at = 0;

  static constexpr auto fields = std::tuple{
      field{"namespace", &lineage_document::name_space}, field{"kind", &lineage_document::kind},
      field{"id", &lineage_document::id}, field{"at", &lineage_document::at}};
};

struct header_document {
  std::uint64_t troupe = 0;  // version of the format
  std::string name_space{};
  entity_kind kind = entity_kind::session;
  std::string id{};
  lifecycle status = lifecycle::absent;
  std::uint64_t revision = 0, first_revision = 0, content_revision = 0;
  std::int64_t created_ms = 0, last_activity_ms = 0;
  std::uint64_t last_seq = 0;
  std::optional<std::string> user{};
  std::optional<lineage_document> forked_from{};
  value redo{};
  std::uint64_t entries = 0, items = 0;  // documents that follow
  std::optional<value> extra{};

  using self = header_document;
  static constexpr auto fields = std::tuple{
      field{"troupe", &self::troupe},
      field{"namespace", &self::name_space},
      field{"kind", &self::kind},
      field{"id", &self::id},
      field{"status", &self::status},
      field{"revision", &self::revision},
      field{"first_revision", &self::first_revision},
      field{"content_revision", &self::content_revision},
      field{"created_ms", &self::created_ms},
      field{"last_activity_ms", &self::last_activity_ms},
      field{"last_seq", &self::last_seq},
      field{"user", &self::user},
      field{"forked_from", &self::forked_from},
      field{"redo", &self::redo},
      field{"entries", &self::entries},
      field{"items", &self::items},
      field{"extra", &self::extra},
  };
};

struct entry_document {
  section in = section::state;
  std::string key{};
  std::uint64_t revision = 0;
  std::int64_t expires_ms = 0;
  value data{};

  static constexpr auto fields = std::tuple{
      field{"in", &entry_document::in}, field{"key", &entry_document::key},
      field{"revision", &entry_document::revision},
      field{"expires_ms", &entry_document::expires_ms}, field{"value", &entry_document::data}};
};

struct item_document {
  std::uint64_t seq = 0;
  std::int64_t at_ms = 0;
  value item{};

  static constexpr auto fields =
      std::tuple{field{"seq", &item_document::seq}, field{"at_ms", &item_document::at_ms},
                 field{"fields", &item_document::item}};
};

/// JSON has no bytes; transfer.hpp says what stands for them.
[[nodiscard]] value with_binary_tags(value_view x);
/// The reverse. Errors: `invalid_value` with its path for what is no base64.
expected<value> without_binary_tags(value_view x);

/// Whether readers of this version can rely on an imported entry: its key and the shape that its
/// section has. The path begins at the entry.
expected<void> check_entry(const entry_document& one);

}  // namespace troupe::internal
