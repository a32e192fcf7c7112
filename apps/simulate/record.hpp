#pragma once

#include "simulate/intent.hpp"
#include "simulate/workload.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace troupe::simulate {

/// What a target said to one intent.
enum class outcome : std::uint8_t {
  acknowledged,  ///< it is done, as durably as was asked
  refused,       ///< nothing of it was done, nor will be
  unknown,       ///< no valid answer: it was done or not, as a whole
};

/// One node of a workflow, as a target says.
struct node_found {
  std::string id;
  std::string status;  ///< "pending", "running", "done"
  std::string result;  ///< the text; empty: none
};

/// What a subject of the run is like now, as a target says.
struct contents {
  bool exists = false;
  std::uint64_t revision = 0;                  ///< 0 where the target has none
  std::vector<std::string> items{};            ///< texts, oldest first; of a team its messages
  std::optional<std::uint64_t> last{};         ///< of the notes
  std::optional<std::uint64_t> count{};        ///< of the notes
  std::optional<std::uint64_t> checkpoints{};  ///< how many; absent: not told
  std::vector<node_found> nodes{};             ///< of a workflow
};

/// The books of a run: what was asked of every subject and what was answered. One thread.
class record {
public:
  explicit record(const workload& what);

  /// In the order of each subject.
  void settle(const intent& asked, outcome answered);

  /// Everybody of whom something is known, seeded sessions first.
  [[nodiscard]] std::vector<subject> subjects() const;

  /// What must not be, in words, first the worst; empty: `found` is what was acknowledged.
  [[nodiscard]] std::vector<std::string> check(const subject& whom, const contents& found) const;

  /// Subjects that are there, as far as answers say.
  [[nodiscard]] std::uint64_t known() const noexcept { return known_; }
  [[nodiscard]] std::uint64_t acknowledged() const noexcept { return acknowledged_; }
  [[nodiscard]] std::uint64_t refused() const noexcept { return refused_; }
  [[nodiscard]] std::uint64_t unknown() const noexcept { return unknown_; }

private:
  enum class part : std::uint8_t { item, note, checkpoint, step };
  struct doubt {
    part of;
    std::uint32_t from, count;
    outcome answered;
  };
  struct book {
    std::uint32_t items = 0, notes = 0, checkpoints = 0, steps = 0;  ///< highest that was asked for
    std::optional<outcome> creation;                                 ///< absent: nobody asked
    std::optional<std::uint64_t> parent;                             ///< of a fork
    std::uint32_t inherited = 0;  ///< items that are the parent's
  };

  [[nodiscard]] const book* find(const subject& whom) const;
  [[nodiscard]] book& open(const subject& whom);
  [[nodiscard]] outcome answered(const subject& whom, part of, std::uint32_t number) const;
  [[nodiscard]] subject writer_of(const subject& whom, std::uint32_t item) const;
  void check_items(const subject& whom, const contents& found, std::vector<std::string>& out) const;
  void check_notes(const subject& whom, const contents& found, std::vector<std::string>& out) const;
  void check_checkpoints(const subject& whom, const contents& found,
                         std::vector<std::string>& out) const;
  void check_nodes(const subject& whom, const contents& found, std::vector<std::string>& out) const;

  std::vector<book> sessions_;
  std::map<subject, book> others_;
  std::map<subject, std::vector<doubt>> doubts_;
  std::uint64_t acknowledged_ = 0, refused_ = 0, unknown_ = 0, known_ = 0;
};

/// The stream of committed changes of one run, as it comes: each entity's revisions one after the
/// other without gap or repeat, and what they append in the order of its numbers. One thread.
class event_check {
public:
  /// One change. `items` are the texts it appends.
  void on_change(const std::string& entity, std::uint64_t revision,
                 const std::vector<std::string>& items);
  /// The stream said itself that something is missing.
  void on_gap(const std::string& why);
  /// When the stream is at its end: the entity's revision as it is read.
  void on_end(const std::string& entity, std::uint64_t revision);

  [[nodiscard]] std::uint64_t changes() const noexcept { return changes_; }
  [[nodiscard]] const std::vector<std::string>& violations() const noexcept { return violations_; }

private:
  struct stand {
    std::uint64_t revision = 0, item = 0;
  };
  void violation(std::string what);

  std::map<std::string, stand> seen_;
  std::uint64_t changes_ = 0;
  std::vector<std::string> violations_;
};

inline constexpr std::size_t max_violations = 100;  // told in words; then: only counted

}  // namespace troupe::simulate
