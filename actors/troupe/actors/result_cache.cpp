#include <troupe/actors/internal/cache_front.hpp>
#include <troupe/actors/internal/cache_shard_actor.hpp>
#include <troupe/actors/internal/wait_for.hpp>
#include <troupe/actors/result_cache.hpp>
#include <troupe/state/internal/cache/packed.hpp>

#include <caf/scoped_actor.hpp>
#include <spdlog/spdlog.h>
#include <time.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstring>
#include <exception>
#include <mutex>
#include <random>
#include <set>
#include <utility>
#include <vector>

namespace troupe {

using internal::unpacked;
using internal::wait_for;

namespace {

/// A tick of the kernel old at most (4 ms): reading the exact clock would be a seventh of a hit.
timestamp coarse_clock_now() {
  timespec at{};
  ::clock_gettime(CLOCK_REALTIME_COARSE, &at);
  return {std::int64_t{at.tv_sec} * 1'000 + at.tv_nsec / 1'000'000};
}

std::size_t shards_for(const result_cache_options& options) {
  constexpr std::size_t entries = 256, bytes = 16 << 20, most = 16;
  if (options.shards > 0)
    return std::bit_floor(std::min<std::size_t>(options.shards, 256));
  auto out = most;
  const auto leave_enough = [&](const cache_limits& x) {
    out = std::min({out, x.max_entries / entries, static_cast<std::size_t>(x.max_bytes / bytes)});
  };
  leave_enough(options.limits);
  if (options.default_quota)
    leave_enough(*options.default_quota);
  for (const auto& [name, quota] : options.quotas)
    leave_enough(quota);
  return std::bit_floor(std::max<std::size_t>(out, 1));
}

cache_limits part_of(cache_limits whole, std::size_t shards) {
  whole.max_entries /= shards;
  whole.max_bytes /= shards;
  return whole;
}

/// One of so many shards. Another part of the key than the tables use.
std::size_t shard_of(const cache_key& key, std::size_t shards) {
  std::uint64_t part;
  std::memcpy(&part, key.digest.bytes.data() + 24, sizeof part);
  return part & (shards - 1);
}

/// A host's callback that throws ends no actor.
template <class F>
auto guarded(F call) {
  return [call = std::move(call)](auto&&... x) {
    try {
      call(std::forward<decltype(x)>(x)...);
    } catch (const std::exception& why) {
      spdlog::error("a callback of the host threw: {}", why.what());
    }
  };
}

/// Calls back with the sum of several answers; the first error stands for all.
class sum_of_answers {
public:
  sum_of_answers(std::size_t count, std::function<void(expected<invalidated>)> done)
      : left_{count},
        done_{std::move(done)} {}

  void add(const expected<invalidated>& answer) {
    bool last = false;
    {
      const std::lock_guard lock{mutex_};
      if (!answer)
        sum_ = answer;
      else if (sum_)
        sum_->count += answer->count;
      last = --left_ == 0;
    }
    if (last)
      done_(std::move(sum_));
  }

private:
  std::mutex mutex_;
  std::size_t left_;
  expected<invalidated> sum_{};
  std::function<void(expected<invalidated>)> done_;
};

}  // namespace

class result_cache::impl {
public:
  impl(caf::actor_system& of, result_cache_options options)
      : system{of},
        now{std::move(options.now)},
        compress_from{options.compress_from == 0 ? SIZE_MAX : options.compress_from} {
    const auto count = shards_for(options);
    auto quota = [count, named = options.quotas, others = options.default_quota](
                     const std::string& name) -> std::optional<cache_limits> {
      const auto at = named.find(name);
      const auto whole = at != named.end() ? std::optional{at->second} : others;
      return whole ? std::optional{part_of(*whole, count)} : std::nullopt;
    };
    for (std::size_t i = 0; i < count; ++i) {
      shards.push_back(std::make_shared<internal::cache_shard>(
          internal::cache_shard_options{.limits = part_of(options.limits, count),
                                        .s3_fifo = options.policy == cache_policy::s3_fifo,
                                        .quota = quota,
                                        .note_removals = static_cast<bool>(options.store)}));
      writers.push_back(
          internal::spawn_cache_shard(system, {.entries = shards.back(),
                                               .now = now,
                                               .default_ttl = options.default_ttl,
                                               .compress_from = compress_from,
                                               .content_invalidation = options.content_invalidation,
                                               .sweep_interval = options.sweep_interval,
                                               .save_interval = options.save_interval,
                                               .store = options.store}));
    }
    front = internal::spawn_cache_front(
        system,
        {.shards = writers,
         .shard_of = [count](const cache_key& key) { return shard_of(key, count); },
         .stats = [all = shards](const get_cache_stats& x) { return stats_of(all, x.name_space); },
         .store = options.store});
  }
  impl(const impl&) = delete;
  ~impl() { end(); }

