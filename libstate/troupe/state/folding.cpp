#include <troupe/state/digest.hpp>
#include <troupe/state/folding.hpp>
#include <troupe/state/header.hpp>
#include <troupe/state/internal/snapshot_parts.hpp>
#include <troupe/state/internal/stored_document.hpp>

#include <algorithm>

namespace troupe {

using namespace internal;

entity_parts split_entity(std::shared_ptr<const entity_state> state) {
  entity_parts out{
      .revision = state->revision,
      .live = state->live(),
      .header = encode(header_of(*state)),
      .body = encode_snapshot(*state, complete_chunks::outside, default_zstd_threshold),
      .chunks = {},
      .owner = state};
  state->items.for_each_chunk([&](const packed_chunk& chunk) {
    if (chunk.sealed)
      out.chunks.push_back(chunk.bytes);
  });
  return out;
}

namespace {

expected<entity_state> body_of(const stored_parts& stored) {
  if (stored.body.empty())
    return entity_state{};
  const std::vector<std::string_view> chunks{stored.chunks.begin(), stored.chunks.end()};
  return decode_snapshot(stored.body, chunks);
}

}  // namespace

expected<entity_state> join_entity(const stored_parts& stored) {
  auto state = body_of(stored);
  if (!state)
    return state;
  for (const auto& bytes : stored.changes) {
    const auto what = decode_change(bytes);
    if (!what)
      return tl::unexpected(what.error());
    *state = evolve(std::move(*state), *what);
  }
  return state;
}

expected<folded_entity> fold_entity(const stored_parts& stored) {
  auto state = body_of(stored);
  if (!state)
    return tl::unexpected(state.error());
  std::vector<folded_entity::answered> answers;
  for (const auto& bytes : stored.changes) {
    auto what = decode_change(bytes);
    if (!what)
      return tl::unexpected(what.error());
    if (what->asked_by)
      answers.push_back({answer_id(*what->asked_by), what->revision, what->at,
                         encode(kept_answer{*what->asked_by, what->at, outcome_of(*what)})});
    *state = evolve(std::move(*state), *what);
  }
  auto out = fold_state(std::make_shared<const entity_state>(*std::move(state)));
  out.answers = std::move(answers);
  return out;
}

folded_entity fold_state(std::shared_ptr<const entity_state> state) {
  folded_entity out;
  out.first_revision = state->first_revision;
  if (state->forked_from)
    out.pins.push_back(state->first_revision);
  for (const auto& one : checkpoints_of(*state))
    out.pins.push_back(one.revision);
  std::sort(out.pins.begin(), out.pins.end());
  out.pins.erase(std::unique(out.pins.begin(), out.pins.end()), out.pins.end());
  // What is pinned does not count among the newest.
  const auto last = retention_of(*state).last;
  const auto back = last > max_number ? max_number : last + out.pins.size();
  out.kept_back = back;
  out.keep_from = std::max(state->first_revision,
                           state->revision > back ? state->revision - back : std::uint64_t{0});
  out.parts = split_entity(std::move(state));
  return out;
}

bool folds_by_state(const change& what) {
  return !what.asked_by && std::ranges::all_of(what.events, [](const event& x) {
    return std::holds_alternative<entity_created>(x) || std::holds_alternative<items_appended>(x)
           || std::holds_alternative<entry_set>(x) || std::holds_alternative<entry_erased>(x)
           || std::holds_alternative<section_cleared>(x);
  });
}

// Answers ----------------------------------------------------------------------------------------

std::string encode(const kept_answer& kept) {
  value_writer out;
  out.begin_array(13).unsigned_integer(current_codec_version);
  out.string(kept.asked.principal).string(kept.asked.key).binary(kept.asked.body_hash);
  out.integer(kept.at.ms);
  out.unsigned_integer(kept.answer.revision);
  out.boolean(kept.answer.changed).boolean(kept.answer.created);
  out.unsigned_integer(kept.answer.first_seq).unsigned_integer(kept.answer.last_seq);
  out.unsigned_integer(kept.answer.removed);
  if (const auto& loop = kept.answer.loop)
    out.begin_array(4)
        .string(loop->tool)
        .unsigned_integer(loop->count)
        .unsigned_integer(loop->limit)
        .boolean(loop->looping);
  else
    out.null();
  if (const auto& usage = kept.answer.usage) {
    out.begin_array(6);
    out.unsigned_integer(usage->last.prompt_tokens).unsigned_integer(usage->last.completion_tokens);
    out.unsigned_integer(usage->total.prompt_tokens);
    out.unsigned_integer(usage->total.completion_tokens).unsigned_integer(usage->tool_calls);
    if (usage->budget)
      out.unsigned_integer(*usage->budget);
    else
      out.null();
  } else {
    out.null();
  }
  return out.take();
}

namespace {

bool boolean(field_reader& in) {
  const auto x = in.next().as_bool();
  if (!x)
    in.refuse();
  return x.value_or(false);
}

loop_verdict loop_from(field_reader& outer, value_view stored) {
  field_reader in{stored};
  loop_verdict out{in.text(), in.number(), in.number(), boolean(in)};
  if (!in.ended())
    outer.refuse();
  return out;
}

usage_report usage_from_fields(field_reader& outer, value_view stored) {
  field_reader in{stored};
  usage_report out{.last = {in.number(), in.number()},
                   .total = {in.number(), in.number()},
                   .tool_calls = in.number()};
  if (const auto budget = in.next(); !budget.is_null())
    out.budget = budget.as_uint64();
  if (!in.ended())
    outer.refuse();
  return out;
}

}  // namespace

expected<kept_answer> decode_answer(std::string_view bytes) {
  const auto stored = document::open(bytes, "a kept answer");
  if (!stored)
    return tl::unexpected(stored.error());
  auto in = stored->fields();
  in.number();  // the version
  kept_answer out;
  out.asked = {in.text(), in.text(), std::string{in.bytes()}};
  out.at = in.time();
  out.answer.revision = in.number();
  out.answer.changed = boolean(in);
  out.answer.created = boolean(in);
  out.answer.first_seq = in.number();
  out.answer.last_seq = in.number();
  out.answer.removed = in.number();
  if (const auto loop = in.next(); !loop.is_null())
    out.answer.loop = loop_from(in, loop);
  if (const auto usage = in.next(); !usage.is_null())
    out.answer.usage = usage_from_fields(in, usage);
  if (!in.ok())
    return fail(errc::damaged, "a kept answer lacks a field");
  return out;
}

std::string answer_id(const idempotency& asked) {
  const auto digest = sha256_hasher{}.field(asked.principal).field(asked.key).finish();
  return {reinterpret_cast<const char*>(digest.bytes.data()), 16};
}

}  // namespace troupe
