#include "disk.hpp"

#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <utility>

namespace troupe::power {

std::vector<entry> read_log(std::string_view log) {
  std::vector<entry> out;
  while (!log.empty()) {
    entry_head head;
    if (log.size() < sizeof head)
      throw std::runtime_error{"the log is cut"};
    std::memcpy(&head, log.data(), sizeof head);
    log.remove_prefix(sizeof head);
    if (log.size() < head.size)
      throw std::runtime_error{"the log is cut"};
    const auto bytes = log.substr(0, head.size);
    log.remove_prefix(head.size);
    if (head.what == event::unsupported)
      throw std::runtime_error{"the workload did what is not modelled: " + std::string{bytes}};
    out.push_back({head.what, head.file, head.offset, bytes});
    if (head.what == event::synced_write) {
      out.back().what = event::write;
      out.push_back({event::sync_blocks, head.file, head.offset, bytes});
    }
  }
  return out;
}

void file_model::write(std::uint64_t offset, std::string_view bytes) {
  resize(std::max(volatile_size_, offset + bytes.size()));
  while (!bytes.empty()) {
    const auto room = block_bytes_ - offset % block_bytes_;
    const auto part = bytes.substr(0, room);
    pending_.push_back({offset, part});
    offset += part.size();
    bytes.remove_prefix(part.size());
  }
}

void file_model::resize(std::uint64_t size) {
  if (size < volatile_size_) {
    pending_.clear();
    bytes_.resize(std::min<std::uint64_t>(bytes_.size(), size));
    size_ = volatile_size_ = size;
    return;
  }
  if (size > volatile_size_)
    pending_.push_back({size, {}});
  volatile_size_ = size;
}

template <class Predicate>
void file_model::arrive(Predicate which) {
  std::vector<unit> rest;
  for (const auto& one : pending_) {
    if (!which(one)) {
      rest.push_back(one);
      continue;
    }
    size_ = std::max(size_, one.end());
    if (!one.is_size()) {
      if (bytes_.size() < one.end())
        bytes_.resize(one.end());
      std::copy(one.bytes.begin(), one.bytes.end(),
                bytes_.begin() + static_cast<std::ptrdiff_t>(one.offset));
    }
    arrived_.push_back(one);
  }
  std::erase_if(rest, [&](const unit& one) { return one.is_size() && one.offset <= size_; });
  pending_ = std::move(rest);
}

void file_model::sync() {
  arrive([](const unit&) { return true; });
}

void file_model::data_sync() {
  arrive([](const unit& one) { return !one.is_size(); });
}

void file_model::sync_blocks(std::uint64_t offset, std::uint64_t size) {
  // Whole blocks: what was written to them before goes with them, or it could come back over them.
  const auto first = offset / block_bytes_;
  const auto last = (offset + size - 1) / block_bytes_;
  arrive([&](const unit& one) {
    const auto block = one.offset / block_bytes_;
    return !one.is_size() && block >= first && block <= last;
  });
}

std::vector<unit> file_model::take_arrived() {
  return std::exchange(arrived_, {});
}

namespace {

std::string_view folder_of(std::string_view path) {
  return path.substr(0, path.rfind('/'));
}

/// `rename`'s two paths.
std::pair<std::string_view, std::string_view> two_paths(std::string_view bytes) {
  const auto border = bytes.find('\0');
  return {bytes.substr(0, border), bytes.substr(border + 1)};
}

bool is_in(const entry& call, std::string_view folder) {
  if (call.what != event::rename)
    return folder_of(call.bytes) == folder;
  const auto [from, to] = two_paths(call.bytes);
  return folder_of(from) == folder || folder_of(to) == folder;
}

}  // namespace

void names_model::change(const entry& call) {
  pending_.push_back(call);
}

void names_model::sync_dir(std::string_view path) {
  const auto last = std::find_if(pending_.rbegin(), pending_.rend(),
                                 [&](const entry& call) { return is_in(call, path); });
  for (auto at = pending_.begin(); at != last.base(); ++at)
    apply(durable_, *at);
  pending_.erase(pending_.begin(), last.base());
}

name_space_tree names_model::after(std::size_t arrived) const {
  auto out = durable_;
  for (std::size_t i = 0; i < arrived; ++i)
    apply(out, pending_[i]);
  return out;
}

void names_model::apply(name_space_tree& to, const entry& call) {
  switch (call.what) {
    case event::make_dir: to[std::string{call.bytes}] = 0; break;
    case event::create: to[std::string{call.bytes}] = call.file; break;
    case event::remove: to.erase(std::string{call.bytes}); break;
    case event::rename: {
      const auto [from, now] = two_paths(call.bytes);
      to[std::string{now}] = to.at(std::string{from});
      to.erase(std::string{from});
      break;
    }
    default: throw std::logic_error{"no change of names"};
  }
}

}  // namespace troupe::power