  void end() {
    if (ended.exchange(true))
      return;
    caf::anon_send_exit(front, caf::exit_reason::user_shutdown);
    for (const auto& writer : writers)
      caf::anon_send_exit(writer, caf::exit_reason::user_shutdown);
  }

  using all_shards = std::vector<std::shared_ptr<internal::cache_shard>>;

  static result_cache_stats stats_of(const all_shards& all,
                                     const std::optional<std::string>& name_space) {
    result_cache_stats out;
    for (const auto& shard : all)
      shard->add_stats(out, name_space);
    std::set<std::string> names;
    for (const auto& shard : all)
      shard->add_name_spaces(names);
    out.name_spaces = name_space ? names.count(*name_space) : names.size();
    if (out.entries > 0)
      out.average_access_count /= static_cast<double>(out.entries);
    return out;
  }

  [[nodiscard]] internal::cache_shard& entries(const cache_key& key) const {
    return *shards[shard_of(key, shards.size())];
  }
  [[nodiscard]] const cache_shard_actor& writer(const cache_key& key) const {
    return writers[shard_of(key, writers.size())];
  }

  caf::actor_system& system;
  std::function<timestamp()> now;
  std::size_t compress_from;
  all_shards shards;
  std::vector<cache_shard_actor> writers;
  cache_actor front;
  std::atomic<bool> ended = false;
};

result_cache spawn_result_cache(caf::actor_system& system, result_cache_options options) {
  if (!options.now)
    options.now = coarse_clock_now;
  if (options.limits.hash_seed == 0)
    options.limits.hash_seed = std::random_device{}();
  return result_cache{std::make_shared<result_cache::impl>(system, std::move(options))};
}

std::optional<value> result_cache::get(const cache_id& id) const {
  auto out = impl_->entries(id.key).get(id.name_space, id.key, impl_->now());
  if (out && internal::is_packed(*out))
    return unpacked(*out);
  return out;
}

std::optional<cache_entry> result_cache::inspect(const cache_id& id) const {
  auto out = impl_->entries(id.key).inspect(id.name_space, id.key, impl_->now());
  if (!out)
    return std::nullopt;
  out->entry.content.output = unpacked(out->entry.content.output);
  return std::move(out->entry);
}

void result_cache::set(set_cached request, std::function<void(expected<void>)> done) const {
  const auto& writer = impl_->writer(request.id.key);
  request.content.output = internal::packed(request.content.output, impl_->compress_from);
  compat::anon_send(
      writer, host_set_cached{std::move(request), completion<void>{guarded(std::move(done))}});
}

expected<void> result_cache::set(set_cached request, std::chrono::milliseconds deadline) const {
  return wait_for<void>(deadline, [&](auto done) { set(std::move(request), std::move(done)); });
}

void result_cache::get_or_compute(const cache_id& id, std::function<void(computation)> start,
                                  std::function<void(expected<value>)> done) const {
  if (auto hit = get(id))
    return done(*std::move(hit));
  // Who computes gives the output to the cache and to his own `done`.
  auto answered = [start = guarded(std::move(start)),
                   done = guarded(std::move(done))](expected<compute_answer> answer) {
    if (!answer)
      return done(unexpected{std::move(answer.error())});
    if (!answer->turn)
      return done(std::move(answer->output));
    start(computation{[turn = *std::move(answer->turn), done](expected<computed_result> result) {
      auto output = result ? expected<value>{result->content.output}
                           : expected<value>{unexpected{result.error()}};
      if (!result) {
        turn(std::move(result));
        return done(std::move(output));
      }
      auto also = std::move(result->kept);
      result->kept =
          completion<void>{[also, done, output = std::move(output)](expected<void> kept) {
            also(std::move(kept));
            done(output);
          }};
      turn(std::move(result));
    }});
  };
  compat::anon_send(impl_->writer(id.key),
                    host_compute_cached{{id}, completion<compute_answer>{std::move(answered)}});
}

expected<value> result_cache::get_or_compute(
    const cache_id& id, const std::function<expected<computed_result>()>& compute,
    std::chrono::milliseconds deadline) const {
  if (auto hit = get(id))
    return *std::move(hit);
  auto answer = wait_for<compute_answer>(deadline, [&](auto done) {
    compat::anon_send(impl_->writer(id.key),
                      host_compute_cached{{id}, completion<compute_answer>{std::move(done)}});
  });
  if (!answer)
    return unexpected{std::move(answer.error())};
  if (!answer->turn)
    return std::move(answer->output);
  expected<computed_result> result;
  try {
    result = compute();
  } catch (const std::exception& why) {
    result = fail(errc::internal, std::string{"the computation threw: "} + why.what());
  }
  if (!result) {
    (*answer->turn)(result);
    return unexpected{std::move(result.error())};
  }
  auto output = result->content.output;
  (void)wait_for<void>(deadline, [&](auto kept) {
    result->kept = completion<void>{std::move(kept)};
    (*answer->turn)(std::move(result));
  });
  return output;
}

void result_cache::invalidate(cache_invalidation what,
                              std::function<void(expected<invalidated>)> done) const {
  if (const auto* key = std::get_if<cache_key>(&what.what)) {
    const auto& writer = impl_->writer(*key);
    return compat::anon_send(
        writer,
        host_invalidate_cached{std::move(what), completion<invalidated>{guarded(std::move(done))}});
  }
  auto sum = std::make_shared<sum_of_answers>(impl_->writers.size(), guarded(std::move(done)));
  for (const auto& writer : impl_->writers)
    compat::anon_send(
        writer,
        host_invalidate_cached{
            what, completion<invalidated>{[sum](const expected<invalidated>& x) { sum->add(x); }}});
}

expected<invalidated> result_cache::invalidate(cache_invalidation what,
                                               std::chrono::milliseconds deadline) const {
  return wait_for<invalidated>(deadline,
                               [&](auto done) { invalidate(std::move(what), std::move(done)); });
}

expected<content_check> result_cache::check_content(const std::string& name_space,
                                                    const std::string& known,
                                                    std::span<const std::filesystem::path> files,
                                                    std::chrono::milliseconds deadline) const {
  auto hash = content_hash_of_files(files);
  if (!hash)
    return unexpected{std::move(hash.error())};
  content_check out{.content_hash = *std::move(hash)};
  out.changed = out.content_hash != known;
  if (!out.changed)
    return out;
  const auto went = invalidate(
      {name_space, cache_invalidation::labelled{cache_label::content_hash, known}}, deadline);
  if (!went)
    return unexpected{went.error()};
  out.removed = went->count;
  return out;
}

result_cache_stats result_cache::stats(const std::optional<std::string>& name_space) const {
  return impl::stats_of(impl_->shards, name_space);
}

cache_actor result_cache::actor() const {
  return impl_->front;
}

cache_entry_actor result_cache::actor_of(const cache_key& key) const {
  return impl_->writer(key);
}

void result_cache::drain(std::function<void(expected<void>)> done) const {
  auto sum = std::make_shared<sum_of_answers>(
      impl_->writers.size(), [done = guarded(std::move(done))](const expected<invalidated>& x) {
        done(x ? expected<void>{} : expected<void>{unexpected{x.error()}});
      });
  for (const auto& writer : impl_->writers)
    compat::anon_send(writer, host_drain_cache{completion<void>{[sum](const expected<void>& x) {
                        sum->add(x ? expected<invalidated>{invalidated{}}
                                   : expected<invalidated>{unexpected{x.error()}});
                      }}});
}

void result_cache::end() const {
  impl_->end();
}

void result_cache::close(std::chrono::milliseconds deadline) const {
  if (!impl_ || impl_->ended)
    return;
  (void)wait_for<void>(deadline, [&](auto done) { drain(std::move(done)); });
  impl_->end();
  caf::scoped_actor self{impl_->system};
  self->wait_for(impl_->front);
  for (const auto& writer : impl_->writers)
    self->wait_for(writer);
}

}  // namespace troupe
