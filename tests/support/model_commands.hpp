#pragma once

#include <troupe/state/commands.hpp>
#include <troupe/state/decide.hpp>

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

/// Random commands over few keys and ids, so that they meet each other, with every kind of mistake
/// among them.
namespace troupe::testing {

/// The same numbers on every machine.
class dice {
public:
  explicit dice(std::uint64_t seed) : engine_{seed} {}
  /// Takes numbers from bytes that a fuzzer gives: each turn from a few of its own, so that a
  /// changed turn leaves the others as they are, and random ones when those are spent.
  explicit dice(std::string_view bytes) : engine_{0}, later_{bytes} { turn(); }

  /// Begins a turn; without bytes it means nothing.
  void turn() {
    constexpr std::size_t bytes_of_a_turn = 12;
    if (later_.empty())
      return;
    bytes_ = later_.substr(0, bytes_of_a_turn);
    later_.remove_prefix(bytes_.size());
    std::uint64_t hash = 14695981039346656037u;  // FNV-1a
    for (const char c : bytes_)
      hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211u;
    engine_.seed(hash);
  }
  /// No turn is left that bytes say.
  [[nodiscard]] bool spent() const { return later_.empty(); }

  /// REQUIRES: n > 0.
  std::uint64_t below(std::uint64_t n) {
    if (bytes_.empty())
      return engine_() % n;
    std::uint64_t out = 0;
    for (auto rest = n - 1; rest > 0 && !bytes_.empty(); rest >>= 8, bytes_.remove_prefix(1))
      out = out << 8 | static_cast<unsigned char>(bytes_.front());
    return out % n;
  }
  bool percent(std::uint64_t chance) { return below(100) < chance; }
  template <class T>
  T one_of(std::initializer_list<T> from) {
    return from.begin()[below(from.size())];
  }

private:
  std::mt19937_64 engine_;
  std::string_view bytes_{}, later_{};
};

/// What a sequence is about: how often each group of operations comes, in percent of them all.
struct emphasis {
  std::uint64_t description, state, versions, forks;  // what is left: operations of the kind
};

/// An entity that commands may name, with all its states ever.
struct named_entity {
  entity_ref ref;
  const std::map<std::uint64_t, entity_state>* states = nullptr;
};

class command_maker {
public:
  command_maker(dice& luck, emphasis about) : luck_{luck}, about_{about} {}

  /// A command to `target`, one of `all`.
  [[nodiscard]] command next(const named_entity& target, const std::vector<named_entity>& all);

  [[nodiscard]] policy any_policy();

private:
  operation any_operation();
  operation of_description();
  operation of_state();
  operation of_versions();
  operation of_forks();
  operation fork_of_another();
  operation merge_of_another();
  operation of_session();
  operation of_workflow();
  operation of_team();
  state_op any_state_op();
  entity_info any_info();

  std::string key();
  std::string id();
  std::string user();
  std::string text();
  value any(int depth = 2);
  value small_map();
  std::vector<value> values();
  std::vector<std::string> tags();
  std::vector<share> shares();
  std::optional<std::uint64_t> ttl();
  std::uint64_t revision();
  todo any_todo();
  template <class T>
  std::optional<T> maybe(T x, std::uint64_t chance = 50) {
    return luck_.percent(chance) ? std::optional<T>{std::move(x)} : std::nullopt;
  }

  dice& luck_;
  emphasis about_;
  const named_entity* target_ = nullptr;
  const std::vector<named_entity>* all_ = nullptr;
  const entity_state* now_ = nullptr;  // the target's
  std::optional<operation> last_{};    // to ask for once more
};

/// One line for each operation, to read a failure by.
[[nodiscard]] std::string describe(const command& what);

}  // namespace troupe::testing
