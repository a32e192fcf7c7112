#pragma once

#include <troupe/state/expected.hpp>

#include "simulate/intent.hpp"
#include "simulate/record.hpp"
#include "simulate/workload.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace troupe::simulate {

/// What a target says to one intent, in time.
struct answer {
  outcome what = outcome::acknowledged;
  bool again = false;       ///< refused for now: may be asked once more
  bool hit = false;         ///< of a cache lookup
  std::string why{};        ///< refused or unknown: in words
  std::string violation{};  ///< what came back is another's: in words
};

/// A target at one moment; what it does not tell is absent.
struct target_state {
  std::optional<double> memory_bytes{};  ///< of the process that holds the state
  std::optional<double> live{};          ///< entities in memory
  std::optional<double> stored{};        ///< entities in the store
  std::optional<double> store_bytes{};   ///< on disk
  std::optional<double> commits{};       ///< transactions since its start
  std::optional<double> changes{};       ///< changes since its start
};

using facts = std::vector<std::pair<std::string, std::string>>;

/// A system that intents are sent to. `send` and all but `state` come from one thread, answers on
/// any.
/// Settings, sizes and durability are what an expert of the system would choose for the workload,
/// and `settings` names them.
class driver {
public:
  using callback = std::function<void(answer)>;

  virtual ~driver() = default;

  /// Before a run: the target answers, and has nothing of an earlier run under the same seed.
  /// Errors: `already_exists`; `busy` or `outcome_unknown` of one that does not answer;
  /// `unauthenticated`; `not_supported` of what is no such target.
  virtual expected<void> look() { return {}; }

  /// Asks. `done` is called once, on any thread, also from within; it does not block.
  virtual void send(const intent& what, callback done) = 0;

  /// Answers that did not come yet are not waited for any longer, and nothing is asked any more:
  /// what blocks in this target returns soon.
  virtual void give_up() {}

  /// One subject as it is now. Not while intents are on their way. Errors: what the target refuses.
  virtual expected<contents> read_back(const subject& whom) = 0;

  /// Of several, in their order; at once where the target can.
  virtual std::vector<expected<contents>> read_back_all(const std::vector<subject>& all) {
    std::vector<expected<contents>> out;
    for (const auto& whom : all)
      out.push_back(read_back(whom));
    return out;
  }

  /// Any thread, one at a time; may take its time.
  [[nodiscard]] virtual target_state state() = 0;

  /// What it is: name, version, durability, settings.
  [[nodiscard]] virtual facts settings() const = 0;

  /// How many intents are worth having on their way at once.
  [[nodiscard]] virtual std::size_t in_flight() const { return 1'024; }

  /// From here on the committed changes go into `check`; false where the target has no events.
  virtual expected<bool> watch(event_check&) { return false; }
  /// The stream is read to its end; nothing is on its way any more.
  virtual expected<void> end_watch() { return {}; }
};

/// One blocking connection of a driver that has many; one thread's.
class connection {
public:
  virtual ~connection() = default;
  virtual answer perform(const intent& what) = 0;
};

}  // namespace troupe::simulate
