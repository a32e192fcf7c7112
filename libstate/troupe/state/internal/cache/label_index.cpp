#include <troupe/state/internal/cache/label_index.hpp>
#include <troupe/state/internal/cache/siphash.hpp>

namespace troupe::internal {

std::uint32_t label_index::hash_of(cache_label kind, std::string_view text) const noexcept {
  return static_cast<std::uint32_t>(siphash(seed_, static_cast<std::uint64_t>(kind), text));
}

std::uint32_t label_index::find(std::uint32_t hash, cache_label kind, std::string_view text) const {
  return index_.find(
      hash, [&](std::uint32_t at) { return labels_[at].kind == kind && labels_[at].text == text; });
}

std::uint32_t label_index::any(cache_label kind, std::string_view text) const {
  const auto at = find(hash_of(kind, text), kind, text);
  return at == none ? none : members_[labels_[at].members.front].entry;
}

std::uint32_t label_index::attach(std::uint32_t entry, const cache_content& content) {
  std::uint32_t first = none, last = none;
  const auto add = [&](cache_label kind, std::string_view text) {
    if (text.empty())
      return;
    const auto hash = hash_of(kind, text);
    auto at = find(hash, kind, text);
    if (at == none) {
      at = labels_.take();
      auto& fresh = labels_[at];
      fresh.text = text;
      fresh.hash = hash;
      fresh.kind = kind;
      text_bytes_ += outside(fresh.text);
      index_.insert(hash, at);
    } else if (members_[labels_[at].members.front].entry == entry) {
      return;  // given twice
    }
    const auto m = members_.take();
    members_[m] = {entry, at, none, none, none};
    ++attached_;
    labels_[at].members.push_front(members_, m);
    (first == none ? first : members_[last].next_of_entry) = m;
    last = m;
  };
  add(cache_label::agent, content.agent);
  add(cache_label::owner, content.owner);
  add(cache_label::content_hash, content.content_hash);
  for (const auto& tag : content.tags)
    add(cache_label::tag, tag);
  return first;
}

void label_index::detach(std::uint32_t labels) {
  while (labels != none) {
    const auto m = labels;
    const auto at = members_[m].label;
    labels = members_[m].next_of_entry;
    labels_[at].members.erase(members_, m);
    members_.give_back(m);
    --attached_;
    if (labels_[at].members.front == none) {
      index_.erase(labels_[at].hash, at);
      text_bytes_ -= outside(labels_[at].text);
      labels_.give_back(at);
    }
  }
}

void label_index::read(std::uint32_t labels, cache_content& into) const {
  for (; labels != none; labels = members_[labels].next_of_entry) {
    const auto& x = labels_[members_[labels].label];
    switch (x.kind) {
      case cache_label::agent: into.agent = x.text; break;
      case cache_label::owner: into.owner = x.text; break;
      case cache_label::content_hash: into.content_hash = x.text; break;
      case cache_label::tag: into.tags.push_back(x.text); break;
    }
  }
}

bool label_index::holds(std::uint32_t entry, std::uint32_t labels, std::size_t& count) const {
  for (; labels != none; labels = members_[labels].next_of_entry, ++count) {
    const auto& one = members_[labels];
    const auto& x = labels_[one.label];
    if (one.entry != entry || find(x.hash, x.kind, x.text) != one.label)
      return false;
    auto at = x.members.front;
    while (at != none && at != labels)
      at = members_[at].next;
    if (at == none)
      return false;
  }
  return true;
}

}  // namespace troupe::internal
