#pragma once

#include "simulate/intent.hpp"
#include "simulate/workload.hpp"

#include <cstdint>
#include <deque>
#include <queue>
#include <vector>

namespace troupe::simulate {

/// What a population wants, one intent after the other: a function of the workload and the seed.
/// Nothing of it depends on a target, on what that answers or on how fast time passes. One thread.
class generator {
public:
  /// The workload is copied.
  generator(workload what, std::uint64_t seed);

  /// The sessions that are there before the run begins: `what().sessions` intents, all due at 0.
  [[nodiscard]] intent seed_intent(std::uint64_t session) const;

  /// The next; there is always one, `at_us` ascends.
  [[nodiscard]] intent next();

  [[nodiscard]] const workload& what() const noexcept { return what_; }
  /// Visits that have begun and not ended.
  [[nodiscard]] std::size_t open_visits() const noexcept { return visits_.size(); }
  /// Visits that are open at any moment, on average: how many arrive times how long each takes.
  [[nodiscard]] double expected_open_visits() const;

private:
  struct session_book {
    std::uint32_t items = 0, notes = 0;
    std::uint16_t checkpoints = 0;
    std::uint32_t kib = 0;
    bool created = false;
  };
  struct visit {
    std::uint64_t at_us = 0, order = 0, session = 0;
    std::uint32_t turns_left = 0;
    std::uint32_t calls_left = 0;
    enum class phase : std::uint8_t { begin, question, call, answer } next = phase::begin;
    bool operator<(const visit& other) const noexcept {  // the earliest on top
      return at_us != other.at_us ? at_us > other.at_us : order > other.order;
    }
  };

  void begin_visit(std::uint64_t at_us);
  [[nodiscard]] double pause_at_any_time();
  [[nodiscard]] std::uint64_t choose_session();
  [[nodiscard]] std::uint64_t next_arrival(std::uint64_t at_us);
  [[nodiscard]] double rate_at(double seconds) const noexcept;
  void step(visit v);
  void reconnect(const visit& v);
  void ask(const visit& v);
  void call_tool(const visit& v);
  void answer(const visit& v);
  void work_with_others(const visit& v);
  void maybe_fork(const visit& v);

  intent& emit(const visit& v, action what, subject whom);
  void append(const visit& v, std::vector<item_plan> items);
  [[nodiscard]] item_plan plan(author by);

  workload what_;
  random_source random_;
  zipf popularity_;
  double tool_shares_ = 0;
  double peak_rate_ = 0;
  std::vector<session_book> sessions_;
  std::vector<std::uint32_t> user_notes_, team_messages_, workflow_steps_;
  std::priority_queue<visit> visits_;
  std::deque<intent> ready_;
  std::uint64_t emitted_ = 0;
  std::uint64_t visits_begun_ = 0;
  std::uint64_t arrival_us_ = 0;
  std::uint64_t last_us_ = 0;
};

/// Of a session that grows beyond: nobody comes back to it, as it may hold 8 MiB at most.
inline constexpr std::uint32_t full_session_kib = 4 << 10;

}  // namespace troupe::simulate
