// Plain C++: hash maps of sessions behind 64 locks. Nothing is durable, versioned or told to
// anybody, so this is a ceiling and no alternative. A fork copies; a checkpoint copies, too.

#include "simulate/metrics_text.hpp"
#include "simulate/peers/peers.hpp"
#include <unistd.h>

#include <array>
#include <mutex>
#include <unordered_map>

namespace troupe::simulate {

namespace {

constexpr std::size_t shards = 64;

struct entity {
  bool exists = false;
  std::vector<std::string> items;
  std::uint64_t last = 0, count = 0, tokens = 0;
  std::vector<std::vector<std::string>> checkpoints;
  std::vector<node_found> nodes;
};

class maps final : public driver {
public:
  void send(const intent& what, callback done) override {
    if (what.what == action::cache_lookup)
      return done(look_up(what));
    if (what.what == action::fork)
      return done(fork(what));
    auto& at = shard_of(what.whom);
    const std::lock_guard lock{at.mutex};
    auto& one = at.entities[what.whom];
    done(apply(what, one));
  }

  expected<contents> read_back(const subject& whom) override {
    auto& at = shard_of(whom);
    const std::lock_guard lock{at.mutex};
    const auto found = at.entities.find(whom);
    if (found == at.entities.end() || !found->second.exists)
      return contents{};
    contents out{.exists = true, .items = found->second.items, .last = found->second.last};
    out.count = found->second.count;
    out.checkpoints = found->second.checkpoints.size();
    out.nodes = found->second.nodes;
    return out;
  }

  target_state state() override { return {.memory_bytes = bytes_of_process(::getpid())}; }

  facts settings() const override {
    return {{"target", "C++ hash maps behind 64 locks, in this process"}, {"durability", "none"}};
  }

private:
  struct hash {
    std::size_t operator()(const subject& whom) const noexcept {
      return mix(whom.number * 8 + static_cast<std::uint64_t>(whom.kind));
    }
  };
  struct shard {
    std::mutex mutex;
    std::unordered_map<subject, entity, hash> entities;
    std::unordered_map<std::uint64_t, std::string> cache;
  };

  shard& shard_of(const subject& whom) { return shards_.at((hash{}(whom) >> 32) % shards); }

  static answer apply(const intent& what, entity& one) {
    switch (what.what) {
      case action::seed:
      case action::append:
        one.exists = one.exists || what.what == action::seed;
        if (!one.exists)
          return {.what = outcome::refused, .why = "not found"};
        for (std::uint32_t i = 0; i < what.count; ++i)
          one.items.push_back(text_of(what.whom, what.first + i,
                                      what.items.at(what.what == action::seed ? 0 : i).bytes));
        break;
      case action::create: one.exists = true; break;
      case action::team_message:
        one.exists = true;
        one.items.push_back(text_of(what.whom, what.first, what.bytes));
        break;
      case action::workflow_step: {
        one.exists = true;
        const auto at = (what.first - 1) % steps_in_round;
        if (at == 0)
          one.nodes.clear();
        for (std::uint32_t i = 0; at == 0 && i < workflow_nodes; ++i)
          one.nodes.push_back({node_of_step(what.first + 1 + 2 * i), "pending", {}});
        for (auto& node : one.nodes)
          if (at > 0 && node.id == node_of_step(what.first))
            node = {node.id, at % 2 == 1 ? "running" : "done",
                    at % 2 == 1 ? "" : text_of(what.whom, what.first, what.bytes)};
        break;
      }
      case action::note:
        one.exists = one.exists || what.whom.kind != subject_kind::session;
        one.last = what.first;
        ++one.count;
        break;
      case action::record_usage: one.tokens += what.count; break;
      case action::checkpoint: one.checkpoints.push_back(one.items); break;
      default: break;
    }
    return {};
  }

  /// Copies out of one shard, then into another: only the parent's line writes to either.
  answer fork(const intent& what) {
    const subject parent{subject_kind::session, what.other};
    entity copy;
    {
      auto& from = shard_of(parent);
      const std::lock_guard lock{from.mutex};
      copy = from.entities[parent];
    }
    copy.checkpoints.clear();
    auto& to = shard_of(what.whom);
    const std::lock_guard lock{to.mutex};
    to.entities[what.whom] = std::move(copy);
    return {};
  }

  answer look_up(const intent& what) {
    auto& at = shard_of(what.whom);
    const std::lock_guard lock{at.mutex};
    auto [found, fresh] = at.cache.try_emplace(what.whom.number);
    if (fresh)
      found->second = text_of(what.whom, 1, what.bytes);
    return {.hit = !fresh};
  }

  std::array<shard, shards> shards_;
};

class nothing final : public driver {
public:
  void send(const intent&, callback done) override { done({}); }
  expected<contents> read_back(const subject&) override {
    return fail(errc::not_supported, "nothing is kept");
  }
  target_state state() override { return {}; }
  facts settings() const override {
    return {{"target", "none: every intent is answered at once"}, {"durability", "none"}};
  }
};

}  // namespace

std::unique_ptr<driver> open_maps(const workload&) {
  return std::make_unique<maps>();
}

std::unique_ptr<driver> open_nothing() {
  return std::make_unique<nothing>();
}

}  // namespace troupe::simulate
