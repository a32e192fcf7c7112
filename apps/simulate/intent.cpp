#include "simulate/intent.hpp"

#include "simulate/random.hpp"

#include <algorithm>
#include <charconv>
#include <iterator>
#include <optional>

namespace troupe::simulate {

namespace {

constexpr std::string_view letters = "sutwc";

constexpr std::array<std::string_view, action_count> names{
    "seed",         "create",       "append",       "read_history", "read_all",
    "note",         "read_state",   "record_usage", "checkpoint",   "fork",
    "cache_lookup", "team_message", "workflow_step"};

/// Words that no language has, as frequent as words are: compresses about as prose does.
const std::string& corpus() {
  static const std::string all = [] {
    constexpr std::array syllables{"ka", "lo", "min", "ter", "us", "en", "ra", "vi", "so", "del",
                                   "pa", "ti", "on",  "gre", "mu", "sa", "ni", "or", "be", "at"};
    random_source random{42};
    std::vector<std::string> words;
    for (int i = 0; i < 2'000; ++i) {
      std::string word;
      for (auto left = 1 + random.below(4); left > 0; --left)
        word += syllables.at(random.below(syllables.size()));
      words.push_back(std::move(word));
    }
    const zipf law{1.0};
    std::string text;
    while (text.size() < (1 << 18))
      text += words[law.draw(random, words.size())] + (random.chance(0.1) ? ". " : " ");
    return text;
  }();
  return all;
}

std::string_view author_name(author by) {
  return by == author::user ? "user" : by == author::assistant ? "assistant" : "tool";
}

}  // namespace

std::string name_of(const subject& whom) {
  return letters[static_cast<std::size_t>(whom.kind)] + std::to_string(whom.number);
}

std::string_view to_string(action what) noexcept {
  return names.at(static_cast<std::size_t>(what));
}

bool is_write(action what) noexcept {
  return what != action::read_history && what != action::read_all && what != action::read_state
         && what != action::cache_lookup;
}

std::string node_of_step(std::uint32_t step) {
  const auto at = (step - 1) % steps_in_round;
  return "r" + std::to_string((step - 1) / steps_in_round) + '-' + std::to_string((at + 1) / 2);
}

std::string log_line(const intent& what) {
  auto out = std::to_string(what.number) + ' ' + std::to_string(what.at_us) + ' '
             + std::string{to_string(what.what)} + ' ' + name_of(what.whom);
  if (what.first != 0)
    out += " #" + std::to_string(what.first);
  if (what.count != 0)
    out += " x" + std::to_string(what.count);
  if (what.what == action::fork)
    out += " of s" + std::to_string(what.other);
  else if (what.what == action::create || what.what == action::seed)
    out += " for u" + std::to_string(what.other);
  for (const auto& item : what.items)
    if (item.bytes != 0)
      out += ' ' + std::string{author_name(item.by)} + ':' + std::to_string(item.tool) + ':'
             + std::to_string(item.bytes);
  if (what.bytes != 0)
    out += ' ' + std::to_string(what.bytes) + 'B';
  return out + (what.follows ? " follows" : "");
}

std::string text_of(const subject& whom, std::uint64_t number, std::size_t bytes) {
  auto out = name_of(whom) + '#' + std::to_string(number) + ' ';
  const auto& words = corpus();
  auto at =
      mix(mix(whom.number * 5 + static_cast<std::uint64_t>(whom.kind)) + number) % words.size();
  out.reserve(std::max(bytes, out.size()));
  while (out.size() < bytes) {
    const auto part = std::min(bytes - out.size(), words.size() - at);
    out.append(words, at, part);
    at = 0;
  }
  return out;
}

bool read_text(std::string_view text, subject& whom, std::uint64_t& number) {
  const auto read = [&](std::uint64_t& to) {
    const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), to);
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    return ec == std::errc{};
  };
  const auto kind = text.empty() ? std::string_view::npos : letters.find(text.front());
  if (kind == std::string_view::npos)
    return false;
  whom.kind = static_cast<subject_kind>(kind);
  text.remove_prefix(1);
  if (!read(whom.number) || !text.starts_with('#'))
    return false;
  text.remove_prefix(1);
  return read(number) && text.starts_with(' ');
}

}  // namespace troupe::simulate
